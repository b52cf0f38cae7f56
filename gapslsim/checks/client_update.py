"""Invariants of the clients' rule: what it does with a gradient is pure, and costs what its shapes say."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapslsim.checks._tools import check_costs, check_kept, check_pure, noise
from gapslsim.checks.check import InapplicableError, require
from gapslsim.learning.rules import ClientUpdate

_SHAPES = ((4, 3), (4,), (2, 3, 1))


def _given(rule: ClientUpdate) -> dict[str, Any]:
    """Arguments of `adjust` by name.

    Raises:
        InapplicableError: if it is never called.
    """
    if not rule.trains:
        raise InapplicableError("it never trains")
    return {name: noise(seed, *_SHAPES) for seed, name in enumerate(("gradients", "parameters", "initial"))}


def gradients_keep_their_shapes(rule: ClientUpdate) -> None:
    """`adjust` gives one finite gradient per parameter, of its shape and type."""
    given = _given(rule)
    check_kept("gradients", "of adjust", rule.adjust(*given.values()), given["parameters"])


def adjusting_is_pure(rule: ClientUpdate) -> None:
    """`adjust` is pure: the same twice, and nothing that it is given is written to."""
    given = _given(rule)
    check_pure("adjust", lambda: rule.adjust(*given.values()), given)


def costs_are_sound(rule: ClientUpdate) -> None:
    """`cost` is finite, 0 or more, comes from the number of parameters alone and does not fall with it."""
    check_costs(rule.cost, (10,), (1000,))


def training_is_said_plainly(rule: ClientUpdate) -> None:
    """`trains_in` says yes or no for every round.

    Return True or False; say `trains` True if it ever trains.
    """
    for round, epoch in ((1, 0.0), (2, 0.5), (1000, 80.0)):
        said = rule.trains_in(round, epoch)
        holds = isinstance(said, (bool, np.bool_)) and (rule.trains or not said)
        require(holds, f"trains is {rule.trains}, and trains_in({round}, {epoch}) {said!r}")
