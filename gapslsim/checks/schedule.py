"""Invariants of learning-rate schedules: a factor is a pure function of the step."""

from __future__ import annotations

from functools import partial

from gapslsim.checks._tools import check_pure, is_amount
from gapslsim.checks.check import InvariantError, require
from gapslsim.errors import GapslsimError
from gapslsim.learning.optimizer import Schedule


def factors_are_sound(schedule: Schedule) -> None:
    """`factor` is finite and 0 or more at every step, past the last planned one too, and the same each time.

    It must be finite and 0 or more.
    """
    for planned in (1, 10, 1000):
        for step in (0, 1, planned // 2, planned - 1, planned, 3 * planned + 1):
            what, factor = f"factor({step}, {planned})", schedule.factor(step, planned)
            require(is_amount(factor), f"{what} is {factor!r}")
            check_pure(what, partial(schedule.factor, step, planned), {})


def unknown_ends_are_told(schedule: Schedule) -> None:
    """Without a planned number of steps it works, or says in words that it needs one.

    Say True if it needs or reads one; a factor is finite and 0 or more.
    """
    is_read = schedule.reads_planned_steps
    try:
        factor = schedule.factor(3, None)
    except GapslsimError as error:
        if is_read:
            return
        raise InvariantError(
            f"factor(3, None) refuses ({error}), and `reads_planned_steps` says False"
        ) from error
    require(is_amount(factor), f"factor(3, None) is {factor!r}")
    said = "a factor depends on `planned_steps`, and `reads_planned_steps` says False"
    require(is_read or factor == schedule.factor(3, 5), said)
