"""Each client gets the gradient of its own loss."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.slots import cut_gradients
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

__all__ = ["OwnCutGradient"]


@cut_gradients.register
@component
class OwnCutGradient(CutGradient):
    """PSL and GAPSL: dL_i/d(smashed data of client i), unicast."""

    kind: Literal["own"] = "own"

    @property
    def shared_fraction(self) -> float:
        """Nothing is shared."""
        return 0.0

    @property
    def average(self) -> bool:
        """No."""
        return False
