"""One side of a split network as a device holds it: a plain PyTorch module, weights updated in place.

gapslsim's own engine trains the same, but may join passes, leave modules out and spread work over processors, because
it simulates many devices at once; a device does none of that, and it is the device that a profile describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gapslsim.kernels import Precision
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.optimizers.adam import Adam
from gapslsim.learning.optimizers.adamw import AdamW
from gapslsim.learning.optimizers.sgd import Sgd
from gapslsim.learning.precision import in_full, passing
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import differentiate
from gapslsim.registry import settings_of

__all__ = ["PlainSide"]


class _Counterpart(NamedTuple):
    """PyTorch's optimizer that is the same as one of ours."""

    type: Any
    slots: Mapping[str, str]
    """Its names of our slots."""


_MOMENTS = {"first_moment": "exp_avg", "second_moment": "exp_avg_sq", "n_steps": "step"}
_COUNTERPARTS: Mapping[type[Optimizer], _Counterpart] = {
    Sgd: _Counterpart(torch.optim.SGD, {"momentum": "momentum_buffer"}),
    Adam: _Counterpart(torch.optim.Adam, _MOMENTS),
    AdamW: _Counterpart(torch.optim.AdamW, _MOMENTS),
}


_NOT_PYTORCHS = ("optimizer", "schedule", "clip_norm")
"""Settings that PyTorch's optimizers do not have."""


class PlainSide:
    """A module in training mode, and its optimizer: PyTorch's own, or else the component's pure step.

    It trains its own tensors in place, until `load` and `prepare` put those of a state in their stead, which takes
    time that no device needs. What belongs to a state is never written to.

    Args:
        module: the layers; moved to the device.
        rule: the optimizer's settings.
        device: torch's.
        planned_steps: optimizer steps planned in all, for learning-rate schedules; None if unknown.
        precision: of passes.
    """

    def __init__(
        self,
        module: nn.Module,
        rule: Optimizer,
        device: torch.device,
        planned_steps: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        self.module = module.to(device).train()
        self.parameters: list[nn.Parameter] = [p for p in module.parameters() if p.requires_grad]
        self._places = {kind: _places(module, kind) for kind in ("_parameters", "_buffers")}
        self._rule = rule
        self._precision: Precision = precision
        self._planned_steps = planned_steps
        own = tuple(parameter.detach() for parameter in self.parameters)
        self._before = self._after = SideState(own, (), rule.initial(own))
        self._optimizer: torch.optim.Optimizer | None = None
        counterpart = _COUNTERPARTS.get(type(rule))
        if counterpart is not None and self.parameters:
            self._slots = counterpart.slots
            settings = {k: v for k, v in settings_of(rule).items() if k not in _NOT_PYTORCHS}
            self._copies = [parameter.clone() for parameter in own]
            self._optimizer = counterpart.type(self._copies, **settings)

    def load(self, parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        """Puts tensors into the module: parameters, which no pass writes to, and copies of buffers, which one may."""
        self.parameters = [nn.Parameter(parameter.detach()) for parameter in parameters]
        copies = [buffer.clone() for buffer in buffers]
        for kind, tensors in (("_parameters", self.parameters), ("_buffers", copies)):
            for part, name, place in self._places[kind]:
                setattr(part, name, tensors[place])

    def __call__(self, inputs: Tensor) -> Tensor:
        """A forward pass."""
        with passing(self._precision, inputs.device):
            output: Tensor = self.module(inputs)
        return in_full(output)

    @property
    def buffers(self) -> tuple[Tensor, ...]:
        """As the last pass left them."""
        return tuple(self.module.buffers())

    def backward(self, output: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the parameters, given that of the output."""
        return differentiate(output, self.parameters, gradient)

    def backward_from_loss(self, loss: Tensor, inputs: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the parameters, then that of the inputs."""
        return differentiate(loss, (*self.parameters, inputs))

    def prepare(self, state: SideState) -> None:
        """Gives the optimizer copies of a state's tensors to write to."""
        self._before = state
        if self._optimizer is None:
            return
        lr = self._rule.lr * self._rule.schedule.factor(state.n_updates, self._planned_steps)  # type: ignore[attr-defined]
        self._optimizer.param_groups[0]["lr"] = lr
        for place, (copy, parameter) in enumerate(zip(self._copies, state.parameters, strict=True)):
            copy.copy_(parameter)
            kept = self._optimizer.state[copy]
            for name, slot in state.optimizer.items():
                tensor = slot[min(place, len(slot) - 1)]  # one per parameter, or one for all
                kept.setdefault(self._slots[name], tensor.clone()).copy_(tensor)

    def update(self, gradients: Sequence[Tensor]) -> None:
        """One step of the optimizer."""
        gradients = self._rule.clipped(tuple(gradients))
        if self._optimizer is None:
            before = self._before
            parameters, slots = self._rule.step(
                before.parameters, gradients, before.optimizer, before.n_updates, self._planned_steps
            )
            self._after = SideState(parameters, (), slots)
            return
        for copy, gradient in zip(self._copies, gradients, strict=True):
            copy.grad = gradient
        self._optimizer.step()

    def updated(self, buffers: tuple[Tensor, ...]) -> SideState:
        """The state after the step that was prepared.

        Args:
            buffers: that go with it.
        """
        before, optimizer = self._before, self._optimizer
        parameters, slots = self._after.parameters, self._after.optimizer
        if optimizer is not None:
            parameters = tuple(copy.detach().clone() for copy in self._copies)
            slots = {
                name: tuple(
                    optimizer.state[copy][self._slots[name]].clone() for copy in self._copies[: len(slot)]
                )
                for name, slot in before.optimizer.items()
            }
        return SideState(parameters, buffers, slots, before.n_updates + 1)


def _places(module: nn.Module, kind: str) -> list[tuple[nn.Module, str, int]]:
    """Where the module's tensors stand: part, name there, and place among all; a shared one stands in several."""
    # Frozen parameters stay where they are.
    trained = (parameter for parameter in module.parameters() if parameter.requires_grad)
    tensors = trained if kind == "_parameters" else module.buffers()
    order = {id(tensor): place for place, tensor in enumerate(tensors)}
    return [
        (part, name, order[id(tensor)])
        for part in module.modules()
        for name, tensor in getattr(part, kind).items()
        if tensor is not None and id(tensor) in order
    ]
