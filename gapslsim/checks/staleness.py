"""Invariants of weights of staleness."""

from __future__ import annotations

from gapslsim.checks.check import require
from gapslsim.frameworks.staleness import Staleness


def weights_are_shares(staleness: Staleness) -> None:
    """Weights lie in [0, 1].

    A weight above 1 would make a stale gradient count more than a fresh one; one below 0 would turn it round.
    """
    for s in range(200):
        weight = staleness.weight(s)
        require(0 <= weight <= 1, f"the weight of staleness {s} is {weight!r}")


def what_is_fresh_counts_in_full(staleness: Staleness) -> None:
    """The weight of staleness 0 is 1.

    Scale the learning rate instead, if all shall count less.
    """
    require(staleness.weight(0) == 1, f"it is {staleness.weight(0)!r}")


def weights_do_not_grow(staleness: Staleness) -> None:
    """The staler, the less it counts.

    Let the weight fall, or stay, as staleness grows.
    """
    for s in range(200):
        now, then = staleness.weight(s), staleness.weight(s + 1)
        require(then <= now, f"from {s} to {s + 1} it grows from {now:g} to {then:g}")
