"""What a server step computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gapslsim.learning.geometry import Geometry
from gapslsim.learning.rules import AlignmentDetail, Fate
from gapslsim.learning.state import SideState
from gapslsim.records import LossRow

__all__ = ["ServerOutcome"]


@dataclass(frozen=True, eq=False)
class ServerOutcome:
    """Result of one server step, row by row of the mini-batches that it took."""

    state: SideState
    rule_state: Mapping[str, float]
    own: Sequence[Tensor]
    """Cut gradient of each batch without its shared part, [b_i - m_i, ...]."""
    shared: Tensor | None
    """Cut gradient of the shared samples, [max m_i, ...]."""
    fates: Sequence[Fate]
    losses: list[LossRow]
    reported_losses: list[float]
    detail: AlignmentDetail | None
    geometry: Geometry | None = None
    """Of the gradients, where it was asked for."""
