"""`gapslsim compare`: several run directories side by side, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["compare_command"]


def compare_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the table as Markdown.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Also draw accuracy and where the time went (png, svg, pdf)."),
    ] = None,
) -> None:
    """Compare runs: accuracy per view, simulated time, time to target, bytes, energy."""
    from rich.console import Console

    from gapslsim.results.compare import compare
    from gapslsim.results.store import load_results, load_summary, write_text

    summaries = [load_summary(run) for run in runs]
    console = Console(highlight=False)
    console.print(compare(summaries).table(console.width))
    if out is not None:
        write_text(out, compare(summaries, spread=True).markdown())
        typer.echo(f"Table written to {out}")
    if plot is not None:
        from gapslsim.results.plots import plot_comparison, save_figure

        save_figure(plot_comparison([load_results(run) for run in runs]), plot)
        typer.echo(f"Plot written to {plot}")
