"""irtt's JSON and text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gapslsim.importing._latencies import Probe, latency_table
from gapslsim.importing.importer import Imported, Importer, Source, importers
from gapslsim.registry import component
from gapslsim.units import StepLength

__all__ = ["Irtt"]

_LINE = re.compile(r"seq=(?P<seq>\d+) rtt=(?P<rtt>\S+)(?: rd=(?P<rd>\S+))?(?: sd=(?P<sd>\S+))?")
_LOST = re.compile(r"seq=(\d+).*\b(?:LOST|lost)\b|\bLOST\b")
_PART = re.compile(r"(-?[\d.]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@importers.register
@component
class Irtt(Importer):
    """Latency over time from `irtt client -o FILE` (JSON, unpacked) or from what it prints.

    Half of the round trip is taken for one way; where send and receive delays are there and positive (clocks that are
    set alike), they are columns of their own.
    """

    kind: Literal["irtt"] = "irtt"
    interval: StepLength = 1.0
    """Time between two requests (`irtt client -i`), for printed output; JSON has the times."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has round trips, or lines with `seq=` and `rtt=`."""
        document = source.json
        if isinstance(document, dict):
            return "round_trips" in document
        return document is None and _LINE.search(source.text[:100_000]) is not None

    def read(self, source: Source) -> Imported:
        """Time and latency of each reply."""
        probes = _of_json(source) if isinstance(source.json, dict) else self._of_text(source)
        return latency_table(source, list(probes))

    def _of_text(self, source: Source) -> Iterator[Probe]:
        for line, text in enumerate(source.text.splitlines(), 1):
            found = _LINE.search(text)
            if found is None:
                if _LOST.search(text):
                    yield Probe(None, None)
                continue
            values = [_seconds(found[name], source, line) for name in ("rtt", "sd", "rd")]
            yield Probe(int(found["seq"]) * self.interval, *values)


def _seconds(text: str | None, source: Source, line: int) -> float | None:
    """Of Go's way to write durations: `22.6ms`, `1m2.3s`."""
    if text is None or text == "n/a":
        return None
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise source.fault(f"{text!r} is no duration such as 22.6ms", line)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _of_json(source: Source) -> Iterator[Probe]:
    trips = source.json["round_trips"]
    if not isinstance(trips, list):
        raise source.fault("its round_trips are no list; measure without -q -q, so that they are written")
    for place, trip in enumerate(trips):
        try:
            if str(trip.get("lost", "false")) != "false":
                yield Probe(None, None)
                continue
            delay, sent = trip["delay"], trip["timestamps"]["client"]["send"]
            stamp_ns = sent["wall"] if sent.get("wall") else sent["monotonic"]
            yield Probe(float(stamp_ns) / 1e9, *(_one(delay, name) for name in ("rtt", "send", "receive")))
        except (KeyError, TypeError, AttributeError) as error:
            raise source.fault(f"round trip {place} has no {error}") from error


def _one(delay: Mapping[str, Any], name: str) -> float | None:
    return float(delay[name]) / 1e9 if name in delay else None
