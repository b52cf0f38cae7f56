"""`gapslsim check-testbed`: a real testbed's rounds beside those of a scenario."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from gapslsim.cli.say import say
from gapslsim.csv_text import csv_of
from gapslsim.errors import Problem, ScenarioError
from gapslsim.terminal import Terminal

__all__ = ["check_testbed_command"]


def check_testbed_command(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="What was measured: .csv or .parquet.")],
    scenario: Annotated[
        str,
        typer.Option("--scenario", "-s", help="Scenario of the testbed; the table's columns are its paths."),
    ],
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Override one value of the scenario."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="A column that tells cells apart and sets nothing, such as a site."
        ),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Put cells together that differ in other columns alone, each simulated as measured.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help="Rounds to simulate of each cell.")] = 20,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROWS",
            help="Fit factors to these cells and predict the others: 2-40,45 or 'network=1 & model.cut=2'.",
        ),
    ] = None,
    fit: Annotated[
        str,
        typer.Option(
            help="What to fit: compute, forward, backward, update, memory, fixed, loading, serialise, power (per "
            "device), rate (per network)."
        ),
    ] = "compute,memory,serialise,loading,fixed,rate,power",
    network: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that names the network, for the factor rate.")
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, help="Draws of what profiles leave open: intervals, and if they cover."
        ),
    ] = 0,
    tolerance: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Exit with 1 if a predicted median is further off: 12% or 0.12."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write everything as Markdown.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw simulated against measured (png, svg, pdf).")
    ] = None,
    numbers: Annotated[Path | None, typer.Option("--table", help="Also write all numbers (.csv).")] = None,
    profiles: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the calibrated profiles there.")
    ] = None,
) -> None:
    """Simulates every cell of a testbed's table, and says how far median and p90 are off and whether orders agree."""
    from gapslsim.results.outputs import write_output
    from gapslsim.testbed.check import check_testbed

    limit = _share(tolerance)
    labels = [*(label or ()), *([network] if network else ())]
    found = check_testbed(
        table, scenario, set or (), labels=labels, ignored=ignore or (), by=by,
        rounds=rounds, calibrate=calibrate or (), fit=[kind.strip() for kind in fit.split(",")], network=network or "",
        draws=draws,
    )  # fmt: skip
    console = Terminal()
    console.print(found.cells().table(console.width))
    console.print(found.overall().table(console.width))
    for sentence in found.sentences():
        console.print(sentence)
    if out is not None:
        write_output(out, found.markdown())
        say(f"Written to {out}")
    if numbers is not None:
        write_output(numbers, csv_of(found.compared))
        say(f"Numbers written to {numbers}")
    if plot is not None:
        from gapslsim.results.drawing.matplotlib_printer import save

        save(found.drawing(), plot)
        say(f"Plot written to {plot}")
    if profiles is not None:
        for path in found.write_profiles(profiles):
            say(f"Profile written to {path}")
    if limit is not None and len(beyond := found.beyond(limit)):
        worst = beyond.loc[beyond["error_median"].abs().idxmax()]
        say(
            f"{len(beyond)} of {len(found.predicted)} medians are off by more than {100 * limit:g} %; the worst is "
            f"{worst['cell']}, {worst['measure']}: {100 * worst['error_median']:+.1f} %."
        )
        raise typer.Exit(1)


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 < value < 1:
        raise ScenarioError([Problem("--tolerance", f"found {text!r}; write a share such as 12% or 0.12")])
    return value
