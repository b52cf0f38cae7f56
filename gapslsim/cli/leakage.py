"""`gapslsim leakage`: what the smashed data of a run gives away."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapslsim.cli.answer_output import give
from gapslsim.cli.say import say
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gapslsim.answers.leakage import Leakage
    from gapslsim.cli.progress import Observer

__all__ = ["leakage_command"]


def leakage_command(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run directory, models that `run --save` wrote, or a scenario to train."
        ),
    ],
    clients: Annotated[
        list[int] | None,
        typer.Option(
            "--client",
            metavar="N",
            min=0,
            max=10**9,
            help="Whose model beside the mean; repeatable [default: one a group].",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", min=4, max=2000, help="Test inputs that are attacked [default: 256]."),
    ] = None,
    auxiliary: Annotated[
        int | None,
        typer.Option(metavar="N", min=8, max=100_000, help="Inputs that the attacker knows [default: 1000]."),
    ] = None,
    auxiliary_from: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where these come from: test (inputs that are not attacked), train, client [default: test].",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=100_000, help="Of the training of the attacker's decoder [default: 60]."
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Of the run's training [default: its own, or its study's].")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train the run again where it has no journal.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Look again, and replace what the run directory holds.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also draw it (png, svg, pdf), or write it as .csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Attack the smashed data of a run: distance correlation, and reconstructions by a trained decoder."""
    from gapslsim.answers.leakage import leakage
    from gapslsim.cli.progress import show_progress

    asked: dict[str, Any] = {
        "clients": tuple(clients) if clients else None, "samples": samples, "auxiliary": auxiliary,
        "auxiliary_from": auxiliary_from, "epochs": epochs,
    }  # fmt: skip
    settings = {name: value for name, value in asked.items() if value is not None}
    shown: AbstractContextManager[Observer | None] = (
        nullcontext() if quiet or as_json else show_progress(sys.stderr)
    )
    with shown as observer:
        found = leakage(run, journal=journal, train=train, force=force, observer=observer, **settings)
    give(found, _print, as_json, out)


def _print(found: Leakage) -> None:
    from gapslsim.results.leaks import HOW_TO_READ
    from gapslsim.results.tables import titled_table

    words = found.words()
    table = titled_table(found.title, *words.head)
    for row in words.rows:
        table.add_row(*row)
    console = Terminal()
    console.print(table)
    for sentence in HOW_TO_READ:
        console.print(sentence)
    if found.was_there:
        say("This was found before, and nothing was computed; --force looks again.", err=True)
