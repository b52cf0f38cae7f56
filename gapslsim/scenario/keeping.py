"""What does not go with a server that keeps what frozen clients have sent (`client_update.upload: once`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gapslsim.learning.keeping import codecs_change_because, layers_change_because
from gapslsim.models.model import Model
from gapslsim.models.segments import Segments
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData

__all__ = ["check_keeping", "keeping_refusals", "keeps"]

_UPLOAD: Path = ("framework", "client_update", "upload")


def keeps(scenario: Scenario) -> bool:
    """Whether the server keeps smashed data in some round."""
    update: Any = getattr(scenario.framework, "client_update", None)
    return update is not None and update.keeps


def check_keeping(scenario: Scenario) -> list[tuple[Path, str]]:
    """Where it does not fit, and why, as far as settings tell."""
    if not keeps(scenario):
        return []
    found: list[tuple[Path, str]] = []

    def refuse(why: str, fix: str) -> None:
        found.append((_UPLOAD, f"once keeps what is sent of a sample, and {why}; {fix}."))

    if scenario.data.augmentation is not None:
        refuse(
            "training images change from mini-batch to mini-batch (data.augmentation)",
            "leave that out, or write always",
        )
    if why := codecs_change_because(scenario.codecs.get("activations", ())):
        refuse(why, "take float16 or bfloat16 (codec.activations), leave that out, or write always")
    if scenario.plan is not None:
        refuse("a plan takes all rounds for alike, of which later ones send less (plan)", "write always")
    return found


def keeping_refusals(
    scenario: Scenario, model: Model, segments: Segments | None, data: LoadedData
) -> list[tuple[Path, str]]:
    """As `check_keeping`, by the layers of the clients.

    Args:
        scenario: whose settings are sound.
        model: as its clients cut it.
        segments: who owns which blocks.
        data: shapes of its samples.
    """
    if not keeps(scenario):
        return []
    if segments is not None:
        widest: Any = model
        model = replace(widest, cut=max(path[0].last for path in segments.paths))
    why = layers_change_because(model, data, scenario.seed)
    fix = "take layers that do not (norm, dropout of the model), cut the model before them, or write always"
    return [(_UPLOAD, f"once keeps what is sent of a sample, and {why}; {fix}.")] if why else []
