"""The section `codec` of a scenario: how what travels between client and server is written."""

from __future__ import annotations

from pydantic import model_validator

from gapslsim.frameworks.framework import Framework
from gapslsim.learning.codec import Codec, Codecs, Way
from gapslsim.learning.coding import Coding
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["CodecOptions"]


@component
class CodecOptions:
    """How what travels between client and server is written. Weights and labels travel as they are."""

    activations: Codecs = ()
    """Of smashed data, from a client to the server: one codec, or a list that is applied in order."""
    gradients: Codecs = ()
    """Of cut gradients, from the server to a client, likewise."""
    gradients_follow: bool = False
    """Whether of a gradient only what stands where activations were sent travels, without places: what was not sent has
    none, by the chain rule, as in RandTop-k and SplitFC. Else the client takes the gradient of what arrived for that of
    what it had (straight through). For activations by `top_k` or `dropout_quantise`."""

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
        if self.gradients_follow and (
            not self.activations or Coding(self.activations).n_sent((2, 8)) is None
        ):
            raise ValueError(
                "gradients_follow: all activations are sent, so there is nothing to follow; leave it out, or write "
                "activations: top_k or dropout_quantise"
            )
        if self.gradients_follow and any(codec.feeds_back for codec in self.gradients):
            raise ValueError(
                "gradients_follow: what is sent stands elsewhere each time, so that error feedback has no meaning for "
                "gradients; leave one of them out"
            )
        return self

    def unfit(self, framework: Framework) -> str:
        """Why a framework has nothing to encode so, in words; empty if it has."""
        cut: CutGradient | None = getattr(framework, "cut_rule", None)
        if self.gradients_follow and cut is not None and (cut.shared_fraction or cut.average):
            return (
                f"gradients_follow: in {framework.kind} clients share gradients, and each has sent other activations; "
                "leave it out."
            )
        if getattr(framework, "auxiliary", None) is not None:
            return (
                f"in {framework.kind} clients take a loss of their own smashed data as they are, and no gradient comes "
                "down; leave it out."
            )
        if not framework.clients_hold_whole_model:
            return ""
        return (
            f"in {framework.kind} clients hold the whole model, and weights have no codec: nothing travels that it is "
            "for. Leave it out, or take a framework with a cut."
        )
