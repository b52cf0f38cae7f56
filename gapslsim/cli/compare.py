"""`gapslsim compare`: several run directories side by side, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gapslsim.errors import ResultsError

if TYPE_CHECKING:
    from gapslsim.results.compare import Comparison

__all__ = ["compare_command"]


def compare_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run directories; with --geometry also study directories."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the table as Markdown.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw accuracy and where the time went (png, svg, pdf).")
    ] = None,
    geometry: Annotated[
        bool,
        typer.Option(
            "--geometry", help="Compare how gradients lie to one another and to the update instead."
        ),
    ] = False,
) -> None:
    """Compare runs: accuracy per view, simulated time, time to target, bytes, energy; or gradient geometry."""
    from gapslsim.results.compare import compare
    from gapslsim.results.store import StoredRun, write_text

    if geometry:
        table = full = _geometry(runs)
    else:
        summaries = [run.summary for run in map(StoredRun, runs)]
        table, full = compare(summaries), compare(summaries, spread=True)
    console = Console(highlight=False)
    console.print(table.table(console.width))
    if out is not None:
        write_text(out, full.markdown())
        typer.echo(f"Table written to {out}")
    if plot is not None:
        from gapslsim.results.drawing.matplotlib_printer import save
        from gapslsim.results.figures.comparison import comparison

        save(comparison([StoredRun(run).results() for run in runs]), plot)
        typer.echo(f"Plot written to {plot}")


def _geometry(paths: list[Path]) -> Comparison:
    """Means over the measured rounds and over seeds, a row per rule.

    Raises:
        ResultsError: if no run measured it.
    """
    from gapslsim.results.report.data import gather
    from gapslsim.results.report.geometry import geometry_table

    runs = gather(paths)
    table = geometry_table(runs.groups, runs.view)
    if table is None:
        raise ResultsError(
            "none of these runs measured the geometry of gradients; run them with "
            "'--set \"evaluation.geometry=10 rounds\"'"
        )
    return table
