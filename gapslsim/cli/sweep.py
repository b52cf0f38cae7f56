"""`gapslsim sweep`: runs a study, shows how far it is, leaves one directory with all runs and tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from gapslsim.cli.json_output import JsonOption, print_json
from gapslsim.cli.say import say
from gapslsim.errors import ResultsError
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.results.study import StudyRecord
    from gapslsim.studies.plan import Plan
    from gapslsim.studies.sweep import Observer, SweepProgress

__all__ = ["sweep_command"]


def sweep_command(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a shipped one's name.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Directory of the study [default: studies/NAME-CHANGES]."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a setting of every run; repeatable."),
    ] = None,
    backend: Annotated[str, typer.Option(help="Where to run: local, ray or dask.")] = "local",
    address: Annotated[
        str, typer.Option(help="Of a Ray or Dask cluster; without, one is started here.")
    ] = "",
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Runs at a time [default: one per core].")
    ] = None,
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="GPUS",
            help="GPUs that runs share by memory: how many, or which, as 0,1 [default: all].",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in this directory; finished runs are kept.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Replace finished runs there: all, or with --resume those of other scenarios."
        ),
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the journal, to share training with other studies [default: OUT/journal]."
        ),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Show the plan and what it will cost; run nothing.")
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[=WHERE]",
            help="Tell a tracker of every run that completes: mlflow, tensorboard, wandb; repeatable.",
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the directory.")] = False,
) -> None:
    """Run a study: every combination of its axes with every seed."""
    from gapslsim.results.study import read_study
    from gapslsim.studies.backend import make_backend
    from gapslsim.studies.lock import left_behind
    from gapslsim.studies.plan import load_study
    from gapslsim.studies.sweep import check_place, lies_in, sweep

    plan = load_study(study, set=overrides or ())
    target = out if out is not None else _place(plan, overrides or [], resume or force)
    if dry and as_json:
        raise typer.BadParameter("--dry prints a plan for people; leave out --json or --dry")
    if dry:
        from gapslsim.studies.estimate import show_plan
        from gapslsim.studies.gpus import find_gpus

        show_plan(plan, target, jobs, find_gpus(gpus))
        return
    if not (resume or force) and lies_in(plan, target):
        if as_json:
            print_json(_told(read_study(target), target))
            return
        say(
            str(target)
            if quiet
            else f"This study is already there: {target}. Nothing was run; --force runs it again."
        )
        return
    check_place(plan, target, resume=resume, force=force)
    killed = left_behind(target)
    if killed is not None and not quiet:
        say(f"The last sweep in {target} was killed ({killed}); going on with what it finished.", err=True)
    chosen = make_backend(backend, address, jobs, gpus)
    on_result = None
    if track:
        from gapslsim.studies.tracked import tracked
        from gapslsim.tracking.tracker import tracker_of

        on_result = tracked([tracker_of(text) for text in track], plan.study.name)
    for run in plan.impossible if not quiet else ():
        say(f"{run.record.label} is impossible:", err=True)
        for problem in run.problems:
            say(f"  {problem}", err=True)
    shown: AbstractContextManager[Observer | None] = nullcontext() if quiet or as_json else _show(sys.stderr)
    try:
        with shown as observer:
            record = sweep(
                plan, target, chosen, resume=resume, force=force, journal=journal, observer=observer,
                on_result=on_result,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(f"Interrupted. What is finished lies in {target}; go on with --resume.", err=True)
        raise typer.Exit(130) from None
    drawn = _draw(target)
    n_wrong = sum(not run.has_ended for run in record.runs)
    if as_json:
        print_json(_told(record, target))
    elif quiet:
        say(str(target))
    else:
        _tell(record, target, n_wrong, drawn)
    if n_wrong:
        raise typer.Exit(1)


def _place(plan: Plan, overrides: list[str], goes_on: bool) -> Path:
    """Directory of a study for which none was given: another one where runs of other scenarios lie."""
    from gapslsim.results.place import name_of_changes
    from gapslsim.studies.axes import slug
    from gapslsim.studies.sweep import others_in

    changes = name_of_changes(overrides)
    usual = Path("studies") / "-".join(filter(None, (slug(plan.study.name), changes)))
    return usual if goes_on or not others_in(plan, usual) else usual.with_name(f"{usual.name}-{plan.digest}")


def _told(record: StudyRecord, target: Path) -> dict[str, Any]:
    runs = [
        {"label": run.label, "axes": run.axes, "seed": run.seed, "status": run.status,
         "directory": str(target / "runs" / run.label)}
        for run in record.runs
    ]  # fmt: skip
    return {"directory": str(target), "name": record.name, "question": record.question, "runs": runs}


def _tell(record: StudyRecord, target: Path, n_wrong: int, drawn: list[Path]) -> None:
    for run in record.runs:
        if run.status != "completed":
            say(f"{run.label}: {run.status}", err=True)
    n_completed = sum(run.status == "completed" for run in record.runs)
    early = len(record.runs) - n_wrong - n_completed
    stopped = f", {early} were stopped early or spared" if early else ""
    say(f"{n_completed} of {len(record.runs)} runs completed{stopped}. Written to {target}")
    for line in _answers(target):
        say(line)
    for file in drawn:
        say(f"Its figure: {file}")
    say(f"Next: gapslsim report {target} -o {target / 'report.html'}")


def _answers(target: Path) -> list[str]:
    """The main findings and how sure they are; and which orders draws decide, where there are some."""
    from gapslsim.results.report.answers import answers, basis
    from gapslsim.results.report.data import gather
    from gapslsim.results.report.likely import orders_of

    try:
        runs = gather([target])
    except ResultsError:  # no run completed, which was told
        return []
    about = next((found for run in runs.runs if (found := run.summary.get("uncertainty"))), None)
    ranked = {} if about is None else orders_of(runs, about["decided"])
    orders = [f"{panel}: {order}" if panel else str(order) for panel, own in ranked.items() for order in own]
    return [*answers(runs), basis(runs), *orders]


def _draw(target: Path) -> list[Path]:
    """The study's figure, if it asks for one; what keeps it from being drawn is told and changes nothing else."""
    from gapslsim.cli.figure import draw_study

    try:
        return draw_study(target)
    except ResultsError as error:
        say(f"The figure could not be drawn: {error}", err=True)
        return []


def describe(progress: SweepProgress) -> str:
    """Runs done, failures and time left, in one line."""
    from gapslsim.cli.progress import time_left

    parts = [f"{progress.n_done}/{progress.n_runs} runs"]
    if progress.n_failed:
        parts.append(f"{progress.n_failed} failed")
    return ", ".join([*parts, time_left(progress.share, progress.wall_time_s)])


@contextmanager
def _show(out: TextIO) -> Iterator[Observer]:
    """A bar on a terminal; elsewhere a line per run."""
    from gapslsim.cli.progress import bar_on, is_live

    if not is_live(out):

        def line(progress: SweepProgress) -> None:
            if progress.note:
                out.write(f"{progress.note}\n")
            if progress.ended:
                how = f": {progress.error.splitlines()[0]}" if progress.error else ""
                out.write(f"{describe(progress)}; {progress.ended}{how}\n")
                out.flush()

        yield line
        return

    with bar_on(Terminal(file=out), 24) as bar:
        task = bar.add_task("starting", total=1.0)

        def observe(progress: SweepProgress) -> None:
            bar.update(task, completed=progress.share, description=describe(progress))
            if progress.note:
                bar.console.print(progress.note)
            if progress.error:
                first = progress.error.splitlines()[0]
                bar.console.print(f"{progress.ended}: {first}")

        yield observe
