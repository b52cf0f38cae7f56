"""Invariants of participation: who is chosen are clients, drawn from the round's stream, as many as is said."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from gapslsim.checks.check import InvariantError, require
from gapslsim.frameworks.slots import Participation
from gapslsim.rng import stream

_N_ROUNDS = 200
_FLEETS = (1, 2, 3, 10, 57)


def _choices(rule: Participation) -> dict[int, list[tuple[int, ...]]]:
    """Who was chosen in many rounds, by the size of the fleet.

    Raises:
        InvariantError: if it refuses all fleets.
    """
    fleets = [n for n in _FLEETS if not rule.problems(n)]
    if not fleets:
        raise InvariantError("it refuses fleets of 1 to 57 clients", rule.problems(10)[0])
    streams = [partial(stream, 1, "participation", round) for round in range(_N_ROUNDS)]
    return {n: [rule.choose(n, random) for random in streams] for n in fleets}


def choices_are_clients(rule: Participation) -> None:
    """`choose` gives at least one client, each once, in ascending order, as plain integers within the fleet.

    Return a tuple of int (`array.tolist()` gives them), at least one, each client once, in ascending order.
    """
    for n, chosen in ((n, chosen) for n, rounds in _choices(rule).items() for chosen in rounds):
        said = f"of {n} clients it chose {chosen!r:.80}"
        require(isinstance(chosen, tuple) and all(type(client) is int for client in chosen), said)
        require(chosen and list(chosen) == sorted(set(chosen)), said)
        require(0 <= chosen[0] <= chosen[-1] < n, f"{said}, and indices go from 0 to {n - 1}")


def choices_come_from_the_stream(rule: Participation) -> None:
    """`choose` gives the same clients for the same stream.

    Draw from `random()` alone, and remember nothing from round to round.
    """
    require(_choices(rule) == _choices(rule), "choose gave other clients for the same stream")


def share_is_expected(rule: Participation) -> None:
    """`expected_share` is the share that is chosen on average.

    It is above 0 and at most 1; epochs and schedules are planned by it.
    """
    for n, rounds in _choices(rule).items():
        shares = [len(chosen) / n for chosen in rounds]
        said, found = rule.expected_share(n), float(np.mean(shares))
        slack = 5 * float(np.std(shares)) / math.sqrt(len(shares)) + 1e-9
        words = f"expected_share({n}) is {said:g}, and {found:g} of the clients were chosen in {len(shares)} rounds"
        require(0 < said <= 1 and abs(said - found) <= slack, words)
