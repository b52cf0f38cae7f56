"""Invariants of channels: what `steps` yields is a rate over time, the same for the same stream."""

from __future__ import annotations

from itertools import islice

from gapslsim.checks._timeline import begins_at_zero, is_the_same_again, lasts, times_ascend
from gapslsim.checks._tools import is_amount
from gapslsim.checks.check import require
from gapslsim.network.channel import Channel
from gapslsim.rng import stream

_N_STEPS = 2000
_SHORT_S = 1e-6


def _steps(channel: Channel) -> list[tuple[float, float]]:
    return list(islice(channel.steps(stream(1, "channel", "client-0/up")), _N_STEPS))


def steps_begin_at_zero(channel: Channel) -> None:
    """The first step is at 0 s.

    Yield (0.0, rate) at first.
    """
    begins_at_zero(_steps(channel), "step")


def times_grow(channel: Channel) -> None:
    """Times are finite and grow from step to step.

    Each time is later than the one before. Times count from the start of the run, they are no durations.
    """
    times_ascend(_steps(channel), "step")


def rates_are_rates(channel: Channel) -> None:
    """Rates are finite numbers of bit/s, 0 or more.

    It must be finite and 0 or more.
    """
    for at_s, rate in _steps(channel):
        require(is_amount(rate), f"the rate at {at_s:g} s is {rate!r} bit/s")


def rates_come_from_the_stream(channel: Channel) -> None:
    """The same stream gives the same steps.

    Draw from `random` alone, and remember in local variables of `steps`.
    """
    is_the_same_again(_steps(channel), _steps(channel), "step")


def steps_are_not_too_short(channel: Channel) -> None:
    """Steps are long enough to be stepped through: a microsecond or more on average.

    A link in use looks at every step, so that runs would never end. Times are in seconds.
    """
    lasts(_steps(channel), "step", _SHORT_S)


def something_passes(channel: Channel) -> str | None:
    """Something can pass at some time."""
    steps = _steps(channel)
    if any(rate > 0 for _, rate in steps):
        return None
    return f"its first {len(steps)} steps have a rate of 0; a transfer over it waits for {steps[-1][0]:g} s or for ever"


def summaries_fit(channel: Channel) -> None:
    """`constant_bit_per_s` and `mean_bit_per_s` say what the steps do.

    Of the first say None unless the rate never changes. The second must be finite and 0 or more, or None; links of mean
    0 are refused.
    """
    constant, mean, steps = channel.constant_bit_per_s, channel.mean_bit_per_s, _steps(channel)
    said = f"constant_bit_per_s is {constant!r}, and the steps are {steps[:2]!r}, ..."
    require(constant is None or steps == [(0.0, constant)], said)
    moves = any(rate > 0 for _, rate in steps[: max(1, len(steps) - 1)])
    holds = mean is None or (is_amount(mean) and not (mean == 0 and moves))
    require(holds, f"mean_bit_per_s is {mean!r}, and the steps are {steps[:2]!r}, ...")
