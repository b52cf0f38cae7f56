"""What a model is: settings that build the two sides of a split network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from gapslsim.models.adapters import Lora, Patterns
from gapslsim.registry import Family, component

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Model", "models"]


@component
class Model(ABC):
    """Settings of a model; a pydantic component. Files of the zoo import torch inside their methods only.

    Each has a `cut`: how many blocks (as the model counts them) lie on the client.
    """

    input_dtype: ClassVar[Literal["float32", "int64"]] = "float32"
    """What it takes: `int64` for tokens."""

    if TYPE_CHECKING:
        cut: int | str
    freeze: Patterns = ()
    """Parameters that are not trained, by name or pattern: `layer1.*`. Batch norms go on to follow the statistics."""
    lora: Lora | None = None
    """Low-rank adapters: they are trained, and all else is frozen."""

    @abstractmethod
    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order of execution; their composition maps [B, *input_shape] to logits [B, n_classes].

        Raises:
            ValueError: if the input does not fit the model; the message names the fix.
        """

    @abstractmethod
    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """How many of `blocks` lie on the client, from `cut`; at least 1 and fewer than all.

        Raises:
            ValueError: if the cut is out of range; the message gives the range.
        """


# A model that is no component, as in tests, is told apart as an object; components get both from their decorator.
Model.__eq__, Model.__hash__ = object.__eq__, object.__hash__  # type: ignore[method-assign]

models: Family[Model] = Family("model", "gapslsim.models.zoo")
