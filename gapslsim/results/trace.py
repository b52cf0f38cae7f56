"""A run as a trace that Perfetto and chrome://tracing open: tracks of devices and links, arrows, counters.

Source: Trace Event Format (Google, JSON object format): `X` complete events, `C` counters, `M` metadata, `s`/`f` flows
bound to the slice that encloses them. Times are microseconds with three decimals: whole nanoseconds, so that slices of
one track meet without gap or overlap.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results.categories import actor_order, category_of, received, sent
from gapslsim.results.results import Results
from gapslsim.results.store import write_text

__all__ = ["write_trace"]

_Event = dict[str, Any]

_DEVICES: Final = 1
_LINKS: Final = 2
_COUNTERS: Final = 3
"""Process ids: the groups of tracks."""
_ROUNDING: Final = 1e-12
"""Relative; instants nearer than this are one."""
_GROUPS: Final = {_DEVICES: "devices", _LINKS: "links", _COUNTERS: "queues"}


def write_trace(results: Results, path: Path, rounds: tuple[int, int] | None = None) -> int:
    """Writes the trace of a run; returns the number of events.

    Args:
        results: of a run, also a dry one.
        path: a file that ends in `.json`.
        rounds: first and last round to write; all by default.

    Raises:
        ResultsError: if there are no spans in these rounds, or the file cannot be written.
    """
    events = list(trace_events(results, rounds))
    about = {key: results.summary[key] for key in ("name", "framework", "seed", "timeline_sha256")}
    lines = ",\n".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events)
    head = json.dumps({"displayTimeUnit": "ms", "otherData": {k: str(v) for k, v in about.items()}})
    write_text(path, f'{head[:-1]}, "traceEvents": [\n{lines}\n]}}\n')
    return len(events)


def trace_events(results: Results, rounds: tuple[int, int] | None = None) -> Iterator[_Event]:
    """All events: names of tracks first, then slices, arrows and counters."""
    spans, links = results.spans, results.links
    if rounds is not None:
        spans = spans[spans["round"].between(*rounds)]
        if len(spans):
            begin_s, end_s = spans["start_s"].min(), spans["end_s"].max()
            links = links[(links["start_s"] < end_s) & (links["end_s"] > begin_s)]
    if spans.empty:
        known = int(results.rounds["round"].max()) if len(results.rounds) else 0
        raise ResultsError(f"{results.label} has no spans in these rounds; it has rounds 1 to {known}")
    spans = spans.sort_values(["start_s", "end_s"], kind="stable").reset_index(drop=True)
    actors = sorted(spans["actor"].unique(), key=actor_order)
    names = sorted(links["link"].unique())
    tids = {actor: index for index, actor in enumerate(actors, 1)}
    link_tids = {name: index for index, name in enumerate(names, 1)}
    yield from _names(tids, link_tids)
    yield from _slices(spans, tids)
    yield from _arrows(spans, tids)
    yield from _link_events(links, link_tids)
    yield from _queue(spans)


def _names(tids: dict[str, int], link_tids: dict[str, int]) -> Iterator[_Event]:
    for pid, name in _GROUPS.items():
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}}
    for pid, group in ((_DEVICES, tids), (_LINKS, link_tids)):
        for name, tid in group.items():
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}
            yield {
                "ph": "M",
                "name": "thread_sort_index",
                "pid": pid,
                "tid": tid,
                "args": {"sort_index": tid},
            }


def _slices(spans: pd.DataFrame, tids: dict[str, int]) -> Iterator[_Event]:
    """One slice per span, on the track of its actor."""
    for row in spans.itertuples(index=False):
        category = category_of(row.phase, row.client)
        args: _Event = {"round": int(row.round), "energy_j": float(row.energy_j)}
        if row.size_bytes:
            args["size_bytes"] = int(row.size_bytes)
        if row.work_flop:
            args["work_flop"] = float(row.work_flop)
        start, end = _ns(row.start_s), _ns(row.end_s)
        yield {
            "ph": "X", "name": row.phase, "cat": category, "pid": _DEVICES, "tid": tids[row.actor],
            "ts": start / 1000, "dur": (end - start) / 1000, "args": args,
        }  # fmt: skip


def _arrows(spans: pd.DataFrame, tids: dict[str, int]) -> Iterator[_Event]:
    """From what was sent to what it set off: uplink to server, server to downlink, client to client."""
    of_servers = spans[spans["client"] < 0]
    servers = {actor: _Computations(own) for actor, own in of_servers.groupby("actor", sort=False)}
    number = 0
    inward = spans[spans["phase"].str.endswith("_in") & (spans["client"] >= 0)]
    arrivals = {
        (row.start_s, row.end_s, row.size_bytes, row.phase.removesuffix("_in")): row
        for row in inward.itertuples(index=False)
    }
    # What was broken off never arrived, so it set nothing off.
    done = spans[(spans["client"] >= 0) & spans["phase"].map(lambda phase: sent(phase) or received(phase))]
    for row in done.itertuples(index=False):
        pair: tuple[Any, Any] | None = None
        if row.phase.endswith("uplink"):
            server = servers.get(_server_of(row.phase, servers))
            found = server.next(row.end_s) if server is not None else None
            pair = (row, found) if found is not None else None
        elif row.phase.endswith("downlink"):
            server = servers.get(_server_of(row.phase, servers))
            found = server.previous(row.start_s) if server is not None else None
            pair = (found, row) if found is not None else None
        elif row.phase.endswith("_out"):
            key = (row.start_s, row.end_s, row.size_bytes, row.phase.removesuffix("_out"))
            pair = (row, arrivals[key]) if key in arrivals else None
        if pair is not None and pair[0].round == pair[1].round:
            number += 1
            yield from _arrow(number, *pair, tids)


def _arrow(number: int, source: Any, target: Any, tids: dict[str, int]) -> Iterator[_Event]:
    """A flow from the middle of one slice to the middle of another, which binds it to both."""
    common = {"cat": "flow", "name": "message", "id": number, "pid": _DEVICES}
    yield {"ph": "s", "ts": _middle(source), "tid": tids[source.actor], **common}
    yield {"ph": "f", "bp": "e", "ts": _middle(target), "tid": tids[target.actor], **common}


def _server_of(phase: str, servers: dict[Any, Any]) -> str:
    """Models go to the parameter server where there is one, all else to the server."""
    return "parameter-server" if phase.startswith("model_") and "parameter-server" in servers else "server"


class _Computations:
    """Spans of one server in the order of time."""

    def __init__(self, spans: pd.DataFrame) -> None:
        self._rows: list[Any] = list(spans.itertuples(index=False))
        self._starts = [row.start_s for row in self._rows]
        self._ends = [row.end_s for row in self._rows]

    def next(self, now_s: float) -> Any:
        """The first that begins at or after an instant; None if there is none."""
        return self._at(bisect_left(self._starts, now_s - _ROUNDING * max(1.0, now_s)))

    def previous(self, now_s: float) -> Any:
        """The last that ends at or before an instant; None if there is none."""
        return self._at(bisect_right(self._ends, now_s + _ROUNDING * max(1.0, now_s)) - 1)

    def _at(self, place: int) -> Any:
        return self._rows[place] if 0 <= place < len(self._rows) else None


def _link_events(links: pd.DataFrame, tids: dict[str, int]) -> Iterator[_Event]:
    """Slices while a link carries anything, and counters of its rate and use."""
    for name, own in links.sort_values("start_s", kind="stable").groupby("link", sort=True):
        last_end: int | None = None
        for row in own.itertuples(index=False):
            start, end = _ns(row.start_s), _ns(row.end_s)
            if last_end is not None and start > last_end:
                yield from _use(name, tids[name], last_end, 0.0, 0.0)
            use = 100 * row.rate_bit_per_s / row.capacity_bit_per_s if row.capacity_bit_per_s > 0 else 0.0
            yield from _use(name, tids[name], start, row.rate_bit_per_s / 1e6, use)
            last_end = end
            if row.n_flows and end > start:
                args = {"rate_mbit_per_s": row.rate_bit_per_s / 1e6, "n_flows": int(row.n_flows)}
                told = "1 flow" if row.n_flows == 1 else f"{row.n_flows} flows"
                yield {
                    "ph": "X", "name": told, "cat": "link", "pid": _LINKS, "tid": tids[name],
                    "ts": start / 1000, "dur": (end - start) / 1000, "args": args,
                }  # fmt: skip
        if last_end is not None:
            yield from _use(name, tids[name], last_end, 0.0, 0.0)


def _use(link: str, tid: int, at: int, rate: float, use: float) -> Iterator[_Event]:
    for unit, value in (("Mbit/s", rate), ("% used", use)):
        counter = f"{link} [{unit}]"
        yield {
            "ph": "C",
            "name": counter,
            "pid": _LINKS,
            "tid": tid,
            "ts": at / 1000,
            "args": {"value": value},
        }


def _queue(spans: pd.DataFrame) -> Iterator[_Event]:
    """How many clients wait for the server's device, as a counter."""
    waiting = spans[spans["phase"] == "server_queue"]
    changes: dict[int, int] = {}
    for row in waiting.itertuples(index=False):
        for at, change in ((_ns(row.start_s), 1), (_ns(row.end_s), -1)):
            changes[at] = changes.get(at, 0) + change
    level = 0
    for at, level in _running({_ns(float(spans["start_s"].min())): 0} | changes):
        yield {
            "ph": "C", "name": "server queue [clients]", "pid": _COUNTERS, "tid": 0, "ts": at / 1000,
            "args": {"value": level},
        }  # fmt: skip


def _running(changes: dict[int, int]) -> Iterable[tuple[int, int]]:
    level = 0
    for at in sorted(changes):
        level += changes[at]
        yield at, level


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _middle(row: Any) -> float:
    return (_ns(row.start_s) + _ns(row.end_s)) // 2 / 1000
