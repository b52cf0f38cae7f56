"""ping's output."""

from __future__ import annotations

import re
from typing import Literal

from gapslsim.importing._latencies import Probe, latency_table
from gapslsim.importing.importer import Imported, Importer, Source, importers
from gapslsim.registry import component
from gapslsim.units import StepLength

__all__ = ["Ping"]

_REPLY = re.compile(
    r"^(?:\[(?P<stamp>\d+(?:\.\d+)?)\] )?.*?(?:(?:icmp_)?seq[= ](?P<seq>\d+).*?)?time[=<] ?(?P<ms>[\d.]+) ?ms",
    re.I,
)
_LOST = re.compile(r"timed out|timeout|no answer yet|unreachable|100% packet loss", re.I)
_SUMMARY = re.compile(r"(\d+) packets transmitted|Sent = (\d+)")
_SEQUENCE = re.compile(r"seq[= ](\d+)")


@importers.register
@component
class Ping(Importer):
    """Latency over time from the output of ping: Linux (with `-D` too), BusyBox, macOS, Windows.

    Half of the round trip is taken for one way. Where replies have no time of their own, they are `interval` apart.
    """

    kind: Literal["ping"] = "ping"
    interval: StepLength = 1.0
    """Time between two requests (`ping -i`)."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has a reply with its time."""
        head = source.text[:100_000]
        return any(
            _REPLY.match(line) and re.search(r"bytes[ =]|ttl", line, re.I)
            for line in head.splitlines()[:2000]
        )

    def read(self, source: Source) -> Imported:
        """Time and latency of each reply."""
        probes: list[Probe] = []
        stamped: float | None = None
        seen: set[int] = set()
        before, laps = 0, 0
        for line in source.text.splitlines():
            reply = _REPLY.match(line)
            if reply is None:
                found = _SEQUENCE.search(line)
                if _LOST.search(line) and not (found and int(found[1]) in seen):
                    probes.append(Probe(None, None))
                continue
            sequence = int(reply["seq"]) if reply["seq"] else len(probes)
            if sequence in seen and "DUP" in line:
                continue
            # Sequence numbers have 16 bits and start again.
            laps += sequence < before - 32_768
            before = sequence
            if reply["seq"]:
                seen.add(sequence)
            time_s = (sequence + 65_536 * laps) * self.interval
            if reply["stamp"]:
                stamped = stamped if stamped is not None else float(reply["stamp"])
                time_s = float(reply["stamp"]) - stamped
            probes.append(Probe(time_s, float(reply["ms"]) / 1e3))
        return latency_table(source, probes, _sent(source.text, seen))


def _sent(text: str, seen: set[int]) -> int:
    """Requests: as the last lines say, else as the sequence numbers do, of which Linux leaves lost ones out."""
    if summary := _SUMMARY.search(text):
        return int(summary[1] or summary[2])
    return max(seen) - min(seen) + 1 if seen and len(seen) < 65_000 and max(seen) - min(seen) < 65_000 else 0
