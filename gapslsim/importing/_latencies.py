"""Round trips as a latency over time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from gapslsim.importing.importer import Imported, Source

__all__ = ["Probe", "latency_table"]


class Probe(NamedTuple):
    """One request."""

    time_s: float | None
    """Of the request; None where it is not known, as for a lost one."""
    round_trip_s: float | None
    """None if there was no reply."""
    up_s: float | None = None
    """One way, where both clocks were set alike."""
    down_s: float | None = None


def latency_table(source: Source, probes: Sequence[Probe], n_sent: int = 0) -> Imported:
    """Half of each round trip over time, from the first one on; lost requests are counted.

    Args:
        source: what is read.
        probes: requests, lost ones too as far as they are told.
        n_sent: how many requests there were, if that is told elsewhere.
    """
    known = sorted(
        (one for one in probes if one.time_s is not None and one.round_trip_s is not None),
        key=lambda p: p.time_s or 0,
    )
    if not known:
        raise source.fault("no request was answered, so that there is no latency")
    begin_s = known[0].time_s or 0.0
    one_way = all(
        one.up_s is not None and one.down_s is not None and min(one.up_s, one.down_s) > 0 for one in known
    )
    rows = [
        ((one.time_s or 0.0) - begin_s, 500.0 * (one.round_trip_s or 0.0), 1e3 * (one.round_trip_s or 0.0))
        + ((1e3 * (one.up_s or 0.0), 1e3 * (one.down_s or 0.0)) if one_way else ())
        for one in known
    ]
    n_sent = max(n_sent, len(probes))
    lost = n_sent - len(known)
    trip_ms = median(1e3 * (one.round_trip_s or 0.0) for one in known)
    notes = [f"{len(known)} round trips, median {trip_ms:.4g} ms; half of each is taken for one way"]
    if lost:
        notes.append(f"{lost} of {n_sent} requests were lost ({lost / n_sent:.3g} of all)")
    columns = ("time_s", "latency_ms", "round_trip_ms") + (("up_ms", "down_ms") if one_way else ())
    return Imported(columns, rows, "latency: {kind: trace, file: {file}}", tuple(notes))
