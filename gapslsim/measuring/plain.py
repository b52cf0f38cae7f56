"""Split learning as a device carries it out: plain PyTorch, module by module, weights updated in place.

gapslsim's own engine trains the same, but may join passes, leave modules out and spread work over processors, because
it simulates many devices at once; a device does none of that, and it is the device that a profile describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.errors import ComponentError
from gapslsim.learning.optimizer import Optimizer
from gapslsim.registry import settings_of

__all__ = ["PlainServer", "PlainSide", "ServerPass", "joined", "torch_optimizer"]


def torch_optimizer(optimizer: Optimizer, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """PyTorch's optimizer of the same settings, at the initial learning rate.

    Raises:
        ComponentError: for an optimizer that has no counterpart here.
    """
    settings = settings_of(optimizer)
    name = settings.pop("optimizer")
    settings.pop("schedule", None)
    known: dict[str, type[torch.optim.Optimizer]] = {
        "sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
    }  # fmt: skip
    if name not in known:
        raise ComponentError(f"optimizer {name!r} cannot be measured; choose one of {', '.join(known)}.")
    if "betas" in settings:
        settings["betas"] = tuple(settings["betas"])
    return known[name](list(parameters), **settings)


class PlainSide:
    """One side of a split network on a device, in training mode."""

    def __init__(self, module: nn.Module, optimizer: Optimizer, device: torch.device) -> None:
        self.module = module.to(device).train()
        self.parameters = list(self.module.parameters())
        self.optimizer = torch_optimizer(optimizer, self.parameters)

    def backward(self, output: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the parameters, given that of the output."""
        return torch.autograd.grad(output, self.parameters, gradient)

    def backward_from_loss(self, loss: Tensor, inputs: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the parameters, then that of the inputs."""
        return torch.autograd.grad(loss, (*self.parameters, inputs))

    def update(self, gradients: Sequence[Tensor]) -> None:
        """One step of the optimizer."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()


class ServerPass(NamedTuple):
    """What the server gets from one client's smashed data."""

    gradient: Tensor
    """Of the parameters, [d]."""
    loss: Tensor
    cut: Tensor
    """Of the smashed data."""


class PlainServer(PlainSide):
    """The server's side: clients one after another, their gradients side by side."""

    def gradient(self, smashed: Tensor, labels: Tensor) -> ServerPass:
        """Forward and backward for one client."""
        entered = smashed.detach().requires_grad_()
        loss = F.cross_entropy(self.module(entered), labels)
        *gradients, cut = self.backward_from_loss(loss, entered)
        return ServerPass(joined(gradients), loss.detach(), cut)

    def step(self, vector: Tensor) -> None:
        """One step of the optimizer along a gradient [d]."""
        pieces = torch.split(vector, [parameter.numel() for parameter in self.parameters])
        shaped = [p.view_as(q).to(q.dtype) for p, q in zip(pieces, self.parameters, strict=True)]
        self.update(shaped)


def joined(gradients: Sequence[Tensor]) -> Tensor:
    """All elements in one vector [d]."""
    return torch.cat([gradient.reshape(-1) for gradient in gradients])
