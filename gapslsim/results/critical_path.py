"""What set the pace: the unbroken chain of work and transfers that ends when a round ends.

From the end of a round backwards: what ended just then, what ended when that began, and so on to the start. Shortening
anything that is not on the chain would not have ended the round sooner.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

import pandas as pd

from gapslsim.results import words
from gapslsim.results.categories import LABELS, category_of
from gapslsim.results.names import Names
from gapslsim.tables.table import Table

__all__ = ["by_group", "chain_by_group", "critical_path", "describe", "pace"]

_SHADOWS: Final = frozenset({"waiting", "server_queue", "server_compute"})
"""Phases in which a client waits for another actor."""
_TOLERANCE: Final = 1e-9
"""Relative to the clock; instants nearer than this are one."""


class _Part(NamedTuple):
    """Of a chain, or a span that may become one. Sorted by its end."""

    end_s: float
    start_s: float
    actor: str
    client: int
    """-1 for a server."""
    phase: str
    """As in the spans; `idle` where nothing was under way."""


def critical_path(spans: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """The chain of every round.

    Returns:
        Columns round, actor, client (-1 for a server), phase (`idle` where nothing was under way), start_s, end_s;
        the durations of a round's rows sum to the round's.
    """
    work = spans[~spans["phase"].isin(_SHADOWS) & (spans["end_s"] > spans["start_s"])]
    of_round = {
        number: sorted(_Part(*values) for values in own.itertuples(index=False, name=None))
        for number, own in work.groupby("round", sort=False)[list(_Part._fields)]
    }
    links = [
        (row.round, *part)
        for row in rounds.itertuples(index=False)
        for part in reversed(list(_backwards(of_round.get(row.round, []), row.start_s, row.end_s)))
    ]
    table = pd.DataFrame(links, columns=["round", *_Part._fields])
    types = {
        "round": "int64",
        "actor": table["actor"].dtype,
        "client": "int64",
        "phase": table["phase"].dtype,
    }
    return table.astype(types | {"start_s": "float64", "end_s": "float64"})[[*types, "start_s", "end_s"]]


def _backwards(spans: list[_Part], start_s: float, end_s: float) -> Iterator[_Part]:
    """The chain from the end to the start."""
    now, actor = end_s, ""
    slack = _TOLERANCE * max(end_s, 1e-3)
    while now > start_s + slack:
        place = bisect_left(spans, (now + slack,))
        last_s = spans[place - 1].end_s if place else start_s
        if place == 0 or last_s < now - slack:
            yield _Part(now, last_s, "", -1, "idle")
            now = last_s
            continue
        first = bisect_left(spans, (now - slack,))
        span = _latest(spans[first:place], actor)
        begin_s = max(span.start_s, start_s)
        yield span._replace(start_s=begin_s, end_s=now)
        # A span that does not move the clock would be found again and again.
        spans = spans[:first]
        now, actor = begin_s, span.actor


def _latest(ended: list[_Part], actor: str) -> _Part:
    """Of spans that ended together: that of the same actor, else a server's, else the one that began first."""
    return min(ended, key=lambda span: (span.actor != actor, span.client >= 0, span.start_s, span.client))


def pace(path: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """Per round the client and the phase that are longest on its chain.

    Returns:
        One row per round: round, duration_s, client (-1: servers alone), client_s, actor and phase of the longest
        part, phase_s.
    """
    table = path.assign(seconds=path["end_s"] - path["start_s"])
    of_round, nothing = dict(iter(table.groupby("round", sort=False))), table.iloc[:0]
    rows = []
    for row in rounds.itertuples(index=False):
        own = of_round.get(row.round, nothing)
        of_clients = own[own["client"] >= 0].groupby("client")["seconds"].sum()
        by_phase = own.groupby(["actor", "phase"])["seconds"].sum()
        client, client_s = (of_clients.idxmax(), of_clients.max()) if len(of_clients) else (-1, 0.0)
        (actor, phase), phase_s = (
            (by_phase.idxmax(), by_phase.max()) if len(by_phase) else (("", "idle"), 0.0)
        )
        rows.append((row.round, row.end_s - row.start_s, client, client_s, actor, phase, phase_s))
    columns = ["round", "duration_s", "client", "client_s", "actor", "phase", "phase_s"]
    return pd.DataFrame(rows, columns=columns)


def by_group(path: pd.DataFrame, names: Names) -> pd.DataFrame:
    """The chain by who is on it and what is done: three identical phones are one cause.

    Returns:
        Columns who (a client group, `server`, `parameter-server`, or empty where nothing was under way), what (a
        category, or `idle`), seconds, share of the chain; the largest first. The seconds sum to those of the rounds.
    """
    who = [names.group(c) if c >= 0 else a for a, c in zip(path["actor"], path["client"], strict=True)]
    what = [
        "idle" if phase == "idle" else category_of(phase, client)
        for phase, client in zip(path["phase"], path["client"], strict=True)
    ]
    table = pd.DataFrame({"who": who, "what": what, "seconds": path["end_s"] - path["start_s"]})
    return _shares(table.groupby(["who", "what"], sort=False, as_index=False)["seconds"].sum())


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    table["share"] = table["seconds"] / (table["seconds"].sum() or 1.0)
    return table.sort_values("seconds", ascending=False, kind="stable", ignore_index=True)


def chain_by_group(spans: Table, rounds: pd.DataFrame, names: Names) -> pd.DataFrame:
    """As `by_group` of the chain of every round, without all spans in memory."""
    parts, seen = [], -math.inf
    for piece in spans.whole_rounds(["round", *_Part._fields]):
        last = piece["round"].iloc[-1]
        own = rounds[(rounds["round"] > seen) & (rounds["round"] <= last)]
        parts.append(by_group(critical_path(piece, own), names))
        seen = last
    rest = rounds[rounds["round"] > seen]  # Rounds in which nothing was done are idle.
    table = pd.concat([*parts, by_group(critical_path(spans.select(round=(1, 0)), rest), names)])
    return _shares(table.groupby(["who", "what"], sort=False, as_index=False)["seconds"].sum())


def describe(path: pd.DataFrame, paced: pd.DataFrame, names: Names) -> str:
    """The main findings in a few words: which group set the pace most often, and with what."""
    if paced.empty:
        return "There is no round."
    top = by_group(path, names).iloc[0]
    what = LABELS.get(top["what"], top["what"])
    told = (
        f"{what} of {top['who']} takes" if top["who"] else "waiting for nothing that computes or sends takes"
    )
    told = f"{told} {words.share(top['share'], 1.0)} of the chain"
    groups = paced.loc[paced["client"] >= 0, "client"].map(names.group).value_counts()
    if groups.empty:
        return f"No client is on the chain; {told}."
    return f"{groups.index[0]} set the pace in {groups.iloc[0]} of {len(paced)} rounds; {told}."
