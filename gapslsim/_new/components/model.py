"""A model of your own: a list of named blocks. The cut lies between two of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim import FAMILIES, Model, check_cut, component, he_init, named

if TYPE_CHECKING:
    from torch import nn


@FAMILIES["model"].register
@component
class MyModel(Model):
    """Two hidden layers and a head. Costs, payloads and memory follow from the layers; you write none of them."""

    kind: Literal["my_model"] = "my_model"
    cut: PositiveInt = 1
    """Blocks on the client: 1 or 2."""
    width: PositiveInt = 64
    """Units of each hidden layer."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order."""
        from torch import nn  # here, so that reading a scenario stays quick

        n_inputs, width = prod(input_shape), self.width
        first = named(("flatten", nn.Flatten()), ("linear", nn.Linear(n_inputs, width)), ("relu", nn.ReLU()))
        second = named(("linear", nn.Linear(width, width)), ("relu", nn.ReLU()))
        head = named(("linear", nn.Linear(width, n_classes)))
        return he_init([("hidden1", first), ("hidden2", second), ("head", head)])

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client."""
        return check_cut("my_model", self.cut, 3, "blocks hidden1, hidden2, head")
