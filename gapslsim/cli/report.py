"""`gapslsim report`: runs and studies as one HTML page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gapslsim.cli.say import say

__all__ = ["report_command"]


def report_command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN_OR_STUDY...", help="Directories of runs or studies.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path("report.html"),
    round: Annotated[
        int | None,
        typer.Option(min=1, max=10**12, help="Round of the Gantt chart [default: one of median duration]."),
    ] = None,
) -> None:
    """Write one self-contained HTML page about runs and studies."""
    from gapslsim.results.report.page import write_report

    command = ["gapslsim", "report", *map(str, paths), "-o", str(out)]
    if round is not None:
        command += ["--round", str(round)]
    runs = write_report(paths, out, round=round, command=command)
    say(f"{len(runs.runs)} runs reported in {out}")
