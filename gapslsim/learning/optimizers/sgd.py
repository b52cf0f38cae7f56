"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from gapslsim.learning.optimizer import Optimizer, Schedule, optimizers, schedules, update_cost
from gapslsim.learning.schedules.constant import ConstantSchedule
from gapslsim.registry import component
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.state import OptimizerState

__all__ = ["Sgd"]


@optimizers.register
@component
class Sgd(Optimizer):
    """SGD with momentum, bit for bit that of `torch.optim.SGD` (dampening 0)."""

    slots_by_parameter: ClassVar[tuple[str, ...] | None] = ("momentum",)

    optimizer: Literal["sgd"] = "sgd"
    lr: PositiveFloat
    """Learning rate."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last velocity that is kept."""
    nesterov: bool = False
    """Nesterov's form of momentum."""
    weight_decay: NonNegativeFloat = 0.0
    """Times the parameters, added to the gradient."""
    schedule: Annotated[Schedule, schedules] = Field(default_factory=ConstantSchedule)
    """What the learning rate is multiplied by over time."""

    @model_validator(mode="after")
    def _check_nesterov(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; found 0. Set momentum, for instance 0.9.")
        return self

    def initial(self, parameters: tuple[Tensor, ...]) -> OptimizerState:
        """Velocity 0, or nothing without momentum."""
        import torch

        return {"momentum": tuple(torch.zeros_like(p) for p in parameters)} if self.momentum else {}

    @property
    def reads_planned_steps(self) -> bool:
        """As the schedule does."""
        return self.schedule.reads_planned_steps

    def step(
        self,
        parameters: tuple[Tensor, ...],
        gradients: tuple[Tensor, ...],
        state: OptimizerState,
        step: int,
        planned_steps: int | None,
    ) -> tuple[tuple[Tensor, ...], OptimizerState]:
        """New parameters and velocity; see `torch.optim.SGD`, whose sums these are, each for all tensors at once."""
        import torch

        lr = self.lr * self.schedule.factor(step, planned_steps)
        after: OptimizerState = {}
        # PyTorch's functions over lists refuse empty ones.
        if not parameters:
            return (), after
        with torch.no_grad():
            direction = gradients
            if self.weight_decay:
                direction = torch._foreach_add(gradients, parameters, alpha=self.weight_decay)
            if self.momentum:
                # In PyTorch's order, mu v, then + g: a fused form would round once where PyTorch rounds
                # twice.
                velocity = torch._foreach_mul(state["momentum"], self.momentum)
                torch._foreach_add_(velocity, direction)
                after = {"momentum": tuple(velocity)}
                if self.nesterov:
                    velocity = torch._foreach_add(direction, velocity, alpha=self.momentum)
                direction = velocity
            return tuple(torch._foreach_add(parameters, direction, alpha=-lr)), after

    def cost(self, n_parameters: int) -> Cost:
        """2 FLOP per parameter, 2 more each for weight decay, momentum and Nesterov's form.

        Reads parameter and gradient, writes the parameter; reads and writes the velocity.
        """
        flop = 2 + 2 * bool(self.weight_decay) + 2 * bool(self.momentum) + 2 * self.nesterov
        moved = 4 * (3 + 2 * self.n_slots)
        return update_cost("sgd", "sgd", flop, moved, n_parameters)

    @property
    def n_slots(self) -> int:
        """The velocity, where there is momentum."""
        return 1 if self.momentum else 0
