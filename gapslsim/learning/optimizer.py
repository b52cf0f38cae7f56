"""What an optimizer is: a pure function from parameters and gradients to parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat

from gapslsim.registry import Family, component
from gapslsim.work import Cost, LayerCost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.state import OptimizerState

__all__ = ["Optimizer", "Schedule", "optimizers", "schedules", "update_cost"]


def update_cost(name: str, kind: str, flop: int, moved_bytes: int, n_parameters: int) -> Cost:
    """Cost of an optimizer's step, from FLOP and bytes per parameter."""
    totals = (flop * n_parameters, moved_bytes * n_parameters, n_parameters)
    return Cost((LayerCost(name, f"optimizer/{kind}", "update", *totals),))


class Schedule(ABC):
    """Learning-rate schedule; a pydantic component."""

    @property
    def reads_planned_steps(self) -> bool:
        """Whether `factor` depends on `planned_steps`; if not, runs of any length share their training."""
        return True

    @abstractmethod
    def factor(self, step: int, planned_steps: int | None) -> float:
        """What the learning rate is multiplied by at optimizer step `step` (from 0) of `planned_steps`.

        Raises:
            ScenarioError: if the schedule needs `planned_steps` and it is None.
        """


@component
class Optimizer(ABC):
    """Settings of an optimizer; a pydantic component. Imports torch inside its methods only.

    Its tag is `optimizer`, not `kind`: `{optimizer: sgd, lr: 0.05}`.
    """

    slots_by_parameter: ClassVar[tuple[str, ...] | None] = None
    """Names of the slots with a tensor per parameter, if `step` looks at each number by itself: steps of several models
    may then be one call. Other slots are single numbers. None: one model at a time."""

    clip_norm: PositiveFloat | None = None
    """Greatest length of the gradient of this side's parameters, all together; a longer one is shortened before the
    step, as by PyTorch's `clip_grad_norm_`. Not clipped unless given."""

    def clipped(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradients that `step` gets; the argument stays as it is."""
        if self.clip_norm is None or not gradients:
            return gradients
        import torch

        with torch.no_grad():
            length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            # PyTorch's constant, so that a gradient of length 0 is divided by something.
            return tuple(torch._foreach_mul(gradients, (self.clip_norm / (length + 1e-6)).clamp(max=1.0)))

    def cost_with_clipping(self, n_parameters: int) -> Cost:
        """`cost`, and that of clipping if it is asked for: a square and an addition, then a factor, per parameter."""
        if self.clip_norm is None:
            return self.cost(n_parameters)
        return Cost(parts=(update_cost("clip", "clip", 3, 12, n_parameters), self.cost(n_parameters)))

    @abstractmethod
    def initial(self, parameters: tuple[Tensor, ...]) -> OptimizerState:
        """State before the first step; tensors of the parameters' shapes."""

    @abstractmethod
    def step(
        self,
        parameters: tuple[Tensor, ...],
        gradients: tuple[Tensor, ...],
        state: OptimizerState,
        step: int,
        planned_steps: int | None,
    ) -> tuple[tuple[Tensor, ...], OptimizerState]:
        """New parameters and state after one step; the arguments stay as they are.

        Args:
            parameters: one tensor per parameter.
            gradients: of the same shapes.
            state: from `initial` or the last `step`.
            step: optimizer steps taken so far, from 0.
            planned_steps: how many there will be in all, for schedules; None if unknown.
        """

    @abstractmethod
    def cost(self, n_parameters: int) -> Cost:
        """FLOP and bytes of one step (phase `update`, kind `optimizer`, float32)."""

    @property
    def reads_planned_steps(self) -> bool:
        """Whether `step` depends on `planned_steps`; if not, runs of any length share their training."""
        return True

    @property
    @abstractmethod
    def n_slots(self) -> int:
        """Tensors of the parameters' size that the state holds: 0 plain SGD, 1 with momentum, 2 Adam."""


schedules: Family[Schedule] = Family("schedule", "gapslsim.learning.schedules")
optimizers: Family[Optimizer] = Family("optimizer", "gapslsim.learning.optimizers", tag="optimizer")
