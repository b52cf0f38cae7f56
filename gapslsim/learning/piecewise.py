"""An optimizer that may step a part of a network: each piece has a state of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gapslsim.learning.optimizer import Optimizer
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.state import OptimizerState

__all__ = ["Piecewise"]


class Piecewise(Optimizer):
    """An optimizer of pieces of a network in a row.

    Gradients may be those of the last pieces alone: the others are then left as they are, as torch's optimizers leave
    what has no gradient. No momentum moves them, no weight decay, and counts such as Adam's are each piece's own.

    Args:
        optimizer: how a piece takes a step.
        counts: parameters of each piece.
    """

    _optimizer: Optimizer
    _counts: tuple[int, ...]

    def __init__(self, optimizer: Optimizer, counts: Sequence[int]) -> None:
        self.__dict__.update(_optimizer=optimizer, _counts=tuple(counts), clip_norm=optimizer.clip_norm)

    def initial(self, parameters: tuple[Tensor, ...]) -> OptimizerState:
        """Slots of all pieces, named `0/momentum`."""
        return {
            f"{piece}/{name}": held
            for piece, part in self._pieces()
            for name, held in self._optimizer.initial(parameters[part]).items()
        }

    def step(
        self,
        parameters: tuple[Tensor, ...],
        gradients: tuple[Tensor, ...],
        state: OptimizerState,
        step: int,
        planned_steps: int | None,
    ) -> tuple[tuple[Tensor, ...], OptimizerState]:
        """A step of each piece whose gradients are given; they are of the last pieces, whole."""
        n_left = len(parameters) - len(gradients)
        after, slots = parameters[:n_left], dict(state)
        for piece, part in self._pieces():
            if part.start < n_left:
                continue
            named = {name: f"{piece}/{name}" for name in self._names(state, piece)}
            moved, held = self._optimizer.step(
                parameters[part],
                gradients[part.start - n_left : part.stop - n_left],
                {name: state[of_piece] for name, of_piece in named.items()},
                step,
                planned_steps,
            )
            after += moved
            slots |= {f"{piece}/{name}": slot for name, slot in held.items()}
        return after, slots

    def _pieces(self) -> Iterator[tuple[int, slice]]:
        """Those that have parameters."""
        first = 0
        for piece, count in enumerate(self._counts):
            if count:
                yield piece, slice(first, first + count)
            first += count

    @staticmethod
    def _names(state: OptimizerState, piece: int) -> list[str]:
        prefix = f"{piece}/"
        return [name.removeprefix(prefix) for name in state if name.startswith(prefix)]

    def cost(self, n_parameters: int) -> Cost:
        """As all of it in one."""
        return self._optimizer.cost(n_parameters)

    @property
    def n_slots(self) -> int:
        """As all of it in one."""
        return self._optimizer.n_slots
