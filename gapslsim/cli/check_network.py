"""`gapslsim check-network`: reference cases through the engine, and how far its completion times are off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from gapslsim.network.protocols.tcp import Tcp
from gapslsim.network.reference_cases import FlowTime, run_case
from gapslsim.network.reference_files import ReferenceCase, read_cases
from gapslsim.terminal import Terminal

__all__ = ["check_network_command"]

ABSOLUTE_S = 1e-9
RELATIVE = 1e-6
"""A flow's duration may differ from the reference by ABSOLUTE_S + RELATIVE x the reference's duration."""

_HEADERS = Tcp(headers="ppp", slow_start=False)
_SET_UP = Tcp(headers="ppp", set_up_round_trips=1, slow_start=False)
_SLOW_START = Tcp(headers="ppp", set_up_round_trips=1)
"""What the ns-3 cases are: PPP links, and a connection for each flow."""


@dataclass(slots=True)
class _Errors:
    """Relative errors of one family or variant."""

    n_cases: int = 0
    flows: list[float] = field(default_factory=list)
    makespans: list[float] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    """Flows outside the tolerance, in words."""

    def add(self, case: str, times: Mapping[str, FlowTime], reference: Mapping[str, FlowTime]) -> None:
        """Compares one case."""
        self.n_cases += 1
        for name, wanted in reference.items():
            found = times[name]
            difference = abs(found.duration_s - wanted.duration_s)
            self.flows.append(_relative(found.duration_s, wanted.duration_s))
            if not difference <= ABSOLUTE_S + RELATIVE * wanted.duration_s:
                self.beyond.append(
                    f"{case} {name}: duration {found.duration_s!r} s, reference {wanted.duration_s!r} s"
                )
        self.makespans.append(_relative(_makespan(times), _makespan(reference)))


def check_network_command(
    cases: Annotated[list[Path], typer.Argument(help="Files of reference cases (JSON).")],
) -> None:
    """Runs reference cases through the network; exit code 1 if a flow is beyond the tolerance."""
    raise typer.Exit(check_network(cases, Terminal(soft_wrap=False)))


def check_network(paths: Iterable[Path], console: Terminal) -> int:
    """Runs every case of some reference files and prints the errors.

    Files with `reference.maxmin` are held to the tolerance, family by family. Files with `reference.ns3` are compared
    with no tolerance on ns-3 (a packet-level simulator), but their own fluid estimates are held to it.

    Args:
        paths: files in the format of `network_reference`, schema version 1.
        console: where the tables go.

    Returns:
        0 if every flow is within the tolerance, else 1.

    Raises:
        NetworkError: if a file is not in this format.
    """
    families: dict[str, _Errors] = {}
    packet_cases: list[ReferenceCase] = []
    for case in [case for path in paths for case in read_cases(path)]:
        if case.reference.maxmin is None:
            packet_cases.append(case)
            continue
        reference = {
            name: FlowTime(time.start_s, time.finish_s) for name, time in case.reference.maxmin.items()
        }
        families.setdefault(case.family, _Errors()).add(case.id, run_case(case), reference)
    if families:
        console.print(_fluid_table(families))
    errors = list(families.values())
    if packet_cases:
        estimates, table = _packet_tables(packet_cases)
        console.print(_fluid_table(estimates, "Fluid estimates in the ns-3 file"))
        console.print(table)
        errors += estimates.values()
    beyond = [line for family in errors for line in family.beyond]
    for line in beyond[:10]:
        console.print(f"beyond tolerance {line}", style="red")
    if len(beyond) > 10:
        console.print(f"... and {len(beyond) - 10} more")
    return 1 if beyond else 0


def _fluid_table(families: Mapping[str, _Errors], title: str = "Engine against max-min reference") -> Table:
    table = Table(title=title, caption="relative error of durations; tolerance 1e-9 s + 1e-6 x duration")
    table.add_column("family")
    for name in ("cases", "flows", "largest", "median", "makespan largest", "makespan median", "beyond"):
        table.add_column(name, justify="right")
    for name, errors in sorted(families.items()):
        off = [each for values in (errors.flows, errors.makespans) for each in np.quantile(values, [1, 0.5])]
        counts = [str(errors.n_cases), str(len(errors.flows))]
        table.add_row(name, *counts, *(f"{value:.1e}" for value in off), str(len(errors.beyond)))
    return table


def _packet_tables(cases: list[ReferenceCase]) -> tuple[dict[str, _Errors], Table]:
    estimates = {name: _Errors() for name in ("raw", "headers", "headers + set-up")}
    keys = ("fluid_raw_finish_s", "fluid_overhead_finish_s", "fluid_overhead_handshake_finish_s")
    models = {
        "raw": None,
        "headers": _HEADERS,
        "headers + set-up": _SET_UP,
        "+ slow start": _SLOW_START,
        "slow start alone (default)": Tcp(),
    }
    variants: dict[tuple[str, str], _Errors] = {}
    for case in cases:
        starts = {flow.id: flow.start_s for flow in case.flows}
        results = {name: run_case(case, protocol=protocol) for name, protocol in models.items()}
        for (name, errors), key in zip(estimates.items(), keys, strict=True):
            estimate = {
                flow: FlowTime(starts[flow], end) for flow, end in getattr(case.reference, key).items()
            }
            errors.add(case.id, results[name], estimate)
        for variant, ends in (case.reference.ns3 or {}).items():
            packets = {flow: FlowTime(starts[flow], end) for flow, end in ends.items()}
            for name, times in results.items():
                variants.setdefault((variant, name), _Errors()).add(case.id, times, packets)
    table = Table(
        title="Engine against ns-3 TCP", caption="absolute relative error; max-min knows no losses or queues"
    )
    for name in ("variant", "model"):
        table.add_column(name)
    for name in ("flow median", "p90", "max", "makespan median", "p90", "max"):
        table.add_column(name, justify="right")
    for (variant, name), errors in variants.items():
        off = [q for values in (errors.flows, errors.makespans) for q in np.quantile(values, [0.5, 0.9, 1])]
        cells = [f"{100 * value:.1f} %" for value in off]
        table.add_row(variant, name, *cells, end_section=name == list(models)[-1])
    return estimates, table


def _relative(found: float, wanted: float) -> float:
    return abs(found - wanted) / wanted if wanted > 0 else abs(found - wanted)


def _makespan(times: Mapping[str, FlowTime]) -> float:
    return max(time.finish_s for time in times.values())
