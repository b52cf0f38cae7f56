"""The alignment laboratory in whole runs: geometry on and off, journals, and its axes in a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gapslsim import load, simulate
from gapslsim.errors import ScenarioError
from gapslsim.learning.engine import Engine
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.results.results import Results
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import loads
from gapslsim.studies.plan import load_study
from tests.study_files import BASE, write_study

GRADVAC = "framework={kind: parallel, server_update: {kind: torchjd, aggregator: GradVac}}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def run(file: Path, *overrides: str, journal: Path | None = None) -> Results:
    settings = None if journal is None else JournalSettings(journal, checkpoint_every=2)
    return simulate(load(file, set=list(overrides)), journal=settings)


def same(left: Results, right: Results) -> None:
    for name in ("evaluations", "losses", "alignment", "gradients", "updates", "pairwise"):
        pd.testing.assert_frame_equal(getattr(left, name), getattr(right, name))
    for key in ("timeline_sha256", "learning_sha256"):
        assert left.summary[key] == right.summary[key]


@pytest.mark.parametrize("framework", ["framework=psl", "framework=sfl", "framework=gapsl", GRADVAC])
def test_measuring_changes_neither_training_nor_time(file: Path, framework: str) -> None:
    on = run(file, framework, "evaluation.geometry=1 round")
    off = run(file, framework, "evaluation.geometry=never")
    for key in ("timeline_sha256", "learning_sha256", "simulated_time_s", "energy_j", "accuracy"):
        assert on.summary[key] == off.summary[key]
    assert list(on.updates["round"]) == [1, 2, 3, 4]
    assert len(on.gradients) == 16
    assert len(on.pairwise) == 24
    assert off.updates.empty
    assert off.gradients.empty
    assert off.pairwise.empty


def test_it_comes_by_itself_where_the_rule_sees_each_clients_gradient(file: Path) -> None:
    assert run(file).updates.empty
    assert list(run(file, "framework=gapsl").updates["round"]) == [1, 2, 3, 4]
    assert list(run(file, "evaluation.geometry=3 rounds").updates["round"]) == [1, 4]


def test_a_dry_run_has_no_geometry(file: Path) -> None:
    assert simulate(load(file, set=["framework=gapsl"]), dry=True).updates.empty


@pytest.mark.parametrize("framework", ["framework=psl", "framework=gapsl", GRADVAC])
def test_a_run_goes_on_from_its_journal_with_the_same_geometry(
    file: Path, tmp_path: Path, framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [framework, "evaluation.geometry=1 round"]
    whole = run(file, *asked)
    run(file, *asked, "stop={rounds: 3}", journal=tmp_path / "j")
    same(run(file, *asked, journal=tmp_path / "j"), whole)
    monkeypatch.setattr(Engine, "server_step", None)
    replayed = run(file, *asked, journal=tmp_path / "j")
    same(replayed, whole)
    assert replayed.summary["journal"]["computed"] == 0


@pytest.mark.parametrize("framework", ["framework=psl", "framework=gapsl"])
def test_geometry_that_is_asked_for_later_is_measured_on_the_known_training(
    file: Path, tmp_path: Path, framework: str
) -> None:
    run(file, framework, "evaluation.geometry=never", journal=tmp_path / "j")
    later = run(file, framework, "evaluation.geometry=2 rounds", journal=tmp_path / "j")
    same(later, run(file, framework, "evaluation.geometry=2 rounds"))
    assert later.summary["journal"]["computed"] == 2  # The two measurements; steps are rebuilt and agree.


def test_unless_given_the_setting_is_left_out_of_the_resolved_scenario(file: Path) -> None:
    assert "geometry" not in dump(load(file))
    given = load(file, set=["evaluation.geometry=5 epochs"])
    assert "geometry: 5 epochs" in dump(given)
    assert loads(dump(given)) == given
    off = load(file, set=["evaluation.geometry=never"])
    assert loads(dump(off)) == off


def test_what_is_no_interval_is_refused_with_a_way_out(file: Path) -> None:
    with pytest.raises(ScenarioError, match=r"evaluation\.geometry.*never") as refused:
        load(file, set=["evaluation.geometry=sometimes"])
    assert "10 rounds" in str(refused.value)


def test_an_aggregator_that_cannot_work_is_refused_before_the_run(file: Path) -> None:
    rule = "framework={kind: parallel, server_update: {kind: torchjd, aggregator: Krum, parameters: {n_byzantine: 2}}}"
    with pytest.raises(ScenarioError, match="aggregator Krum does not work with the gradients of 4 clients"):
        load(file, set=[rule])
    sampled = (
        "framework={kind: parallel, participation: {kind: sample, k: 2}, server_update: {kind: torchjd, "
    )
    with pytest.raises(ScenarioError, match="aggregator GradVac remembers each client's gradients"):
        load(file, set=[sampled + "aggregator: GradVac}}"])
    assert load(file, set=[sampled + "aggregator: PCGrad}}"]).framework.kind == "parallel"


STUDY = """\
name: axes
base: base.yaml
axes:
  grid:
    framework.client_update:
      - own
      - frozen
      - {kind: proximal, mu: 0.01}
      - {kind: warmup, rounds: 2}
      - {kind: warmup, epochs: 0.5, then: own}
    framework.client_sync: [never, {kind: average, every: 2}]
"""


def test_client_rules_and_averaging_are_axes_of_a_study(tmp_path: Path) -> None:
    plan = load_study(write_study(tmp_path, STUDY))
    assert len(plan.possible) == 10
    assert [run.record.label for run in plan.runs[4:8]] == [
        "proximal_mu=0.01-never-seed1",
        "proximal_mu=0.01-average_every=2-seed1",
        "warmup_rounds=2-never-seed1",
        "warmup_rounds=2-average_every=2-seed1",
    ]
    results = {run.record.label: simulate(run.scenario) for run in plan.possible if run.scenario is not None}
    down = {label: made.summary["bytes_down"] for label, made in results.items()}
    # Four rounds: a warm-up of two sends half of what PSL sends down. An epoch has six: half of one is three.
    assert down["frozen-never-seed1"] == 0
    assert down["warmup_rounds=2-never-seed1"] == down["own-never-seed1"] / 2
    assert down["warmup_epochs=0.5_then=own-never-seed1"] == down["own-never-seed1"] / 4
    # Averaging equal models changes nothing; everything else differs.
    hashes = {label: made.summary["learning_sha256"] for label, made in results.items()}
    assert hashes["frozen-never-seed1"] == hashes["frozen-average_every=2-seed1"]
    assert len(set(hashes.values())) == 9
