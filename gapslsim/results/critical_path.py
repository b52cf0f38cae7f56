"""What set the pace: the unbroken chain of work and transfers that ends when a round ends.

From the end of a round backwards: what ended just then, what ended when that began, and so on to the start. Shortening
anything that is not on the chain would not have ended the round sooner.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pandas as pd

from gapslsim.results import words

__all__ = ["critical_path", "describe", "pace"]

_SHADOWS: Final = frozenset({"waiting", "server_queue", "server_compute"})
"""Phases in which a client waits for another actor."""
_TOLERANCE: Final = 1e-9
"""Relative to the clock; instants nearer than this are one."""


class _Link(NamedTuple):
    """One part of the chain, in the order of time."""

    round: int
    actor: str
    client: int
    """-1 for a server."""
    phase: str
    """As in the spans; `idle` where nothing was under way."""
    start_s: float
    end_s: float


class _Span(NamedTuple):
    end_s: float
    start_s: float
    actor: str
    client: int
    phase: str


def critical_path(spans: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """The chain of every round.

    Returns:
        Columns round, actor, client (-1 for a server), phase (`idle` where nothing was under way), start_s, end_s;
        the durations of a round's rows sum to the round's.
    """
    work = spans[~spans["phase"].isin(_SHADOWS) & (spans["end_s"] > spans["start_s"])]
    of_round = dict(iter(work.groupby("round", sort=False)))
    links: list[_Link] = []
    for row in rounds.itertuples(index=False):
        found: Any = of_round.get(row.round)
        columns = ["end_s", "start_s", "actor", "client", "phase"]
        own = (
            [_Span(*values) for values in found[columns].itertuples(index=False)] if found is not None else []
        )
        links += reversed(list(_backwards(int(row.round), sorted(own), float(row.start_s), float(row.end_s))))
    table = pd.DataFrame(links, columns=list(_Link._fields))
    return table.astype({"round": "int64", "client": "int64", "start_s": "float64", "end_s": "float64"})


def _backwards(round: int, spans: list[_Span], start_s: float, end_s: float) -> Iterator[_Link]:
    """The chain from the end to the start."""
    now, actor = end_s, ""
    slack = _TOLERANCE * max(end_s, 1e-3)
    while now > start_s + slack:
        place = bisect_left(spans, (now + slack,))
        if place == 0:
            yield _Link(round, "", -1, "idle", start_s, now)
            return
        last_s = spans[place - 1].end_s
        if last_s < now - slack:
            yield _Link(round, "", -1, "idle", last_s, now)
            now = last_s
            continue
        first = bisect_left(spans, (now - slack,))
        span = _latest(spans[first:place], actor)
        begin_s = max(span.start_s, start_s)
        yield _Link(round, span.actor, span.client, span.phase, begin_s, now)
        # A span that does not move the clock would be found again and again.
        spans = spans[:first]
        now, actor = begin_s, span.actor


def _latest(ended: list[_Span], actor: str) -> _Span:
    """Of spans that ended together: that of the same actor, else a server's, else the one that began first."""
    return min(ended, key=lambda span: (span.actor != actor, span.client >= 0, span.start_s, span.client))


def pace(path: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """Per round the client and the phase that are longest on its chain.

    Returns:
        One row per round: round, duration_s, client (-1: servers alone), client_s, actor and phase of the longest
        part, phase_s.
    """
    table = path.assign(seconds=path["end_s"] - path["start_s"])
    rows = []
    for row in rounds.itertuples(index=False):
        own = table[table["round"] == row.round]
        of_clients = own[own["client"] >= 0].groupby("client")["seconds"].sum()
        by_phase = own.groupby(["actor", "phase"])["seconds"].sum()
        client = int(of_clients.idxmax()) if len(of_clients) else -1
        actor, phase = by_phase.idxmax() if len(by_phase) else ("", "idle")
        rows.append(
            {
                "round": int(row.round),
                "duration_s": float(row.end_s - row.start_s),
                "client": client,
                "client_s": float(of_clients.max()) if len(of_clients) else 0.0,
                "actor": actor,
                "phase": phase,
                "phase_s": float(by_phase.max()) if len(by_phase) else 0.0,
            }
        )
    return pd.DataFrame(rows)


def describe(path: pd.DataFrame, paced: pd.DataFrame) -> str:
    """The main findings in a few words, for instance which client set the pace most often."""
    if paced.empty:
        return "There is no round."
    seconds = path["end_s"] - path["start_s"]
    by_phase = seconds.groupby([path["actor"].where(path["client"] < 0, "clients"), path["phase"]]).sum()
    who, phase = by_phase.idxmax()
    share = words.share(float(by_phase.max()), float(seconds.sum()))
    clients = paced.loc[paced["client"] >= 0, "client"].value_counts()
    told = f"{phase} of {'the ' if who != 'clients' else ''}{who} takes {share} of the chain"
    if clients.empty:
        return f"No client is on the chain; {told}."
    client, times = int(clients.index[0]), int(clients.iloc[0])
    return f"client-{client} set the pace in {times} of {len(paced)} rounds; {told}."
