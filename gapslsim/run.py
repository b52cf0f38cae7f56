"""The main flow: one scenario in, tables of accuracy and latency out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapslsim.collector import rare_collections
from gapslsim.errors import GapslsimError, StalledError
from gapslsim.faults import may_interrupt, nobody_exits
from gapslsim.kernels import choose
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.judging import Wanted
from gapslsim.milestones import Milestones, Position
from gapslsim.near_targets import NearTargets
from gapslsim.records import ConfusionRow, EvaluationRow, Progress, RoundRow
from gapslsim.results.categories import received, sent
from gapslsim.results.per_class import per_class
from gapslsim.results.results import Results
from gapslsim.results.summary import RunFacts
from gapslsim.roster import client_rows
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.limits import Every, Patience
from gapslsim.scenario.schema import Scenario
from gapslsim.tables.rows import Rows

if TYPE_CHECKING:
    from gapslsim.assembly import Parts
    from gapslsim.tracking.tracker import Tracker

__all__ = ["simulate"]

Observer = Callable[[Progress], None]


def simulate(
    scenario: Scenario,
    *,
    dry: bool = False,
    observer: Observer | None = None,
    journal: str | Path | JournalSettings | None = None,
    models: bool = False,
    track: Sequence[Tracker] = (),
    scratch: str | Path | None = None,
    until: str | None = None,
) -> Results:
    """Runs a scenario: real training inside the event loop, or timing only.

    Args:
        scenario: from `gapslsim.load`.
        dry: no tensors; the same timeline in a fraction of the time.
        observer: called after every round; a KeyboardInterrupt that it raises ends the run as Ctrl-C does.
        journal: directory where training is looked up and recorded, or that with its limits. What it knows is not
            computed again: a run that was killed goes on, other hardware or another network costs no training.
        models: have `Results.model` also where the journal knows the training; what is missing is then computed.
        track: trackers that follow the run, such as `TensorBoard(where="runs/tb")`; none can harm it.
        scratch: directory for the tables of a long run while it goes on, which do not stay in memory; that of the
            system for temporary files unless given. Nothing is left there.
        until: `5 epochs`, say: end with the first round that closes there or later, with status
            `stopped: after ...`. Its tables are what those of the whole run begin with, and a journal has all that it
            takes to go on.

    Returns:
        Tables and summary. Ctrl-C ends the run early with status `interrupted` and everything so far; a run in which
        nobody can go on ends as `stalled: ...`, with who waits for whom.

    Raises:
        GapslsimError: if the scenario cannot be run as written. Where the run was under way (a loss that is not finite,
            a channel that gives no rate) its `results` hold everything so far.
    """
    if track:
        how = {"dry": dry, "journal": journal, "models": models, "scratch": scratch, "until": until}
        return _followed(scenario, track, observer=observer, **how)
    if isinstance(journal, (str, Path)):
        journal = JournalSettings(Path(journal))
    stop_at = None if until is None else Every.parse(until)
    choose(scenario.training.kernels)
    from gapslsim.assembly import assemble  # Which imports torch, unless it is dry.

    training = scenario.training
    with nobody_exits(), rare_collections():
        parts = assemble(scenario, dry, None if dry else journal)
        with ExitStack() as around:
            if parts.device is not None:
                from gapslsim.numerics import computing

                around.enter_context(computing(parts.device, training.precision, training.deterministic))
            results = _simulate(_Run(scenario, parts, dry, observer, models, stop_at, scratch))
    if scenario.uncertainty is None or results.summary["status"] != "completed":
        return results
    from gapslsim.uncertainty.draws import with_draws

    return with_draws(results, scenario=scenario)


def _followed(
    scenario: Scenario, track: Sequence[Tracker], *, observer: Observer | None, **how: Any
) -> Results:
    """Runs a scenario while trackers follow it."""
    from gapslsim.results.place import run_label
    from gapslsim.tracking.following import Following
    from gapslsim.tracking.line import Line

    label = run_label(scenario.name, scenario.framework.kind, scenario.seed)
    lines = [Line(tracker) for tracker in track]
    followed = Following(lines, label, scenario.name, dump(scenario))

    def observe(progress: Progress) -> None:
        if observer is not None:
            observer(progress)
        followed(progress)

    results: Results | None = None
    try:
        results = simulate(scenario, observer=observe, **how)
    except GapslsimError as error:
        results = error.results
        raise
    finally:
        followed.end(results)
        for line in lines:
            line.wait()
    return results


def _simulate(run: _Run) -> Results:
    try:
        with nobody_exits(), run.threads:
            status = run.play()
    except KeyboardInterrupt:
        run.parts.learner.save()
        status = "interrupted"
    except StalledError as error:
        run.parts.learner.save()
        status = f"stalled: {error}"
    except GapslsimError as error:
        error.results = run.results(f"failed: {error}")
        raise
    finally:
        run.close()
    return run.results(status)


class _Run:
    """One run under way."""

    def __init__(
        self,
        scenario: Scenario,
        parts: Parts,
        dry: bool,
        observer: Observer | None,
        models: bool,
        until: Every | None,
        scratch: str | Path | None,
    ) -> None:
        self.parts = parts
        self._until = until
        self._is_cut = False
        self._models = models
        self.threads: AbstractContextManager[None] = nullcontext()
        if not dry:
            from gapslsim.learning.workers import intra_op_threads

            self.threads = intra_op_threads(scenario.training.threads)
        self._scenario = scenario
        self._dry = dry
        self._observer = observer and may_interrupt(observer)
        self._started = time.perf_counter()
        self._rows = Rows(RoundRow)
        recorder, links = parts.recorder, parts.network.link_use
        for rows in (self._rows, recorder.rows, recorder.attendance, parts.learner.staleness_rows, links):
            if isinstance(rows, Rows) and scratch is not None:
                rows.folder = Path(scratch)
        self._evaluations: list[EvaluationRow] = []
        self._confusion: list[ConfusionRow] = []
        self._metrics: dict[str, list[float]] = {m.kind: [] for m in scenario.evaluation.metrics}
        self._latest: dict[str, float] = {}
        self._stopped_by = ""
        self._leaks: dict[str, Sequence[Any]] = {"leakage": (), "reconstructions": ()}
        self._journal = parts.learner.journal
        evaluation = scenario.evaluation
        geometry = evaluation.geometry_interval(scenario.framework.keeps_client_gradients)
        self._wanted = Wanted(evaluation.metrics, evaluation.per_class)
        better = {"loss": False} | {m.kind: m.greater_is_better for m in evaluation.metrics}
        self._patience = scenario.stop.patience
        greater = self._patience is None or better.get(self._patience.of, True)
        self._milestones = Milestones(evaluation.every, scenario.stop, geometry, greater)
        self._near = NearTargets(evaluation.near_targets, evaluation.targets)
        self._judged: float | None = None
        """Accuracy in the target view at the last evaluation that was due."""

    def play(self) -> str:
        """Rounds until a stop condition holds; evaluation before the first, when due, and after the last.

        Returns:
            The status.
        """
        self._evaluate()
        self.parts.stage.play(self._scenario.framework, self)
        if self._is_cut:
            # For whoever goes on from here. Nothing is evaluated that the whole run would not evaluate.
            self.parts.learner.save()
            return f"stopped: after {self._until}"
        if not self._stopped_by:
            self._stopped_by = "the end of the protocol"
            self._evaluate()
        if self._scenario.evaluation.predictions:
            self.parts.learner.predict(self._scenario.evaluation.views)
        self._leaks = self.parts.leaks(self._scenario)
        if self._models:
            self.parts.learner.trained(compute=True)
        return "completed"

    def opens(self) -> None:
        """Decides whether the gradients of the round that begins are measured."""
        self.parts.learner.measures_geometry = self._milestones.geometry_is_due(self._position())

    @property
    def is_over(self) -> bool:
        """Whether a stop condition holds."""
        return bool(self._stopped_by)

    @property
    def limit_s(self) -> float | None:
        """Simulated time at which a protocol without a barrier is ended [s]."""
        return self._scenario.stop.simulated_time

    def close(self) -> None:
        """Lets go of the journal, and of events that nobody waits for any more."""
        self.parts.stage.close()
        if self._journal is not None:
            self._journal.close()

    def results(self, status: str) -> Results:
        """Everything recorded so far."""
        parts, scenario = self.parts, self._scenario
        parts.stage.stop()
        now_s = parts.stage.now_s
        observed = parts.learner.observed
        rows: dict[str, Iterable[tuple[Any, ...]]] = {
            "clients": client_rows(scenario, parts.setup, parts.client_devices),
            "spans": parts.recorder.rows,
            "rounds": self._rows,
            "evaluations": self._evaluations,
            "losses": observed.losses,
            "local_losses": observed.local_losses,
            "alignment": observed.alignment,
            "links": parts.network.link_use,
            "gradients": observed.gradients,
            "updates": observed.updates,
            "pairwise": observed.pairwise,
            "attendance": parts.recorder.attendance,
            "presence": parts.stage.absences(),
            "staleness": parts.learner.staleness_rows,
            "confusion": self._confusion,
            "per_class": per_class(self._confusion),
            "predictions": observed.predictions,
            "uncertainty": (),
            **self._leaks,
        }
        facts = RunFacts(
            name=scenario.name,
            framework=scenario.framework.kind,
            seed=scenario.seed,
            status=status,
            stopped_by=self._stopped_by,
            dry=self._dry,
            simulated_time_s=now_s,
            wall_time_s=time.perf_counter() - self._started,
            timeline_sha256=parts.recorder.timeline_sha256(),
            learning_sha256=observed.learning_sha256(),
            device_of_client=[device.name for device in parts.client_devices],
            targets=scenario.evaluation.targets,
            target_view=scenario.evaluation.target_view,
            server_idle_w=parts.stage.servers_idle_w,
            memory=parts.memory,
            samples=parts.learner.samples_seen,
            computed_on=self._computed_on(),
            extra=self._further(),
        )
        sums = parts.recorder.sums
        made = Results.from_rows(dump(scenario), rows, facts, parts.learner.trained(), self._metrics, sums)
        parts.recorder.rows.end()  # Else the results would keep all that ran.
        return made

    def _further(self) -> dict[str, Any]:
        """Entries of the summary that only some runs have."""
        learner = self.parts.learner
        found: dict[str, Any] = {} if self._journal is None else {"journal": self._journal.summary()}
        if learner.setup.codings:
            from gapslsim.learning.privacy import privacy_of

            if privacy := privacy_of(learner.setup, learner.states):
                found["privacy"] = privacy
        return found

    def _computed_on(self) -> dict[str, Any] | None:
        from gapslsim.torch_device import computed_on

        training, device = self._scenario.training, self.parts.device
        if device is None:
            return None
        return computed_on(device, training.precision, training.deterministic, training.compile)

    def closes(self, start_s: float) -> None:
        """Adds the round that has ended to the table, evaluates and judges."""
        stage, learner = self.parts.stage, self.parts.learner
        sizes, energy_j = self.parts.recorder.used_since()
        at = self._position()
        loss = learner.observed.mean_loss(stage.round) if not self._dry else math.nan
        self._rows.append(
            RoundRow(
                round=stage.round,
                start_s=start_s,
                end_s=stage.now_s,
                epoch=at.epochs,
                n_participants=len(stage.participants),
                loss=loss,
                bytes_up=sum(size for phase, size in sizes.items() if sent(phase)),
                bytes_down=sum(size for phase, size in sizes.items() if received(phase)),
                energy_j=energy_j,
            )
        )
        if not self.is_over:
            self.updated()
            until = self._until
            if not self.is_over and until is not None and until.passed(self._position().along(until.unit)):
                self._is_cut, self._stopped_by = True, f"{until}, where it was to stop for now"
        if self._observer is not None:
            self._observer(
                Progress(
                    round=stage.round,
                    planned_rounds=self.parts.planned_rounds,
                    simulated_time_s=at.now_s,
                    epoch=at.epochs,
                    accuracy=dict(self._latest),
                    wall_time_s=time.perf_counter() - self._started,
                    fraction=self._milestones.fraction(self._position()),
                    loss=loss,
                )
            )

    def updated(self) -> None:
        """Evaluates if that is due, and looks whether a stop condition holds."""
        at = self._position()
        due = self._milestones.evaluation_is_due(at)
        if due:
            self._evaluate()
        self._stopped_by = self._milestones.stopped_by(at, self._judged)
        if self._stopped_by and not due:
            self._evaluate()
        elif not due and self._near.evaluation_is_due(at):
            self._evaluate(is_due=False)

    def _position(self) -> Position:
        stage, learner = self.parts.stage, self.parts.learner
        seen = learner.samples_seen
        n_rounds = len(self._rows)
        return Position(n_rounds, seen / self.parts.n_train, stage.now_s, learner.server_steps, seen)

    def _evaluate(self, is_due: bool = True) -> None:
        observed, now_s = self.parts.learner.observed, self.parts.stage.now_s
        seen = len(observed.accuracies)
        said, n_judged = len(observed.confusion), len(observed.metrics)
        self.parts.learner.evaluate(self._scenario.evaluation.views, self._wanted)
        self._confusion += [ConfusionRow(row.round, now_s, *row[1:]) for row in observed.confusion[said:]]
        rows = [
            EvaluationRow(a.round, now_s, a.view, a.client, a.accuracy, a.loss)
            for a in observed.accuracies[seen:]
        ]
        self._evaluations.extend(rows)
        judged = {(m.view, m.client, m.name): m.value for m in observed.metrics[n_judged:]}
        for name, column in self._metrics.items():
            column += [judged.get((row.view, row.client, name), math.nan) for row in rows]
        if self._patience is not None and rows and is_due:
            self._milestones.note(self._mean_of(self._patience, rows))
        for view in self._scenario.evaluation.views:
            values = [row.accuracy for row in rows if row.view == view and not math.isnan(row.accuracy)]
            if values:
                self._latest[view] = sum(values) / len(values)
        accuracy = self._latest.get(self._scenario.evaluation.target_view)
        self._near.note(self._position(), accuracy, is_due)
        if is_due:
            self._judged = accuracy

    def _mean_of(self, patience: Patience, rows: Sequence[EvaluationRow]) -> float:
        """What is looked at in the evaluation that left these rows, which are the last."""
        column = self._metrics.get(patience.of)
        of_rows = [getattr(row, patience.of) for row in rows] if column is None else column[-len(rows) :]
        given = [
            v for row, v in zip(rows, of_rows, strict=True) if row.view == patience.view and not math.isnan(v)
        ]
        return math.fsum(given) / len(given) if given else math.nan
