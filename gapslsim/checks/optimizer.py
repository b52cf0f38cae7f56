"""Invariants of optimizers: a step is a pure function that goes down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapslsim.checks._tools import check_costs, check_kept, check_pure, noise, same
from gapslsim.checks.check import InapplicableError, require
from gapslsim.learning.optimizer import Optimizer

if TYPE_CHECKING:
    from torch import Tensor

_PLANNED = 50
_SHAPES = ((4, 3), (4,))


def _parameters(seed: int = 1) -> tuple[Tensor, ...]:
    return tuple(10 + tensor.abs() for tensor in noise(seed, *_SHAPES))


def stepping_is_pure(optimizer: Optimizer) -> None:
    """`step` is pure: the same twice, and parameters, gradients and state stay as they were."""
    parameters, gradients = _parameters(), _parameters(2)
    state: Any = optimizer.initial(parameters)
    given = {"parameters": parameters, "gradients": gradients, "state": state}
    check_pure("step", lambda: optimizer.step(parameters, gradients, state, 0, _PLANNED), given)


def steps_keep_shapes(optimizer: Optimizer) -> None:
    """`step` gives finite parameters of the same shapes and type, step after step, also for a side without any."""
    optimizer.step((), (), optimizer.initial(()), 0, _PLANNED)
    parameters = _parameters()
    state = optimizer.initial(parameters)
    for step in range(3):
        after, state = optimizer.step(parameters, _parameters(2), state, step, _PLANNED)
        check_kept("parameters", f"after step {step}", after, parameters)
        parameters = tuple(after)


def slots_are_counted(optimizer: Optimizer) -> None:
    """`n_slots` is how many tensors of the parameters' size the state holds, at first and later.

    Memory and messages are sized by it.
    """
    parameters = _parameters()
    state = optimizer.initial(parameters)
    for when in ("initial state", "state after a step"):
        n = sum([tensor.shape for tensor in slot] == [p.shape for p in parameters] for slot in state.values())
        said = f"n_slots is {optimizer.n_slots}, and the {when} has {n} slots of the parameters' shapes"
        require(n == optimizer.n_slots, f"{said} ({', '.join(sorted(state)) or 'none'})")
        state = optimizer.step(parameters, _parameters(2), state, 0, _PLANNED)[1]


def a_step_goes_down(optimizer: Optimizer) -> None:
    """Steps on a quadratic, f(w) = |w|^2 / 2 from about 11, lower it.

    Parameters go against their gradients, and the learning rate (--set its `lr`) must be small enough.
    """
    parameters = _parameters()
    state, values = optimizer.initial(parameters), []
    for step in range(4):
        values.append(sum(float((p * p).sum()) / 2 for p in parameters))
        parameters, state = optimizer.step(parameters, parameters, state, step, _PLANNED)
    require(values[-1] < values[0], f"three steps took f from {values[0]:.6g} to {values[-1]:.6g}")


def costs_are_sound(optimizer: Optimizer) -> None:
    """`cost` is finite, 0 or more, and does not fall as parameters become more."""
    check_costs(optimizer.cost, (0,), (10,), (1000,))


def planned_steps_are_read_as_said(optimizer: Optimizer) -> None:
    """The planned number of steps matters only where `reads_planned_steps` says so.

    Say True.
    """
    if optimizer.reads_planned_steps:
        raise InapplicableError("it says that it reads them")
    parameters, gradients = _parameters(), _parameters(2)
    state = optimizer.initial(parameters)
    one, *others = (optimizer.step(parameters, gradients, state, 3, planned)[0] for planned in (None, 5, 500))
    said = "a step depends on `planned_steps`, and `reads_planned_steps` says False"
    require(all(same(one, other) for other in others), said)
