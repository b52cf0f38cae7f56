"""Invariants of latencies: what messages draw is a delay, the same for the same stream."""

from __future__ import annotations

from gapslsim.checks._tools import is_amount
from gapslsim.checks.check import require
from gapslsim.network.latency import Direction, Latency
from gapslsim.rng import stream

_N_MESSAGES = 2000
_WAYS: tuple[Direction, Direction] = ("up", "down")


def _drawn(latency: Latency, way: Direction) -> list[float]:
    delays = latency.of(way).delays(stream(1, "latency", f"client-0/{way}"))
    return [delays(0.01 * message) for message in range(_N_MESSAGES)]


def delays_are_delays(latency: Latency) -> None:
    """Every delay is a finite number of seconds, 0 or more.

    Cut off what the distribution has below 0.
    """
    for way in _WAYS:
        wrong = next((delay for delay in _drawn(latency, way) if not is_amount(delay)), None)
        require(wrong is None, f"a message {way} drew {wrong!r} s")


def delays_come_from_the_stream(latency: Latency) -> None:
    """The same stream gives the same delays.

    Draw from `random` alone, and remember in local variables of `delays`.
    """
    for way in _WAYS:
        require(
            _drawn(latency, way) == _drawn(latency, way), f"messages {way} draw otherwise when asked again"
        )


def summaries_fit(latency: Latency) -> None:
    """`constant_s` and `mean_s` say what the delays do.

    Of the first say None unless all delays are equal. The second must be finite and 0 or more: routes and round trips
    are reckoned with it.
    """
    for way in _WAYS:
        one, drawn = latency.of(way), _drawn(latency, way)
        require(is_amount(one.mean_s), f"mean_s is {one.mean_s!r}")
        said = f"constant_s is {one.constant_s!r}, and messages {way} draw {drawn[:3]!r}, ..."
        require(one.constant_s is None or set(drawn) == {one.constant_s}, said)
