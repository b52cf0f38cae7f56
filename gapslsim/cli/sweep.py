"""`gapslsim sweep`: runs a study, shows how far it is, leaves one directory with all runs and tables."""

from __future__ import annotations

import shlex
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
    from gapslsim.results.study import RunRecord, StudyRecord
    from gapslsim.studies.cut import Shard
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
        int | None,
        typer.Option("--jobs", "-j", min=1, max=4096, help="Runs at a time [default: one per core]."),
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
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Run this part of N only, beside the others in the same directory; begun again, it goes on.",
        ),
    ] = None,
    gather: Annotated[
        bool, typer.Option("--gather", help="Run nothing; put together what the shards have left.")
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry", help="Show the plan and what it will cost; run nothing.")
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[=WHERE]",
            help="Tell a tracker of every run as it goes on: mlflow, tensorboard, wandb; repeatable.",
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the directory.")] = False,
) -> None:
    """Run a study: every combination of its axes with every seed."""
    from gapslsim.results.study import read_study
    from gapslsim.studies.backend import make_backend
    from gapslsim.studies.cut import Shard
    from gapslsim.studies.lock import left_behind
    from gapslsim.studies.plan import load_study
    from gapslsim.studies.shards import sweep_shard
    from gapslsim.studies.sweep import check_place, lies_in, sweep
    from gapslsim.studies.tracked import Tracked
    from gapslsim.tracking.tracker import tracker_of

    part = Shard.parse(shard) if shard is not None else None
    if (shard or gather) and force:
        raise typer.BadParameter(
            "--force would replace what other shards have done; delete the directory instead"
        )
    if shard and gather:
        raise typer.BadParameter("--gather puts the shards together when they have ended; leave out --shard")
    plan = load_study(study, set=overrides or ())
    target = (
        out if out is not None else _place(plan, overrides or [], resume or force or bool(shard or gather))
    )
    if dry and as_json:
        raise typer.BadParameter("--dry prints a plan for people; leave out --json or --dry")
    if dry:
        from gapslsim.studies.estimate import show_plan
        from gapslsim.studies.gpus import find_gpus

        show_plan(plan, target, jobs, find_gpus(gpus))
        if part is not None:
            _show_shards(plan, part)
        return
    if gather:
        _gather(plan, target, _command(study, overrides, target, journal), as_json=as_json, quiet=quiet)
        return
    tracked = Tracked([tracker_of(text) for text in track or ()], plan.study.name, target)
    on_round = tracked.under_way if track else None
    if not (resume or force or part) and lies_in(plan, target):
        tracked.end(read_study(target).runs)
        if as_json:
            print_json(_told(read_study(target), target))
            return
        say(
            str(target)
            if quiet
            else f"This study is already there: {target}. Nothing was run; --force runs it again."
        )
        return
    if part is None:
        check_place(plan, target, resume=resume, force=force)
    killed = left_behind(target)
    if killed is not None and not quiet:
        say(f"The last sweep in {target} was killed ({killed}); going on with what it finished.", err=True)
    chosen = make_backend(backend, address, jobs, gpus)
    for run in plan.impossible if not quiet else ():
        say(f"{run.record.label} is impossible:", err=True)
        for problem in run.problems:
            say(f"  {problem}", err=True)
    shown: AbstractContextManager[Observer | None] = nullcontext() if quiet or as_json else _show(sys.stderr)
    try:
        with shown as observer:
            if part is not None:
                ended = sweep_shard(
                    plan, target, chosen, part, journal=journal, observer=observer, on_result=tracked,
                    on_round=on_round,
                )  # fmt: skip
            else:
                record = sweep(
                    plan, target, chosen, resume=resume, force=force, journal=journal, observer=observer,
                    on_result=tracked, on_round=on_round,
                )  # fmt: skip
    except KeyboardInterrupt:
        how = "the same command" if part is not None else "--resume"
        say(f"Interrupted. What is finished lies in {target}; go on with {how}.", err=True)
        raise typer.Exit(130) from None
    tracked.end(ended if part is not None else record.runs)
    if part is not None:
        command = _command(study, overrides, target, journal)
        _tell_shard(part, ended, target, command, as_json=as_json, quiet=quiet)
        return
    _finish(record, target, as_json=as_json, quiet=quiet)


def _finish(record: StudyRecord, target: Path, *, as_json: bool, quiet: bool) -> None:
    """Draws the figure and tells how the runs ended; ends with 1 unless all are completed."""
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


def _command(study: str, overrides: list[str] | None, target: Path, journal: Path | None) -> str:
    """Without which shard."""
    words = ["gapslsim", "sweep", study, "--out", str(target)]
    words += [word for change in overrides or () for word in ("--set", change)]
    return shlex.join(words if journal is None else [*words, "--journal", str(journal)])


def _show_shards(plan: Plan, part: Shard) -> None:
    from gapslsim.studies.cut import cut

    for index, each in enumerate(cut(plan.possible, part.number), 1):
        share = f"{each.share:.0%} of the work" if each.labels else "nothing to do"
        say(f"Shard {index}/{part.number}: {len(each.labels)} runs, {share}.")


def _tell_shard(
    part: Shard, ended: list[RunRecord], target: Path, command: str, *, as_json: bool, quiet: bool
) -> None:
    n_wrong = sum(run.status != "completed" for run in ended)
    if as_json:
        print_json(
            {"directory": str(target), "shard": str(part), "runs": [_told_run(run, target) for run in ended]}
        )
    elif quiet:
        say(str(target))
    else:
        for run in ended:
            if run.status != "completed":
                say(f"{run.label}: {run.status}", err=True)
        none = "" if ended else " The study has fewer chains of training than shards."
        say(f"Shard {part}: {len(ended) - n_wrong} of {len(ended)} runs completed.{none}")
        say(f"When all shards have ended: {command} --gather")
    if n_wrong:
        raise typer.Exit(1)


def _gather(plan: Plan, target: Path, command: str, *, as_json: bool, quiet: bool) -> None:
    """Puts shards together; ends with 1 if something is missing or has failed."""
    from gapslsim.studies.shards import gather

    found = gather(plan, target)
    for left in found.missing:
        how = f"at work: {left.at_work}" if left.at_work else f"go on with: {command} --shard {left.shard}"
        few = ", ".join(left.labels[:3]) + (
            f" and {len(left.labels) - 3} more" if len(left.labels) > 3 else ""
        )
        say(f"Shard {left.shard} has not done {few}; {how}", err=True)
    _finish(found.record, target, as_json=as_json, quiet=quiet)


def _place(plan: Plan, overrides: list[str], goes_on: bool) -> Path:
    """Directory of a study for which none was given: another one where runs of other scenarios lie."""
    from gapslsim.results.place import name_of_changes
    from gapslsim.studies.axes import slug
    from gapslsim.studies.sweep import others_in

    changes = name_of_changes(overrides)
    usual = Path("studies") / "-".join(filter(None, (slug(plan.study.name), changes)))
    return usual if goes_on or not others_in(plan, usual) else usual.with_name(f"{usual.name}-{plan.digest}")


def _told(record: StudyRecord, target: Path) -> dict[str, Any]:
    runs = [_told_run(run, target) for run in record.runs]
    return {"directory": str(target), "name": record.name, "question": record.question, "runs": runs}


def _told_run(run: RunRecord, target: Path) -> dict[str, Any]:
    return {
        "label": run.label, "axes": run.axes, "seed": run.seed, "status": run.status,
        "directory": str(target / "runs" / run.label),
    }  # fmt: skip


def _tell(record: StudyRecord, target: Path, n_wrong: int, drawn: list[Path]) -> None:
    from gapslsim.results.study_tables import read_tables
    from gapslsim.studies.searching import best_trials

    for run in record.runs:
        if not run.has_ended:
            say(f"{run.label}: {run.status}", err=True)
    n_completed = sum(run.status == "completed" for run in record.runs)
    early = len(record.runs) - n_wrong - n_completed
    stopped = f", {early} were stopped early or spared" if early else ""
    say(f"{n_completed} of {len(record.runs)} runs completed{stopped}. Written to {target}")
    for line in [*best_trials(read_tables(target)), *_answers(target)]:
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
