"""What several invariants ask: whether a call is pure, an amount an amount, and a cost one that comes from shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from gapslsim.checks.check import require
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_costs", "check_kept", "check_pure", "is_amount", "noise", "same"]


def is_amount(value: Any) -> bool:
    """Whether it is a finite number, 0 or more."""
    return not isinstance(value, complex) and math.isfinite(value) and value >= 0


def same(one: Any, other: Any) -> bool:
    """Whether both are the same to the last bit, NaN being NaN: tensors, arrays, numbers, text and what holds them."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    a, b = (np.asarray(each.detach() if hasattr(each, "detach") else each) for each in (one, other))
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def check_pure(what: str, call: Callable[[], Any], given: Mapping[str, Any]) -> None:
    """A function gives the same twice, and writes to nothing that it is given.

    Args:
        what: name of the function.
        call: calls it, with fresh streams of random numbers.
        given: its arguments, by the names that its writer knows.

    Raises:
        InvariantError: if it is not so.
    """
    before, one = deepcopy(given), call()
    fix = "others read it; make a new one (`a * b`, not `a *= b` or `a.mul_(b)`)."
    for name, value in given.items():
        require(same(value, before[name]), f"{what} writes to {name}", fix)
    fix = "it has no chance but the stream that it is given, and no memory but what it returns."
    require(same(one, call()), f"{what} gave something else the second time for the same input", fix)


def check_kept(which: str, what: str, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    """Tensors that a function made are finite and have the shapes and types of others.

    Raises:
        InvariantError: if it is not so.
    """
    kinds = [", ".join(f"{tuple(t.shape)} of {t.dtype}" for t in tensors) for tensors in (found, wanted)]
    said = f"{which} {what}: {kinds[0]}, and must be {kinds[1]}"
    require(kinds[0] == kinds[1], said, "give one tensor for each, in order; keep shape and type.")
    is_finite = all(bool(tensor.isfinite().all()) for tensor in found)
    require(is_finite, f"{which} {what}: NaN or infinite", "look for a division by what may be 0.")


def check_costs(cost_of: Callable[..., Cost], *sizes: tuple[int, ...]) -> None:
    """Costs are finite, 0 or more, come from shapes alone, and do not fall as these grow.

    Args:
        cost_of: from sizes to a cost.
        sizes: growing.

    Raises:
        InvariantError: if it is not so.
    """
    small: tuple[str, list[float]] = ("", [0.0, 0.0])
    for size in sizes:
        what, costs = f"cost({', '.join(map(str, size))})", [cost_of(*size) for _ in range(2)]
        fix = "return `Cost((LayerCost(...),))`, or `NO_COST` for nothing."
        require(isinstance(costs[0], Cost), f"{what} is {costs[0]!r:.80}", fix)
        one, again = ([cost.work_flop, cost.moved_bytes] for cost in costs)
        said = f"{what} is {one[0]!r} FLOP and {one[1]!r} bytes"
        require(all(map(is_amount, one)), said, "it must be finite and 0 or more.")
        fix = "costs come from shapes alone, not from earlier calls."
        require(one == again, f"{what} gave two answers, {one} and {again}", fix)
        falls = one[0] < small[1][0] or one[1] < small[1][1]
        said = f"{said}, below {small[0]} with {small[1]}"
        require(not falls, said, "more clients or parameters never cost less.")
        small = (what, one)


def noise(seed: int, *shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Tensors of standard normal numbers, float64."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
