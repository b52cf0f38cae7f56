"""Protocols without barriers in whole runs: what a round is, when they are evaluated and stopped, resume, records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gapslsim import Results, load, load_dict, simulate
from gapslsim.learning.journal.journal import JournalSettings
from tests.fresh import forget_components
from tests.snippets import snippets

SCENARIO = """
name: free
components: [./buffered.py]
data: {kind: synthetic, n_train: 240, n_test: 60}
model: {kind: mlp, hidden: [8, 8], cut: 1}
framework: {kind: buffered, buffer: 2}
training: {batch_size: 10, client: {optimizer: sgd, lr: 0.1, momentum: 0.9}}
server: {device: jetson-orin-nx}
clients:
  - {count: 2, device: jetson-nano, link: {uplink: 40 Mbit/s, downlink: 80 Mbit/s, latency: 4 ms}}
  - {count: 2, device: raspberry-pi-4b, link: {uplink: 1 Mbit/s, downlink: 2 Mbit/s, latency: 9 ms}}
network: {kind: star}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the protocol of the how-to page."""
    made = tmp_path_factory.mktemp("free")
    (code,) = (s.text for s in snippets("docs/howto/own-framework.md") if s.name == "buffered.py")
    (made / "buffered.py").write_text(code)
    (made / "free.yaml").write_text(SCENARIO + "stop: {rounds: 6}\n")
    yield made
    forget_components()


def run(folder: Path, *changes: str, **more: Any) -> Results:
    return simulate(load(folder / "free.yaml", set=changes), **more)


def interrupting(round: int) -> Any:
    """An observer that breaks a run off."""

    def stop(progress: Any) -> None:
        if progress.round == round:
            raise KeyboardInterrupt

    return stop


def test_a_round_is_one_mini_batch_of_each_participant(folder: Path) -> None:
    results = run(folder)
    rounds = results.rounds
    assert list(rounds["round"]) == [1, 2, 3, 4, 5, 6]
    assert rounds["epoch"].tolist() == pytest.approx(
        [i * 40 / 240 for i in range(1, 7)]
    )  # 4 clients, 10 samples
    assert (rounds["start_s"].to_numpy()[1:] == rounds["end_s"].to_numpy()[:-1]).all()
    steps = results.spans[results.spans["phase"] == "server_step"]
    assert len(steps) == 12  # two mini-batches each
    assert steps.groupby("round").size().tolist() == [2] * 6
    assert rounds["end_s"].tolist() == steps.groupby("round")["end_s"].max().tolist()
    assert results.summary["simulated_time_s"] == rounds["end_s"].iloc[-1]
    assert results.summary["stopped_by"] == "6 rounds"
    assert results.summary["warnings"] == []


@pytest.mark.parametrize(
    ("stop", "by", "steps"),
    [
        ("{server_steps: 7}", "7 server steps", 7),
        ("{samples: 90}", "90 samples", 5),
        ("{epochs: 0.5}", "0.5 epochs", 6),
    ],
)
def test_a_run_stops_at_the_very_update(folder: Path, stop: str, by: str, steps: int) -> None:
    results = run(folder, f"stop={stop}")
    assert results.summary["stopped_by"] == by
    ended = results.spans[results.spans["phase"] == "server_step"]
    assert len(ended) == steps
    assert results.summary["simulated_time_s"] == ended["end_s"].max()
    assert results.evaluations["time_s"].max() == ended["end_s"].max()


def test_a_run_stops_at_the_very_instant_and_records_what_was_under_way(folder: Path) -> None:
    results = run(folder, "stop={simulated_time: 100 ms}")
    assert results.summary["simulated_time_s"] == 0.1
    assert results.summary["stopped_by"] == "simulated time 100 ms"
    cut_off = results.spans[results.spans["phase"].str.startswith("cancelled_")]
    assert len(cut_off) == results.summary["cancelled"]["spans"] > 0
    assert (cut_off["end_s"] == 0.1).all()
    assert results.summary["warnings"] == []  # the phases of every client sum to the elapsed time
    assert sum(results.summary["where_time_went_s"].values()) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("every", "at"), [("3 steps", [3, 6, 9, 12]), ("50 samples", [3, 5, 8, 10, 12]), ("2 rounds", [4, 8, 12])]
)
def test_evaluations_are_made_at_the_update_at_which_they_are_due(
    folder: Path, every: str, at: list[int]
) -> None:
    results = run(folder, f"evaluation.every={every}", "evaluation.views=[global]")
    ends = sorted(results.spans[results.spans["phase"] == "server_step"]["end_s"])
    assert results.evaluations["time_s"].tolist() == [0.0, *(ends[i - 1] for i in at)]


def test_a_target_accuracy_ends_the_run_at_the_evaluation_that_reaches_it(folder: Path) -> None:
    results = run(
        folder, "stop={target_accuracy: 0.2, rounds: 500}", "evaluation={every: 1 step, views: [global]}"
    )
    assert results.summary["stopped_by"] == "target accuracy 0.2 reached"
    assert results.evaluations["accuracy"].iloc[-1] >= 0.2
    assert (results.evaluations["accuracy"].iloc[:-1] < 0.2).all()


def test_dry_replayed_and_continued_runs_are_the_same(folder: Path, tmp_path: Path) -> None:
    whole = run(folder).summary
    assert run(folder, dry=True).summary["timeline_sha256"] == whole["timeline_sha256"]
    run(folder, journal=tmp_path, observer=interrupting(3))
    again = run(folder, journal=tmp_path).summary
    assert again["learning_sha256"] == whole["learning_sha256"]
    assert again["journal"]["replayed"] > 0
    replayed = run(folder, journal=tmp_path).summary
    assert (replayed["journal"]["computed"], replayed["learning_sha256"]) == (0, whole["learning_sha256"])


def test_a_slower_link_changes_the_order_and_trains_again_only_from_there(
    folder: Path, tmp_path: Path
) -> None:
    run(folder, journal=tmp_path)
    other = run(folder, "clients.0.link.latency=30 ms", journal=tmp_path).summary
    assert other["journal"]["computed"] > 0
    alone = run(folder, "clients.0.link.latency=30 ms").summary
    assert other["learning_sha256"] == alone["learning_sha256"]


def test_an_interrupted_run_keeps_what_it_has(folder: Path) -> None:
    results = run(folder, observer=interrupting(2))
    assert results.summary["status"] == "interrupted"
    assert len(results.rounds) == 2
    assert results.summary["warnings"] == []


def test_a_resume_computes_again_what_is_behind_the_last_checkpoint_alone(
    folder: Path, tmp_path: Path
) -> None:
    settings = JournalSettings(tmp_path, checkpoint_every=2)

    def kill(progress: Any) -> None:
        if progress.round == 17:
            raise ValueError("killed")  # Without the checkpoint that Ctrl-C leaves.

    with pytest.raises(ValueError, match="killed"):
        run(folder, "stop={rounds: 20}", journal=settings, observer=kill)
    again = run(folder, "stop={rounds: 20}", journal=settings).summary
    assert again["journal"]["replayed"] >= 30
    # Two rounds of two server steps each, and what was in flight at their beginning.
    assert 0 < again["journal"]["rebuilt"] <= 8
    assert again["learning_sha256"] == run(folder, "stop={rounds: 20}").summary["learning_sha256"]


@pytest.mark.parametrize("kind", ["async_sl", "buffered_sl", "async_gapsl", "async_sfl"])
def test_other_hardware_trains_anew_from_the_first_operation_whose_order_changes(
    kind: str, tmp_path: Path
) -> None:
    """One client comes to be twice as slow half-way: what the server did before is found, what comes after is not."""
    given: dict[str, Any] = {
        "name": "other",
        "data": {"kind": "synthetic", "n_train": 240, "n_test": 60},
        "model": {"kind": "mlp", "hidden": [8, 8], "cut": 1},
        "framework": {"kind": kind},
        "training": {"batch_size": 10, "client": {"optimizer": "sgd", "lr": 0.1}},
        "server": {"device": "jetson-orin-nx"},
        "network": "star",
        "clients": [
            {"device": "jetson-nano", "link": {"uplink": f"{rate} Mbit/s", "downlink": "80 Mbit/s"}}
            for rate in (40, 7, 3)
        ],
        "stop": {"rounds": 20},
    }
    first = simulate(load_dict(given), journal=tmp_path)
    same = simulate(load_dict(given), journal=tmp_path)
    assert same.summary["journal"]["computed"] == 0
    assert same.summary["learning_sha256"] == first.summary["learning_sha256"]
    n_all = same.summary["journal"]["replayed"]
    # Slower links at one time only: the order is as before until then.
    half_s = first.summary["simulated_time_s"] / 2
    trace = tmp_path / "slower.txt"
    trace.write_text(f"0 7\n{half_s} 0.01\n")
    given["clients"][1]["link"]["uplink"] = {
        "kind": "trace",
        "file": str(trace),
        "format": "cooked",
        "loop": False,
    }
    other = simulate(load_dict(given), journal=tmp_path)
    known = other.summary["journal"]
    assert known["computed"] > 0
    assert known["replayed"] > n_all / 4
