"""Two parts: the blocks before the cut on the client, the others on the server."""

from __future__ import annotations

from typing import Literal

from gapslsim.models.segments import Segments
from gapslsim.registry import component
from gapslsim.scenario.shape import Cuts, Shape, shapes

__all__ = ["Split"]


@shapes.register
@component
class Split(Shape):
    """Client | server: the usual split learning, cut at `model.cut`."""

    kind: Literal["split"] = "split"

    @property
    def is_split(self) -> bool:
        """Yes."""
        return True

    def segments(self, cuts: Cuts) -> Segments | None:
        """One path of two stretches."""
        return None
