"""`gapslsim run`: simulates a scenario, shows how far it is, leaves a run directory and a table."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapslsim._version import __version__
from gapslsim.cli.endings import INTERRUPTED
from gapslsim.cli.json_output import print_json
from gapslsim.cli.log import log
from gapslsim.cli.say import say
from gapslsim.cli.signals import held_back
from gapslsim.errors import GapslsimError, ResultsError, StalledError
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from gapslsim.cli.progress import Observer
    from gapslsim.learning.journal.journal import JournalSettings
    from gapslsim.records import Progress
    from gapslsim.results.place import StoredIdentity
    from gapslsim.results.results import Results
    from gapslsim.scenario.schema import Scenario

__all__ = ["run_command"]

_KEPT_CHECKPOINTS = 2
"""In a run directory: the newest, and one more in case it is damaged."""


def run_command(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or a shipped one's name.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Run directory [default: in runs/, by name and changes]."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change a setting, e.g. framework.eta=0.3 or 'clients.*.link=wifi'; repeatable.",
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Timing only: no tensors, the same timeline.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the run directory.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the directory and the summary as JSON and nothing else.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Where tensors live: auto, cpu, cuda, cuda:1, mps.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="Where training is recorded and looked up [default: OUT/journal, begun anew]."),
    ] = None,
    no_journal: Annotated[bool, typer.Option("--no-journal", help="Record no training.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run into the same directory was cut off.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace the run that lies there; with --resume its journal is used, else begun anew.",
        ),
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            metavar="ROUNDS",
            min=1,
            max=10**12,
            help="Rounds between checkpoints [default: at most 1 % of the time].",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Time it N times within what devices leave open: intervals of time and energy."
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[=WHERE]",
            help="Have a tracker follow it: mlflow, tensorboard or wandb, as tensorboard=runs/tb; repeatable.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the trained models: FILE.safetensors."),
    ] = None,
) -> None:
    """Run a scenario: real training on a simulated clock."""
    if resume and (no_journal or dry):
        raise typer.BadParameter(
            "there is nothing to resume without a journal; leave out --no-journal or --dry"
        )
    if journal is not None and no_journal:
        raise typer.BadParameter("give either --journal or --no-journal")
    if save is not None:
        _check_save(save, dry)
    record = None if no_journal or dry else _Record(journal, resume or save is not None, checkpoint_every)
    changes = [*(overrides or ()), *([] if device is None else [f"training.device={device}"])]
    changes += [] if draws is None else [f"uncertainty.draws={draws}"]
    request = _Request(out, dry, quiet or as_json, resume, force, save, tuple(track or ()), as_json)
    code = _run(scenario, changes, request, record)
    if code:
        raise typer.Exit(code)


def _check_save(file: Path, dry: bool) -> None:
    """Says before the run what would keep the models from being written after it."""
    if dry:
        raise typer.BadParameter("a dry run trains nothing to save; leave out --dry or --save")
    if file.suffix != ".safetensors":
        raise typer.BadParameter(f"--save {file}: name the file with .safetensors at its end")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"--save {file}: give a file in a directory that exists")
    from gapslsim.results.outputs import check_replaces

    check_replaces(file)


@dataclass(frozen=True)
class _Request:
    """What was asked of the run's directory."""

    out: Path | None
    dry: bool
    quiet: bool
    resume: bool
    force: bool
    save: Path | None
    track: tuple[str, ...]
    as_json: bool

    def tell(self, target: Path, summary: Mapping[str, Any], found: bool = False) -> None:
        """The directory, for programs."""
        if self.as_json:
            print_json({"directory": str(target), "was_there": found, "summary": summary})
        elif self.quiet:
            say(str(target))


@dataclass(frozen=True)
class _Record:
    """What was asked of the journal."""

    directory: Path | None
    resume: bool
    checkpoint_every: int | None

    def settings(self, target: Path) -> JournalSettings:
        """The journal of a run; that of its own directory is begun anew unless the run is resumed."""
        from gapslsim.learning.journal.folder import MARKER
        from gapslsim.learning.journal.journal import JournalSettings
        from gapslsim.learning.journal.maintenance import delete_journal
        from gapslsim.results.place import JOURNAL

        own = target / JOURNAL
        if self.directory is not None:
            return JournalSettings(self.directory, self.checkpoint_every)
        if not self.resume and (own / MARKER).exists():
            delete_journal(own)
        return JournalSettings(own, self.checkpoint_every, max_checkpoints=_KEPT_CHECKPOINTS)


def _run(path: str, changes: list[str], request: _Request, record: _Record | None) -> int:
    from gapslsim.own_components import digests
    from gapslsim.registry import settings_of
    from gapslsim.results.place import (
        Identity,
        check_place,
        choose_place,
        claim,
        name_of_changes,
        release,
        run_label,
    )
    from gapslsim.scenario.dumping import dump
    from gapslsim.scenario.loading import load
    from gapslsim.scenario.resets import resets

    dry, save, quiet = request.dry, request.save, request.quiet
    loaded = load(path, set=changes, deep=True, dry=dry)
    for note in () if quiet else resets(path, changes, loaded):
        say(f"Note: {note}.", err=True)
    label = run_label(loaded.name, settings_of(loaded.framework)["kind"], loaded.seed)
    wanted = Identity(label=label, scenario_yaml=dump(loaded), dry=dry, components=digests())
    target = request.out
    if target is None:
        target = choose_place(Path("runs"), wanted, name_of_changes(changes))
    held = check_place(target, wanted, replace=request.force)
    if held is not None and not request.force and (code := _found(held, target, request)) is not None:
        return code
    journal = None if record is None else record.settings(target)
    if held is None:
        claim(target, wanted)
    try:
        results = _simulate(loaded, request, journal, target)
    except GapslsimError as error:
        if error.results is not None:
            _leave(error.results, target, held is not None, request)
        raise
    except KeyboardInterrupt:
        say("Nothing was written but what the journal holds; --resume makes use of it.", err=True)
        raise
    finally:
        release(target)
    try:
        _leave(results, target, held is not None, request)
    except ResultsError as error:
        if journal is None:
            raise
        kept = f"what was trained lies in {journal.directory}, as far as there was room"
        raise ResultsError(f"{error}; {kept}: make some, then go on with --resume") from error
    if save is not None:
        with held_back():
            results.save_models(save)
        if not quiet:
            say(f"Trained models in {save}")
    status = str(results.summary["status"])
    if status == "interrupted":
        goes_on = "; go on with --resume" if journal is not None else ""
        say(f"Interrupted after {len(results.rounds)} rounds, which lie in {target}{goes_on}.", err=True)
    return _code_of(status)


def _found(held: StoredIdentity, target: Path, request: _Request) -> int | None:
    """Tells that this very run lies there, and how the command ends; None to go on with it.

    Raises:
        ResultsError: if it is neither finished nor to be resumed.
    """
    if held.is_finished and held.made_by not in ("", __version__):
        raise ResultsError(
            f"{target} holds this run, made by gapslsim {held.made_by}; this is {__version__}; replace it with "
            "--force, or give another directory with --out"
        )
    if held.is_finished and request.save is None:
        if request.as_json:
            from gapslsim.results.store import load_summary

            request.tell(target, load_summary(target), found=True)
        elif request.quiet:
            request.tell(target, {})
        else:
            say(
                f"This run is already there: {target}. Nothing was run; --force runs it again and replaces it."
            )
        return _code_of(held.status)
    if held.is_finished or request.resume:
        return None
    how = f"it ended as {held.status}" if held.status else "it was cut off"
    goes_on = "" if request.dry else "go on with --resume, or "
    raise ResultsError(f"{target} holds this run already, but {how}; {goes_on}begin it anew with --force")


def _code_of(status: str) -> int:
    """Exit code of a run that ended so."""
    if status.startswith("stalled"):
        say(f"The run {status}.", err=True)
        return StalledError.exit_code
    return INTERRUPTED if status == "interrupted" else 0


def _simulate(
    scenario: Scenario, request: _Request, journal: JournalSettings | None, target: Path
) -> Results:
    from gapslsim.cli.progress import show_progress
    from gapslsim.torch_device import choose_device, named

    track = []
    if request.track:
        from gapslsim.tracking.tracker import tracker_of

        track = [tracker_of(text) for text in request.track]
    quiet, dry, models = request.quiet, request.dry, request.save is not None
    # A GPU is told before hours are spent on it, or on the wrong one.
    if not (dry or quiet) and (device := choose_device(scenario.training.device)).type != "cpu":
        say(f"Tensors on {named(device)} (training.device: {scenario.training.device}).", err=True)
    shown: AbstractContextManager[Observer | None] = nullcontext() if quiet else show_progress(sys.stderr)
    with shown as observer:
        from gapslsim.run import simulate  # Torch is imported here, when the bar already says so.

        if log().isEnabledFor(logging.INFO):
            observer = _logged(observer)
        how: dict[str, Any] = {"journal": journal, "models": models, "track": track, "scratch": target}
        return simulate(scenario, dry=dry, observer=observer, **how)


def _logged(observer: Observer | None) -> Observer:
    """Also puts every round into the log."""
    from gapslsim.cli.progress import describe

    def observe(progress: Progress) -> None:
        log().info(describe(progress))
        if observer is not None:
            observer(progress)

    return observe


def _leave(results: Results, target: Path, replaces: bool, request: _Request) -> None:
    """Writes the run directory and prints the table and the place."""
    from gapslsim.results.store import write_results
    from gapslsim.results.tables import end_table

    with held_back():
        write_results(results, target, replace=replaces)
    journal = results.summary.get("journal", {})
    for message in journal.get("messages", ()):
        say(f"Journal: {message}", err=True)
    if request.quiet:
        request.tell(target, results.summary)
        return
    Terminal().print(end_table(results.summary))
    note = " (the earlier run there was replaced)" if replaces else ""
    if journal.get("replayed"):
        say(
            f"\nFrom the journal: {journal['replayed']} operations, {journal['saved_s']:.1f} s saved; "
            f"{journal['computed']} computed."
        )
    say(f"\nWritten to {target}{note}")
