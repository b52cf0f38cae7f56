"""The section `codec` of a scenario: how what travels between client and server is written."""

from __future__ import annotations

from pydantic import model_validator

from gapslsim.frameworks.framework import Framework
from gapslsim.learning.codec import Codec, Codecs, Way
from gapslsim.learning.coding import Coding
from gapslsim.registry import component

__all__ = ["CodecOptions"]


@component
class CodecOptions:
    """How what travels between client and server is written. Weights and labels travel as they are."""

    activations: Codecs = ()
    """Of smashed data, from a client to the server: one codec, or a list that is applied in order."""
    gradients: Codecs = ()
    """Of cut gradients, from the server to a client, likewise."""

    @property
    def of_ways(self) -> dict[Way, tuple[Codec, ...]]:
        """Codecs of each way that has some."""
        given: dict[Way, tuple[Codec, ...]] = {"activations": self.activations, "gradients": self.gradients}
        return {way: own for way, own in given.items() if own}

    @model_validator(mode="after")
    def _go_together(self) -> CodecOptions:
        for way, given in self.of_ways.items():
            for problem in Coding(given).problems():
                raise ValueError(f"{way}: {problem}")
        return self

    def unfit(self, framework: Framework) -> str:
        """Why there is nothing to encode, in words; empty if there is."""
        if not framework.clients_hold_whole_model:
            return ""
        return (
            f"in {framework.kind} clients hold the whole model, and weights have no codec: nothing travels that it is "
            "for. Leave it out, or take a framework with a cut."
        )
