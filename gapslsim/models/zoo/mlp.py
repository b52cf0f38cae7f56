"""Multi-layer perceptron."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.bounds import Width
from gapslsim.models.checks import check_classes, check_cut
from gapslsim.models.model import Model, models
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Mlp"]


@models.register
@component
class Mlp(Model):
    """Fully connected network; inputs of any shape are flattened in the first block.

    Blocks: `hidden1`, `hidden2`, ... (linear + activation), `head` (linear). Weights: He et al. 2015.
    """

    kind: Literal["mlp"] = "mlp"
    cut: PositiveInt = 1
    """Hidden layers on the client, from 1 to all of them."""
    hidden: Annotated[tuple[Width, ...], Field(min_length=1)] = (64, 64)
    """Widths of the hidden layers."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """What follows each hidden layer."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        self._check(input_shape, n_classes)
        n_inputs = prod(input_shape)
        blocks: list[tuple[str, nn.Module]] = []
        for index, width in enumerate(self.hidden):
            flatten = nn.Flatten() if index == 0 else None
            linear, after = nn.Linear(n_inputs, width), layers.activation(self.activation)
            block = layers.named(("flatten", flatten), ("linear", linear), (self.activation, after))
            blocks.append((f"hidden{index + 1}", block))
            n_inputs = width
        blocks.append(("head", layers.named(("linear", nn.Linear(n_inputs, n_classes)))))
        return layers.he_init(blocks)

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client; see the base class."""
        self._check(input_shape, n_classes)
        return check_cut("mlp", self.cut, len(self.hidden) + 1, f"{len(self.hidden)} hidden layers")

    def _check(self, input_shape: tuple[int, ...], n_classes: int) -> None:
        check_classes("mlp", n_classes)
        if not input_shape or min(input_shape) < 1:
            raise ValueError(
                f"model mlp needs inputs with at least one element, found shape {tuple(input_shape)}."
            )
