"""perf stat's output."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from gapslsim.documents import json_data
from gapslsim.importing.importer import Imported, Importer, Source, importers, measurements
from gapslsim.measuring.table import Machine, Measurement, compute_row, idle_row, load_row
from gapslsim.registry import component
from gapslsim.units import StepLength
from gapslsim.work import LayerCost

__all__ = ["PerfStat"]

_TEXT = re.compile(
    r"^\s*(?:(?P<at>\d+\.\d+)\s+)?(?P<value>[\d.,']+|<not \w+>)\s+(?:(?P<unit>msec|Joules|ns)\s+)?"
    r"(?P<event>[\w./=:,@-]*[a-zA-Z][\w./=:,@-]*)"
)
_ELAPSED = re.compile(r"^\s*([\d.,]+)\s*(?:\+-\s*[\d.]+\s*)?seconds time elapsed", re.M)
_CSV = re.compile(
    r"^\s*(?:(?P<at>\d+\.\d+)[,;])?(?P<value>[\d.]+|<not \w+>)[,;](?P<unit>[^,;]*)[,;]"
    r"(?P<event>[\w./=:@-]*[a-zA-Z][\w./=:@-]*)[,;]"
)
_FLOP = {"scalar": 1, "128b_packed_double": 2, "128b_packed_single": 4, "256b_packed_double": 4,
         "256b_packed_single": 8, "512b_packed_double": 8, "512b_packed_single": 16}  # fmt: skip
"""FLOP of each event of `fp_arith_inst_retired.*`, in which a fused multiply-add counts twice (Intel's manual, 3B)."""
_LINE_BYTES = 64


class _Count(NamedTuple):
    line: int
    at_s: float | None
    """End of its interval (`-I`)."""
    value: float | None
    unit: str
    event: str


@importers.register
@component
class PerfStat(Importer):
    """Power and work from `perf stat`, as text, `-x,` or `-j`, with or without `-I`.

    `-e power/energy-pkg/,power/energy-ram/,duration_time` gives the power of processor and memory; `-e
    fp_arith_inst_retired...` and `LLC-load-misses` give FLOP and bytes of the command, a row of its own.
    """

    kind: Literal["perf-stat"] = "perf-stat"
    device: str = "cpu"
    """Name of the device in the table."""
    power_mode: str = ""
    """Power mode that was set."""
    state: Literal["idle", "load"] = "load"
    """What went on while it counted: `perf stat -a sleep 10` counts rest."""
    duration: StepLength | None = None
    """How long it counted, where neither `seconds time elapsed` nor `duration_time` says so."""
    work_flop: Annotated[float, Field(gt=0)] | None = None
    """FLOP of the command, where no counter tells."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has counts of events."""
        head = source.text[:20_000]
        if re.search(r'Performance counter stats|"counter-value"|^#\s+time\s+counts', head, re.M):
            return True
        event = re.compile(r"[,;](task-clock|cycles|instructions|duration_time|cpu-clock|power/)")
        return any(_CSV.match(line) and event.search(line) for line in head.splitlines()[:50])

    def read(self, source: Source) -> Imported:
        """Rows of kind `idle` or `load` with their power, and one of the work that was counted."""
        counts = list(_counts(source))
        if not counts:
            raise source.fault("it has no counts of events")
        notes = [f"{c.event} was not counted (line {c.line})" for c in counts if c.value is None]
        machine = Machine(self.device, "perf", 1, self.power_mode)
        rows = [
            (load_row if self.state == "load" else idle_row)(machine, joules / seconds, seconds)
            for joules, seconds in self._energies(source, counts)
        ]
        work = list(self._work(source, counts, machine))
        if not rows and not work:
            raise source.fault(
                "it has neither energy nor floating-point counts; count -e power/energy-pkg/,duration_time or "
                "fp_arith_inst_retired..., or give --set work_flop=..."
            )
        return measurements([*rows, *work], notes)

    def _energies(self, source: Source, counts: list[_Count]) -> Iterator[tuple[float, float]]:
        """Joules and seconds of each interval."""
        joules: dict[float | None, float] = defaultdict(float)
        for count in counts:
            # Cores and graphics are parts of the package.
            if (
                count.unit == "Joules"
                and count.value is not None
                and re.search(r"energy-(pkg|ram|psys)", count.event)
            ):
                joules[count.at_s] += count.value
        before_s = 0.0
        for at_s, energy_j in joules.items():
            seconds = self._elapsed(source, counts) if at_s is None else at_s - before_s
            before_s = at_s or 0.0
            yield energy_j, seconds

    def _work(self, source: Source, counts: list[_Count], machine: Machine) -> Iterator[Measurement]:
        flop = sum(
            (c.value or 0.0) * next((n for name, n in _FLOP.items() if name in c.event), 0)
            for c in counts
            if c.event.startswith("fp_arith_inst_retired")
        )
        flop = self.work_flop or flop
        moved = _LINE_BYTES * sum(
            (c.value or 0.0) for c in counts if re.match(r"LLC-(load|store)", c.event) and "miss" in c.event
        )
        if flop:
            seconds = self._elapsed(source, counts)
            yield compute_row(machine, LayerCost("command", "command", "other", flop, moved), seconds)

    def _elapsed(self, source: Source, counts: list[_Count]) -> float:
        if self.duration is not None:
            return self.duration
        if found := _ELAPSED.search(source.text):
            return float(found[1].replace(",", ""))
        timed = [c.value / 1e9 for c in counts if c.event == "duration_time" and c.value]
        ends = [c.at_s for c in counts if c.at_s is not None]
        if timed or ends:
            return sum(timed) or max(ends)
        raise source.fault(
            "it does not say how long it counted; count -e duration_time too, or give --set duration='2 s'"
        )


def _counts(source: Source) -> Iterator[_Count]:
    for line, text in enumerate(source.text.splitlines(), 1):
        if text.lstrip().startswith("{"):
            try:
                made: dict[str, Any] = json_data(text)
            except ValueError as error:
                raise source.fault(f"is no JSON: {error}", line) from error
            if "counter-value" not in made or not made.get("event"):
                continue
            at_s, value, unit, event = (made.get(k) for k in ("interval", "counter-value", "unit", "event"))
            yield _Count(line, at_s, _value(str(value)), str(unit or ""), str(event))
        elif found := (_CSV.match(text) or _TEXT.match(text)):
            if "seconds time elapsed" in text or text.rstrip().endswith(("seconds user", "seconds sys")):
                continue
            at = found["at"]
            yield _Count(
                line, float(at) if at else None, _value(found["value"]), found["unit"] or "", found["event"]
            )


def _value(text: str) -> float | None:
    """None for `<not counted>` and `<not supported>`."""
    return None if text.startswith("<") else float(text.replace(",", "").replace("'", ""))
