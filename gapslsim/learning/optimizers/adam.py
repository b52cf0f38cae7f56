"""Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from gapslsim.learning.optimizer import Optimizer, Schedule, optimizers, schedules, update_cost
from gapslsim.learning.schedules.constant import ConstantSchedule
from gapslsim.registry import component
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.state import OptimizerState

__all__ = ["Adam", "AdamOptimizer"]

Beta = Annotated[float, Field(ge=0, lt=1)]


@component
class AdamOptimizer(Optimizer):
    """What Adam and AdamW share: two running moments and their count."""

    slots_by_parameter: ClassVar[tuple[str, ...] | None] = ("first_moment", "second_moment")
    decoupled: ClassVar[bool] = False
    """Whether weight decay bypasses the moments (AdamW)."""

    lr: PositiveFloat = 1e-3
    """Learning rate."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """Share of the last first and second moment that is kept."""
    eps: PositiveFloat = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegativeFloat = 0.0
    """Pull of the parameters towards 0."""
    schedule: Annotated[Schedule, schedules] = Field(default_factory=ConstantSchedule)
    """What the learning rate is multiplied by over time."""

    def initial(self, parameters: tuple[Tensor, ...]) -> OptimizerState:
        """Both moments 0 after 0 steps.

        The count is part of the state, apart from the schedule's step, so that a state that starts anew has the
        right bias correction.
        """
        import torch

        return {
            "first_moment": tuple(torch.zeros_like(p) for p in parameters),
            "second_moment": tuple(torch.zeros_like(p) for p in parameters),
            # On the CPU and in float32, as PyTorch keeps its own count: the bias corrections are then the
            # same bits.
            "n_steps": (torch.zeros((), dtype=torch.float32),),
        }

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
        """New parameters and moments; see `torch.optim.Adam` and `torch.optim.AdamW`."""
        import torch
        from torch.optim.adam import adam

        # Copies first: PyTorch's function works in place, and states here are never written to.
        new = [p.detach().clone() for p in parameters]
        first = [m.clone() for m in state["first_moment"]]
        second = [m.clone() for m in state["second_moment"]]
        # A checkpoint is read to the device as a whole; there a count would be waited for in every step.
        n_steps = state["n_steps"][0].cpu()
        with torch.no_grad():
            adam(
                new,
                list(gradients),
                first,
                second,
                [],
                [n_steps.clone() for _ in new],  # PyTorch counts in place, one count per parameter
                decoupled_weight_decay=self.decoupled,
                foreach=bool(new) and new[0].device.type == "cuda",
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=self.lr * self.schedule.factor(step, planned_steps),
                weight_decay=self.weight_decay,
                eps=self.eps,
                maximize=False,
            )
        return tuple(new), {
            "first_moment": tuple(first),
            "second_moment": tuple(second),
            "n_steps": (n_steps + 1,),
        }

    def cost(self, n_parameters: int) -> Cost:
        """13 FLOP per parameter (moments 3 + 4, denominator 3, update 3), 2 more for weight decay.

        Reads parameter, gradient and both moments; writes parameter and both moments.
        """
        flop = 13 + 2 * bool(self.weight_decay)
        name = "adamw" if self.decoupled else "adam"
        return update_cost(name, "adam", flop, 28, n_parameters)

    @property
    def n_slots(self) -> int:
        """Two moments."""
        return 2


@optimizers.register
@component
class Adam(AdamOptimizer):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980), bit for bit that of `torch.optim.Adam`.

    Weight decay is added to the gradient.
    """

    optimizer: Literal["adam"] = "adam"
