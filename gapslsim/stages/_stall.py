"""Why nothing goes on: who waits for whom, since when, over which link or for whose return."""

from __future__ import annotations

from collections.abc import Iterable

from gapslsim.network.network import Network
from gapslsim.sim.presence import Presence

__all__ = ["who_waits"]

_NAMED = 3


def who_waits(network: Network, presences: Iterable[Presence]) -> str:
    """In words, the first few and how many more; asked only when nothing goes on any more."""
    reasons = [
        f"{stuck.target} waits for {stuck.source}, which waits for {_size(stuck.rest_bytes)} over {stuck.link}, rate 0 "
        f"for ever, since {stuck.since_s:g} s"
        for stuck in network.stuck()
    ]
    reasons += [
        f"{presence.name} is away for ever, since {presence.absences[-1][0]:g} s, and is waited for"
        for presence in presences
        if presence.is_awaited
    ]
    if not reasons:
        return (
            "the framework waits for something that can never happen: nothing is computed and nothing is under way. "
            "Look for a wait on an activity that never ends"
        )
    more = len(reasons) - _NAMED
    return "; ".join(reasons[:_NAMED]) + (f"; and {more} more wait likewise" if more > 0 else "")


def _size(size_bytes: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes:.0f} B"
