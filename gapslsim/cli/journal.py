"""`gapslsim journal`: what a journal holds, whether it is sound, and keeping it small."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gapslsim.cli.say import say
from gapslsim.terminal import Terminal

__all__ = ["journal_command"]


class Action(StrEnum):
    """What to do with a journal."""

    list = "list"
    prune = "prune"
    verify = "verify"


def journal_command(
    action: Annotated[Action, typer.Argument(help="list, prune or verify.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A journal, or a run or study directory that holds one.")
    ],
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="prune: come down to this size, e.g. '2 GB'.")
    ] = None,
    other_versions: Annotated[
        bool,
        typer.Option(
            "--other-versions", help="prune: delete what another version of gapslsim or torch made."
        ),
    ] = False,
) -> None:
    """List what a journal holds, check its checksums, or make it smaller."""
    from gapslsim.learning.journal.folder import MARKER

    if not (directory / MARKER).exists() and (directory / "journal" / MARKER).exists():
        directory = directory / "journal"
    if action is Action.list:
        _list(directory)
    elif action is Action.prune:
        _prune(directory, max_size, other_versions)
    elif not _verify(directory):
        raise typer.Exit(1)


def _list(directory: Path) -> None:
    from gapslsim.learning.journal.folder import trainings
    from gapslsim.learning.journal.maintenance import content_of

    table = Table("training", "first run", "records", "checkpoints", "size", "made by", "last used")
    for training in trainings(directory):
        content = content_of(training)
        about, made_by = training.header["about"], training.header["compatibility"]
        upto = f", up to round {content.checkpoints[-1].round}" if content.checkpoints else ""
        table.add_row(
            training.folder.name.removeprefix("training-"),
            "{name}-{framework}-seed{seed}".format_map(about),
            str(content.n_records),
            f"{len(content.checkpoints)}{upto}",
            f"{content.size_bytes / 1e6:.2f} MB",
            f"{made_by['gapslsim']}, torch {made_by['torch']}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(content.last_used))
            + (", in use" if content.in_use else ""),
        )
    Terminal().print(table)


def _prune(directory: Path, max_size: str | None, other_versions: bool) -> None:
    from gapslsim.learning.journal.compatibility import programs
    from gapslsim.learning.journal.maintenance import prune

    done = prune(directory, _bytes(max_size), programs() if other_versions else None)
    for line in done or ["Nothing to do."]:
        say(line)


def _bytes(text: str | None) -> float | None:
    from gapslsim.units import parse_quantity

    if text is None:
        return None
    try:
        return parse_quantity(text, "B")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--max-size") from error


def _verify(directory: Path) -> bool:
    from gapslsim.learning.journal.maintenance import verify

    n_checked, problems = verify(directory)
    for problem in problems:
        say(problem)
    say(f"{n_checked} records and checkpoints checked, {len(problems)} problems.")
    return not problems
