"""A run as a trace that Perfetto and chrome://tracing open: tracks of devices and links, arrows, counters.

Source: Trace Event Format (Google, JSON object format): `X` complete events, `C` counters, `M` metadata, `s`/`f` flows
bound to the slice that encloses them. Times are microseconds with three decimals: whole nanoseconds, so that slices of
one track meet without gap or overlap.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results.categories import IN_VAIN, actor_order, category_of, received, sent
from gapslsim.results.names import Names
from gapslsim.results.outputs import write_output
from gapslsim.results.results import Results

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
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
    head = json.dumps({"displayTimeUnit": "ms", "otherData": {k: str(v) for k, v in about.items()}})
    write_output(path, f'{head[:-1]}, "traceEvents": [\n{lines}\n]}}\n')
    return len(events)


def trace_events(results: Results, rounds: tuple[int, int] | None = None) -> Iterator[_Event]:
    """All events: names of tracks first, then slices, arrows and counters."""
    links = results.table("links")
    spans = results.table("spans").select(**{} if rounds is None else {"round": rounds})
    begin_s, end_s = spans["start_s"].min(), spans["end_s"].max()
    links = links.select(start_s=(-math.inf, end_s), end_s=(begin_s, math.inf))
    links = links[(links["start_s"] < end_s) & (links["end_s"] > begin_s)]
    if spans.empty:
        known = int(results.rounds["round"].max()) if len(results.rounds) else 0
        raise ResultsError(f"{results.label} has no spans in these rounds; it has rounds 1 to {known}")
    spans = spans.sort_values(["start_s", "end_s"], kind="stable").reset_index(drop=True)
    spans["track"] = list(_tracks(spans))
    # A client's own track first, then those of what it does beside.
    tracks = sorted(spans["track"].unique(), key=lambda name: (actor_order(name.split(" +")[0]), name))
    names = sorted(links["link"].unique())
    tids = {track: index for index, track in enumerate(tracks, 1)}
    link_tids = {name: index for index, name in enumerate(names, 1)}
    yield from _names(tids, link_tids, Names(results.clients))
    yield from _slices(spans, tids)
    yield from _arrows(spans, tids)
    yield from _link_events(links, link_tids)
    yield from _queue(spans)


def _tracks(spans: pd.DataFrame) -> Iterator[str]:
    """The track of each span: its actor's, or one beside it while that is taken; slices of a track never overlap.

    Args:
        spans: in the order of their beginnings.
    """
    taken_until: dict[str, list[int]] = {}
    for actor, start_s, end_s in zip(spans["actor"], spans["start_s"], spans["end_s"], strict=True):
        lanes = taken_until.setdefault(actor, [])
        start = _ns(start_s)
        lane = next((place for place, end in enumerate(lanes) if end <= start), len(lanes))
        lanes[lane : lane + 1] = [_ns(end_s)]
        yield f"{actor} +{lane}" if lane else actor


def _names(tids: dict[str, int], link_tids: dict[str, int], names: Names) -> Iterator[_Event]:
    tracks = [("process", pid, 0, name, pid) for pid, name in _GROUPS.items()]
    for pid, group in ((_DEVICES, tids), (_LINKS, link_tids)):
        tracks += [("thread", pid, tid, _told(name, names), tid) for name, tid in group.items()]
    for kind, pid, tid, name, place in tracks:
        for what, args in (("name", {"name": name}), ("sort_index", {"sort_index": place})):
            yield {"ph": "M", "name": f"{kind}_{what}", "pid": pid, "tid": tid, "args": args}


def _told(track: str, names: Names) -> str:
    """The name of a track with the device of its client: `client-7 (phone-midrange) +1`."""
    actor, plus, lane = track.partition(" +")
    return f"{names.actor(actor)}{plus}{lane}"


def _slices(spans: pd.DataFrame, tids: dict[str, int]) -> Iterator[_Event]:
    """One slice per span, on the track of its actor; being away, and what was in vain, have categories of their own."""
    for row in spans.itertuples(index=False):
        category: str = category_of(row.phase, row.client)
        if row.phase == "away":
            category = "away"
        elif row.phase.startswith(IN_VAIN):
            category += ",in_vain"
        args: _Event = {"round": int(row.round), "energy_j": float(row.energy_j)}
        if row.size_bytes:
            args["size_bytes"] = int(row.size_bytes)
        if row.work_flop:
            args["work_flop"] = float(row.work_flop)
        yield _slice(row.phase, category, _DEVICES, tids[row.track], (_ns(row.start_s), _ns(row.end_s)), args)


def _slice(name: str, category: str, pid: int, tid: int, span_ns: tuple[int, int], args: _Event) -> _Event:
    start, end = span_ns
    track = {"cat": category, "pid": pid, "tid": tid}
    return {"ph": "X", "name": name, **track, "ts": start / 1000, "dur": (end - start) / 1000, "args": args}


def _counter(name: str, pid: int, tid: int, at_ns: int, value: float) -> _Event:
    return {"ph": "C", "name": name, "pid": pid, "tid": tid, "ts": at_ns / 1000, "args": {"value": value}}


def _arrows(spans: pd.DataFrame, tids: dict[str, int]) -> Iterator[_Event]:
    """From what was sent to what it set off: uplink to server, server to downlink, client to client."""
    servers: dict[Any, list[Any]] = {
        actor: list(own.itertuples(index=False))
        for actor, own in spans[spans["client"] < 0].groupby("actor", sort=False)
    }
    served = _served(spans, servers) if set(servers) - {"server", "parameter-server"} else {}
    number = 0
    inward = spans[spans["phase"].str.endswith("_in") & (spans["client"] >= 0)]
    arrivals = {
        (row.start_s, row.end_s, row.size_bytes, row.phase.removesuffix("_in")): row
        for row in inward.itertuples(index=False)
    }
    # What was broken off never arrived, so it set nothing off.
    done = spans[(spans["client"] >= 0) & spans["phase"].map(lambda phase: sent(phase) or received(phase))]
    for row in done.itertuples(index=False):
        source = target = row
        # Models go to the parameter server where there is one, all else to the server.
        aggregates = row.phase.startswith("model_") and "parameter-server" in servers
        own = servers.get("parameter-server" if aggregates else "server", [])
        own = served.get(row.client, []) if served else own
        if row.phase.endswith("uplink"):
            target = _next(own, row.end_s)
        elif row.phase.endswith("downlink"):
            source = _previous(own, row.start_s)
        else:
            key = (row.start_s, row.end_s, row.size_bytes, row.phase.removesuffix("_out"))
            target = arrivals.get(key) if row.phase.endswith("_out") else None
        if source is not None and target is not None and source.round == target.round:
            number += 1
            yield from _arrow(number, source, target, tids)


def _served(spans: pd.DataFrame, servers: Mapping[Any, list[Any]]) -> dict[Any, list[Any]]:
    """What machines computed for each client while it waited, where it may be any of several: told apart by time alone.

    Where two of them compute from one instant to the same other, neither is taken.
    """
    at: dict[tuple[float, float], list[Any]] = {}
    for row in (row for own in servers.values() for row in own):
        at.setdefault((row.start_s, row.end_s), []).append(row)
    found: dict[Any, list[Any]] = {}
    waits = spans[(spans["client"] >= 0) & (spans["phase"] == "server_compute")]
    for wait in waits.sort_values("start_s", kind="stable").itertuples(index=False):
        computed = at.get((wait.start_s, wait.end_s), [])
        if len(computed) == 1:
            found.setdefault(wait.client, []).append(computed[0])
    return found


def _arrow(number: int, source: Any, target: Any, tids: dict[str, int]) -> Iterator[_Event]:
    """A flow from the middle of one slice to the middle of another, which binds it to both."""
    common = {"cat": "flow", "name": "message", "id": number, "pid": _DEVICES}
    yield {"ph": "s", "ts": _middle(source), "tid": tids[source.track], **common}
    yield {"ph": "f", "bp": "e", "ts": _middle(target), "tid": tids[target.track], **common}


def _next(computations: list[Any], now_s: float) -> Any:
    """The first that begins at or after an instant; None if there is none."""
    slack = _ROUNDING * max(1.0, now_s)
    place = bisect_left(computations, now_s - slack, key=attrgetter("start_s"))
    return computations[place] if place < len(computations) else None


def _previous(computations: list[Any], now_s: float) -> Any:
    """The last that ends at or before an instant; None if there is none."""
    slack = _ROUNDING * max(1.0, now_s)
    place = bisect_right(computations, now_s + slack, key=attrgetter("end_s"))
    return computations[place - 1] if place else None


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
                yield _slice(told, "link", _LINKS, tids[name], (start, end), args)
        if last_end is not None:
            yield from _use(name, tids[name], last_end, 0.0, 0.0)


def _use(link: str, tid: int, at: int, rate: float, use: float) -> Iterator[_Event]:
    for unit, value in (("Mbit/s", rate), ("% used", use)):
        yield _counter(f"{link} [{unit}]", _LINKS, tid, at, value)


def _queue(spans: pd.DataFrame) -> Iterator[_Event]:
    """How many clients wait for the server's device, as a counter."""
    waiting = spans[spans["phase"] == "server_queue"]
    changes = Counter({_ns(float(spans["start_s"].min())): 0})
    changes.update(map(_ns, waiting["start_s"]))
    changes.subtract(map(_ns, waiting["end_s"]))
    instants = sorted(changes)
    for at, level in zip(instants, accumulate(map(changes.__getitem__, instants)), strict=True):
        yield _counter("server queue [clients]", _COUNTERS, 0, at, level)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _middle(row: Any) -> float:
    return (_ns(row.start_s) + _ns(row.end_s)) // 2 / 1000
