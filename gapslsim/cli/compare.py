"""`gapslsim compare`: several run directories side by side, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
        Path | None,
        typer.Option("--plot", help="Also draw accuracy and where the time went (png, svg, pdf)."),
    ] = None,
    geometry: Annotated[
        bool,
        typer.Option(
            "--geometry", help="Compare how gradients lie to one another and to the update instead."
        ),
    ] = False,
) -> None:
    """Compare runs: accuracy per view, simulated time, time to target, bytes, energy; or gradient geometry."""
    from rich.console import Console

    from gapslsim.results.compare import compare
    from gapslsim.results.store import StoredRun, load_results, write_text

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

        save(comparison([load_results(run) for run in runs]), plot)
        typer.echo(f"Plot written to {plot}")


def _geometry(paths: list[Path]) -> Comparison:
    """Means over the measured rounds and over seeds, a row per rule.

    Raises:
        ResultsError: if no run measured it.
    """
    from gapslsim.errors import ResultsError
    from gapslsim.results.geometry import compare_geometry
    from gapslsim.results.report.data import gather

    runs = gather(paths)
    groups = [
        (
            f"{group.series}, {group.panel}" if group.panel else group.series,
            [run.table("updates") for run in group.runs],
            group.accuracies(runs.view),
        )
        for group in runs.groups
    ]
    if all(table.empty for _, tables, _ in groups for table in tables):
        raise ResultsError(
            "none of these runs measured the geometry of gradients; run them with "
            "'--set \"evaluation.geometry=10 rounds\"'"
        )
    return compare_geometry(groups, runs.view)
