"""iperf3's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gapslsim.documents import json_data
from gapslsim.importing.importer import Imported, Importer, Source, importers
from gapslsim.registry import component

__all__ = ["Iperf3"]


@importers.register
@component
class Iperf3(Importer):
    """Rates over time from `iperf3 --json` or `--json-stream`, one row per interval (`-i 0.1` for short ones).

    The sum of all streams as it is reported by the client. A reverse test (`-R`) is the downlink of whoever ran it; a
    test in both directions (`--bidir`) gives two columns.
    """

    kind: Literal["iperf3"] = "iperf3"
    omit: bool = True
    """Leave out the seconds that iperf3 was told to omit (`-O`)."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has a test's start and intervals."""
        return _whole(source) is not None

    def read(self, source: Source) -> Imported:
        """Time and rate of each interval."""
        document = _whole(source) or {}
        if document.get("error"):
            raise source.fault(f"the test ended with an error: {document['error']}")
        test = document.get("start", {}).get("test_start", {})
        sums = [(place, one) for place, one in enumerate(document["intervals"]) if isinstance(one, Mapping)]
        both = any("sum_bidir_reverse" in one for _, one in sums)
        names = ("sum", "sum_bidir_reverse") if both else ("sum",)
        rows: list[list[float]] = []
        for place, interval in sums:
            parts = [_numbers(interval.get(name)) for name in names]
            if not all(parts):
                raise source.fault(
                    f"interval {place} has no {' or '.join(names)} with start and bits_per_second"
                )
            if self.omit and parts[0].get("omitted"):
                continue
            rows.append([float(parts[0]["start"]), *(float(part["bits_per_second"]) for part in parts)])
        side = "downlink" if test.get("reverse") else "uplink"
        trace = "{kind: trace, format: csv, file: {file}"
        if both:
            use = f"uplink: {trace}, rate_column: up_bit_s}}, and down_bit_s for the downlink"
            return Imported(("time_s", "up_bit_s", "down_bit_s"), rows, use, tuple(_notes(test)))
        return Imported(("time_s", "rate_bit_s"), rows, f"{side}: {trace}}}", tuple(_notes(test)))


def _numbers(part: Any) -> Mapping[str, Any]:
    """The part as it is, empty unless it has its numbers."""
    keys = ("start", "bits_per_second")
    is_whole = isinstance(part, Mapping) and all(isinstance(part.get(key), (int, float)) for key in keys)
    return part if is_whole else {}


def _notes(test: Mapping[str, Any]) -> Iterator[str]:
    if test.get("protocol") == "UDP":
        yield "UDP: the rate that was sent, not what the path can carry, unless more was sent than it can"


def _whole(source: Source) -> dict[str, Any] | None:
    """The document; of a stream, put together from its lines."""
    document = source.json
    if isinstance(document, dict):
        return document if isinstance(document.get("intervals"), list) and "start" in document else None
    if not source.text.lstrip().startswith('{"event"'):
        return None
    made: dict[str, Any] = {"start": {}, "intervals": []}
    for line in source.text.splitlines():
        try:
            event = json_data(line)
        except ValueError:
            continue  # a stream may be cut off in its last line
        if not isinstance(event, dict):
            continue
        if event.get("event") == "interval":
            made["intervals"].append(event.get("data"))
        elif event.get("event") in ("start", "error"):
            made[event["event"]] = event.get("data")
    return made
