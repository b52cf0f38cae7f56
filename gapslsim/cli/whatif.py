"""`gapslsim whatif`: a run beside what it would be with changed settings."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapslsim.cli.json_output import print_json
from gapslsim.cli.say import say
from gapslsim.csv_text import csv_of
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gapslsim.cli.progress import Observer

__all__ = ["whatif_command"]


def whatif_command(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run directory, or a scenario, which is timed first.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a setting; several are changed together."),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--or",
            metavar="PATH=VALUE[; ...]",
            help="A further alternative beside that of --set; a semicolon parts changes made together.",
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Timing alone: train nothing anew.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Train also where there is no journal.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the table: .md or .csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Compare a run with itself under other settings; what is trained the same is not trained again."""
    if dry and train:
        raise typer.BadParameter("give either --dry or --train")
    from gapslsim.answers.whatif import split_changes, whatif
    from gapslsim.cli.progress import show_progress
    from gapslsim.results.outputs import write_output

    alternatives = [list(changes)] if changes else []
    alternatives += [split_changes(text) for text in others or ()]
    trains = False if dry else True if train else None
    shown: AbstractContextManager[Observer | None] = (
        nullcontext() if quiet or as_json else show_progress(sys.stderr)
    )
    with shown as observer:
        found = whatif(run, *alternatives, train=trains, observer=observer)
    if as_json:
        print_json(found.to_dict())
    else:
        console = Terminal()
        console.print(found.comparison().table(console.width))
    if out is not None:
        write_output(out, csv_of(found.table) if out.suffix == ".csv" else str(found))
        say(f"Written to {out}", err=as_json)
