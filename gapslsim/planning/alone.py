"""What the clients of a group take where nobody else is, in each stage of a round, and of what all share.

Barriers cut a round into stages: what the server computes once for all, and what lies between. In each, everyone takes
at least what it takes alone; and what all share, a link or the server, is busy for the sum of what each needs of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gapslsim.network.network import LinkUseFields
from gapslsim.records import SpanRow

__all__ = ["Alone", "Array", "Server", "Staged", "Use", "barriers_of"]

Array = NDArray[np.float64]
Server = tuple[str, str]
"""A computation of a server: `server`, `server_step`."""
_HANDLING = ("serialise", "deserialise", "loading")
_WAITING = ("server_queue", "server_compute", "waiting", "radio_tail")


@dataclass(frozen=True, eq=False)
class Use:
    """How long each station is busy in each stage: arrays [stages, stations] in seconds."""

    busy_s: Array
    lead_s: Array
    """Of the stage, before the station is used; infinite where it is not."""
    tail_s: Array
    """Of the stage, after that."""

    def times(self, n: int) -> Use:
        """Of so many clients alike."""
        return Use(n * self.busy_s, self.lead_s, self.tail_s)


@dataclass(frozen=True, eq=False)
class Alone:
    """What the clients of a group take where nobody else is: a lower bound of what they take among others."""

    stage_s: Array
    """Of one of them, in each stage of the rounds that are timed [stages]."""
    use: Use
    """Of stations, by all of its clients."""
    excess_j: float
    """Energy of its clients beyond idle power, per round."""
    bytes: float
    """Sent and received by its clients, per round."""
    samples: float
    """Of a round, over all of its clients."""
    idle_w: float
    """Over all of its clients."""
    server_idle_w: float


def barriers_of(one: Sequence[SpanRow], everyone: Sequence[SpanRow]) -> frozenset[Server]:
    """What a server computes as often for one client as for all, while the one waits: for all at once, who wait for it.

    Args:
        one: spans of a run of one client alone.
        everyone: of all.
    """
    n_one, n_all = (
        Counter((span.actor, span.phase) for span in spans if span.client < 0) for spans in (one, everyone)
    )
    busy = [span for span in one if span.client >= 0 and span.phase not in _WAITING]
    beside = {
        (at.actor, at.phase)
        for at in one
        if at.client < 0 and any(at.start_s < s.end_s and s.start_s < at.end_s for s in busy)
    }
    alike = {key for key, n in n_one.items() if n_all[key] == n and key[1] not in _HANDLING}
    return frozenset(alike - beside)


class Staged:
    """A run of some rounds, cut at its barriers.

    Args:
        spans: what was done.
        ends_s: of its rounds.
        barriers: computations for all at once.
    """

    def __init__(self, spans: Sequence[SpanRow], ends_s: Array, barriers: frozenset[Server]) -> None:
        self._spans, self._barriers = spans, barriers
        edges_s, labels = [0.0], list[Server | None]()
        at = [s for s in spans if s.client < 0 and (s.actor, s.phase) in barriers]
        at.sort(key=lambda span: span.start_s)
        for number, end_s in enumerate(ends_s.tolist(), 1):
            for span in (span for span in at if span.round == number):
                edges_s += [span.start_s, span.end_s]
                labels += [None, (span.actor, span.phase)]
            edges_s.append(end_s)
            labels.append(None)
        self._edges_s = np.array(edges_s)
        self.labels = labels
        """Of each stage what is computed at its barrier; None between barriers."""

    @property
    def stage_s(self) -> Array:
        """How long each stage takes, without waiting for samples: others may hide that [stages]."""
        loading = [(s.start_s, s.end_s) for s in self._spans if s.phase == "loading" and s.client >= 0]
        lengths_s: Array = np.diff(self._edges_s)
        return lengths_s - self._within(*np.reshape(loading, (-1, 2)).T).sum(1) if loading else lengths_s

    def use(self, stations: Sequence[str], link_use: Iterable[LinkUseFields]) -> Use:
        """How long stations are busy: links by their load, servers by what they compute for single clients.

        Args:
            stations: names of links and servers.
            link_use: loads of links over time.
        """
        shape = len(self.labels), len(stations)
        used = Use(np.zeros(shape), np.full(shape, np.inf), np.full(shape, np.inf))
        rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in stations}
        for link, start_s, end_s, rate, capacity, _ in link_use:
            if link in rows:
                rows[link].append((start_s, end_s, rate / capacity))
        for span in self._spans:
            if span.client < 0 and span.actor in rows and (span.actor, span.phase) not in self._barriers:
                rows[span.actor].append((span.start_s, span.end_s, 1.0))
        for place, name in enumerate(stations):
            if not rows[name]:
                continue
            start_s, end_s, share = np.array(rows[name]).T
            within = self._within(start_s, end_s)
            used.busy_s[:, place] = within @ share
            for stage in np.flatnonzero(used.busy_s[:, place]):
                there, (low_s, high_s) = within[stage] > 0, self._edges_s[stage : stage + 2]
                used.lead_s[stage, place] = max(0.0, start_s[there].min() - low_s)
                used.tail_s[stage, place] = max(0.0, high_s - end_s[there].max())
        return used

    def _within(self, start_s: Array, end_s: Array) -> Array:
        """How much of each interval lies in each stage [stages, intervals]."""
        low_s, high_s = self._edges_s[:-1, None], self._edges_s[1:, None]
        within: Array = np.maximum(np.minimum(high_s, end_s) - np.maximum(low_s, start_s), 0.0)
        return within
