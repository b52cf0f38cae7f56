"""The main flow: one scenario in, tables of accuracy and latency out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from gapslsim.assembly import Parts, assemble
from gapslsim.errors import NumericalError
from gapslsim.learning.engine import intra_op_threads
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.memory import rare_collections
from gapslsim.milestones import Milestones, Position
from gapslsim.records import EvaluationRow, Progress, RoundRow
from gapslsim.results.categories import received, sent
from gapslsim.results.results import RecordedRows, Results
from gapslsim.results.summary import RunFacts
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.schema import Scenario
from gapslsim.sim.node import Process

__all__ = ["simulate"]

Observer = Callable[[Progress], None]


def simulate(
    scenario: Scenario,
    *,
    dry: bool = False,
    observer: Observer | None = None,
    journal: str | Path | JournalSettings | None = None,
) -> Results:
    """Runs a scenario: real training inside the event loop, or timing only.

    Args:
        scenario: from `gapslsim.load`.
        dry: no tensors; the same timeline in a fraction of the time.
        observer: called after every round.
        journal: directory where training is looked up and recorded, or that with its limits. What it knows is not
            computed again: a run that was killed goes on, other hardware or another network costs no training.

    Returns:
        Tables and summary. Ctrl-C ends the run early with status `interrupted` and everything so far.

    Raises:
        NumericalError: if a loss or gradient is not finite; its `results` hold everything so far.
        GapslsimError: if the scenario cannot be run as written.
    """
    if isinstance(journal, (str, Path)):
        journal = JournalSettings(Path(journal))
    with rare_collections():
        return _simulate(_Run(scenario, assemble(scenario, dry, None if dry else journal), dry, observer))


def _simulate(run: _Run) -> Results:
    try:
        with run.threads:
            run.parts.env.run(run.parts.env.process(run.rounds()))
        status = "completed"
    except KeyboardInterrupt:
        run.parts.learner.save()
        status = "interrupted"
    except NumericalError as error:
        error.results = run.results(f"failed: {error}")
        raise
    finally:
        run.close()
    return run.results(status)


class _Run:
    """One run under way."""

    def __init__(self, scenario: Scenario, parts: Parts, dry: bool, observer: Observer | None) -> None:
        self.parts = parts
        self.threads = intra_op_threads(scenario.training.threads)
        self._scenario = scenario
        self._dry = dry
        self._observer = observer
        self._started = time.perf_counter()
        self._rows: list[RoundRow] = []
        self._evaluations: list[EvaluationRow] = []
        self._latest: dict[str, float] = {}
        self._spans_seen = 0
        self._stopped_by = ""
        self._journal = parts.learner.journal
        evaluation = scenario.evaluation
        geometry = evaluation.geometry_interval(scenario.framework.keeps_client_gradients)
        self._milestones = Milestones(evaluation.every, scenario.stop, geometry)

    def rounds(self) -> Process[None]:
        """Rounds until a stop condition holds; evaluation before the first, when due, and after the last."""
        world, framework = self.parts.world, self._scenario.framework
        self._evaluate()
        while not self._stopped_by:
            world.begin_round(framework.participants)
            before = Position(world.round - 1, world.epoch, world.now_s)
            self.parts.learner.measures_geometry = self._milestones.geometry_is_due(before)
            start_s = world.now_s
            yield from framework.round(world)
            world.end_round()
            self._close_round(start_s)

    def close(self) -> None:
        """Lets go of the journal, and of events that nobody waits for any more."""
        self.parts.env._queue.clear()  # They know the network: without this it would outlive the run.
        if self._journal is not None:
            self._journal.close()

    def results(self, status: str) -> Results:
        """Everything recorded so far."""
        parts, scenario = self.parts, self._scenario
        now_s = parts.world.now_s
        parts.recorder.wait_until(range(parts.world.n_clients), now_s)
        observed = parts.learner.observed
        servers = [parts.world.server]
        if parts.world.parameter_server.name in parts.recorder.servers:
            servers.append(parts.world.parameter_server)
        rows = RecordedRows(
            spans=parts.recorder.rows,
            rounds=self._rows,
            evaluations=self._evaluations,
            losses=observed.losses,
            alignment=observed.alignment,
            links=parts.network.link_use,
            gradients=observed.gradients,
            updates=observed.updates,
            pairwise=observed.pairwise,
        )
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
            server_idle_w={node.name: node.device.power.idle_w for node in servers},
            memory=parts.memory,
            extra={} if self._journal is None else {"journal": self._journal.summary()},
        )
        return Results.from_rows(dump(scenario), rows, facts)

    def _close_round(self, start_s: float) -> None:
        world, learner = self.parts.world, self.parts.learner
        spans = self.parts.recorder.rows[self._spans_seen :]
        self._spans_seen += len(spans)
        sizes: dict[str, int] = {}
        energy_j = 0.0
        for _, _, phase, _, _, _, size_bytes, _, span_j in spans:
            energy_j += span_j
            if size_bytes:
                sizes[phase] = sizes.get(phase, 0) + size_bytes
        epoch = learner.samples_seen / self.parts.n_train
        self._rows.append(
            RoundRow(
                round=world.round,
                start_s=start_s,
                end_s=world.now_s,
                epoch=epoch,
                n_participants=len(world.participants),
                loss=learner.observed.mean_loss(world.round) if not self._dry else math.nan,
                bytes_up=sum(size for phase, size in sizes.items() if sent(phase)),
                bytes_down=sum(size for phase, size in sizes.items() if received(phase)),
                energy_j=energy_j,
            )
        )
        at = Position(world.round, epoch, world.now_s)
        due = self._milestones.evaluation_is_due(at)
        if due:
            self._evaluate()
        accuracy = self._latest.get(self._scenario.evaluation.target_view)
        self._stopped_by = self._milestones.stopped_by(at, accuracy)
        if self._stopped_by and not due:
            self._evaluate()
        if self._observer is not None:
            self._observer(
                Progress(
                    round=world.round,
                    planned_rounds=self.parts.planned_rounds,
                    simulated_time_s=world.now_s,
                    epoch=epoch,
                    accuracy=dict(self._latest),
                    wall_time_s=time.perf_counter() - self._started,
                    fraction=self._milestones.fraction(at),
                )
            )

    def _evaluate(self) -> None:
        observed, now_s = self.parts.learner.observed, self.parts.world.now_s
        seen = len(observed.accuracies)
        self.parts.learner.evaluate(self._scenario.evaluation.views)
        rows = [
            EvaluationRow(a.round, now_s, a.view, a.client, a.accuracy, a.loss)
            for a in observed.accuracies[seen:]
        ]
        self._evaluations.extend(rows)
        for view in self._scenario.evaluation.views:
            values = [row.accuracy for row in rows if row.view == view]
            if values:
                self._latest[view] = sum(values) / len(values)
