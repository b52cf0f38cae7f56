"""`gapslsim explain`: what set the pace of a run, and what each resource would save if it were faster."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapslsim.cli.answer_output import give
from gapslsim.results import words
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.answers.explain import Explanation

__all__ = ["explain_command"]


def explain_command(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run directory, or a scenario, which is timed first.")
    ],
    factor: Annotated[
        float,
        typer.Option(min=1e-6, max=1e6, help="How many times as fast each resource is made, one at a time."),
    ] = 2.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw it (png, svg, pdf), or write it as .csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Explain what set the pace of a run, by client group and resource, with exact savings."""
    from gapslsim.answers.explain import explain

    found = explain(run, factor)
    give(found, _print, as_json, out)


def _print(found: Explanation) -> None:
    from gapslsim.results.tables import titled_table

    title = f"{found.label}: {found.rounds} rounds, {words.seconds(found.time_s)}"
    table = titled_table(
        title, f"{found.factor:g} times as fast", "of the chain", "the run takes", "less time", "less energy"
    )
    for row in found.table.itertuples():
        share = "" if math.isnan(row.share) else words.share(row.share, 1.0)
        less = f"{_signed(row.saved_s)} ({words.share(row.saved_share, 1.0)})"
        table.add_row(row.name, share, words.plain_seconds(row.time_s), less, _joules(row.saved_j))
    console = Terminal()
    console.print(table)
    for sentence in found.sentences:
        console.print(sentence)


def _signed(seconds: float) -> str:
    return words.plain_seconds(seconds) if seconds >= 0 else f"-{words.plain_seconds(-seconds)}"


def _joules(energy_j: float) -> str:
    return words.energy(energy_j) if energy_j >= 0 else f"-{words.energy(-energy_j)}"
