"""`gapslsim run`: simulates a scenario, shows how far it is, leaves a run directory and a table."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapslsim.errors import NumericalError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gapslsim.cli.progress import Observer
    from gapslsim.results.results import Results
    from gapslsim.scenario.schema import Scenario

__all__ = ["run_command"]


def run_command(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or a shipped one's name.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Run directory [default: runs/NAME-FRAMEWORK-seedN].")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Change a setting, e.g. framework.eta=0.3; repeatable."
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Timing only: no tensors, the same timeline.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the run directory.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="Where tensors live: auto, cpu, cuda, cuda:1, mps, ...")
    ] = None,
) -> None:
    """Run a scenario: real training on a simulated clock."""
    try:
        code = _run(scenario, out, list(overrides or []), dry, quiet, device)
    except KeyboardInterrupt:
        typer.echo("Interrupted before the first round; nothing was written.", err=True)
        code = 130
    if code:
        raise typer.Exit(code)


def _run(
    path: str, out: Path | None, overrides: list[str], dry: bool, quiet: bool, device: str | None
) -> int:
    from gapslsim.registry import settings_of
    from gapslsim.results.results import run_label
    from gapslsim.results.store import check_target
    from gapslsim.scenario.loading import load

    if device is not None:
        overrides = [*overrides, f"training.device={device}"]
    loaded = load(path, set=overrides, deep=True)
    label = run_label(loaded.name, settings_of(loaded.framework)["kind"], loaded.seed)
    target = out if out is not None else Path("runs") / label
    replaces = check_target(target, label)
    try:
        results = _simulate(loaded, dry, quiet)
    except NumericalError as error:
        if error.results is not None:
            _leave(error.results, target, replaces, quiet)
        raise
    _leave(results, target, replaces, quiet)
    return 130 if results.summary["status"] == "interrupted" else 0


def _simulate(scenario: Scenario, dry: bool, quiet: bool) -> Results:
    from gapslsim.cli.progress import show_progress

    shown: AbstractContextManager[Observer | None] = nullcontext() if quiet else show_progress(sys.stderr)
    with shown as observer:
        from gapslsim.run import simulate  # Torch is imported here, when the bar already says so.

        return simulate(scenario, dry=dry, observer=observer)


def _leave(results: Results, target: Path, replaces: bool, quiet: bool) -> None:
    """Writes the run directory and prints the table and the place."""
    from rich.console import Console

    from gapslsim.results.store import write_results
    from gapslsim.results.tables import end_table

    write_results(results, target)
    if quiet:
        typer.echo(str(target))
        return
    Console(highlight=False).print(end_table(results.summary))
    note = " (the earlier run there was replaced)" if replaces else ""
    typer.echo(f"\nWritten to {target}{note}")
