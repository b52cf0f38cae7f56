"""Split federated learning: parallel split learning with averaging of the client-side models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.registry import component

__all__ = ["Sfl"]


@frameworks.register
@component
class Sfl(ParallelSplitLearning):
    """SFL (SplitFed): PSL whose client-side models are averaged (Section IV-A of [lin2026gapsl]).

    How often is not stated; here in every round.
    """

    kind: Literal["sfl"] = "sfl"
    client_sync: Annotated[ClientSync, client_syncs] = Field(
        default_factory=lambda: client_syncs["average"]()
    )
    """When the client-side models are averaged by the parameter server."""
