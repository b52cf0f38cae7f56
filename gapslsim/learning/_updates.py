"""Steps of several models of one shape in one call of the optimizer, where it looks at each number by itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor

from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side

__all__ = ["Step", "update_all"]


class Step(NamedTuple):
    """What one model's step is made of."""

    side: Side
    """With its optimizer."""
    state: SideState
    gradients: tuple[Float[Tensor, "*_"], ...]
    buffers: tuple[Shaped[Tensor, "*_"], ...]
    """After the pass."""


def update_all(steps: Sequence[Step]) -> list[SideState]:
    """States after one optimizer step of each model; bit for bit those of `Side.update`."""
    alike: dict[object, list[int]] = {}
    for place, step in enumerate(steps):
        alike.setdefault(_kind(place, step), []).append(place)
    after: dict[int, SideState] = {}
    for places in alike.values():
        after.update(zip(places, _update([steps[place] for place in places]), strict=True))
    return [after[place] for place in range(len(steps))]


def _kind(place: int, step: Step) -> object:
    """The same for models whose steps may be one call; a place of its own where they may not."""
    own = step.side.optimizer.slots_by_parameter
    if own is None:
        return place
    # What is no tensor per parameter, such as Adam's count, must be the same number; it lies on the CPU.
    slots = step.side.slots_of(step.state)
    counts = tuple((name, *map(float, slots[name])) for name in slots.keys() - set(own))
    return id(step.side), step.state.n_updates, counts


def _update(steps: Sequence[Step]) -> list[SideState]:
    """Steps of one kind."""
    if len(steps) == 1:
        (step,) = steps
        return [step.side.update(*step[1:])]
    side, n = steps[0].side, len(steps[0].state.parameters)
    own = side.optimizer.slots_by_parameter or ()
    slots = [side.slots_of(step.state) for step in steps]
    joined = {
        name: _joined([each[name] for each in slots]) if name in own else held
        for name, held in slots[0].items()
    }
    parameters, optimizer = side.optimizer.step(
        _joined([step.state.parameters for step in steps]),
        _joined([side.optimizer.clipped(step.gradients) for step in steps]),
        joined,
        steps[0].state.n_updates,
        side.planned_steps,
    )
    parts = (
        [slice(first, first + n) for first in range(0, n * len(steps), n)] if n else [slice(0)] * len(steps)
    )
    return [
        SideState(
            parameters[part],
            step.buffers,
            {name: held[part] if name in own else held for name, held in optimizer.items()},
            step.state.n_updates + 1,
        )
        for step, part in zip(steps, parts, strict=True)
    ]


def _joined(tensors: Sequence[tuple[Float[Tensor, "*_"], ...]]) -> tuple[Float[Tensor, "*_"], ...]:
    return tuple(chain.from_iterable(tensors))
