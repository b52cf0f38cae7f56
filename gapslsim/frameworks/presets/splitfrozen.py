"""SplitFrozen: clients only compute features; the server alone is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_update.frozen import FrozenClientUpdate
from gapslsim.frameworks.slots import client_updates
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component

__all__ = ["SplitFrozen"]


@frameworks.register
@component
class SplitFrozen(ParallelSplitLearning):
    """SplitFrozen (Ma, Lyu, Jiang, Cui, Yao, Tao, arXiv 2503.18986): layers on devices are frozen, no gradient returns.

    At hand was the abstract. Its server fine-tunes low-rank adapters; here that is a setting of the model, `lora`
    (`scenarios/models/split_lora.yaml`). Departures: rounds have a barrier, where the source overlaps devices and
    server in a pipeline; the server takes one step for all unless `server_schedule` says otherwise. That each sample
    may be sent once (`client_update: {kind: frozen, upload: once}`) is ours, and not in the abstract.
    """

    kind: Literal["splitfrozen"] = "splitfrozen"
    client_update: Annotated[ClientUpdate, client_updates] = Field(default_factory=FrozenClientUpdate)
    """What a client does: nothing but forward passes; `upload: once` sends each sample once."""
