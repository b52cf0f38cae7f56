"""Runs that are killed, damaged, repeated or re-timed end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.engine import Engine
from gapslsim.learning.journal.folder import trainings
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.journal.maintenance import content_of
from gapslsim.results.results import Results
from tests.emulated import emulated
from tests.worlds import chosen

SCENARIO = """
name: resumed
seed: 3
data: {kind: synthetic, input_shape: [8], n_classes: 4, n_train: 120, n_test: 80, partition: iid}
model: {kind: mlp, hidden: [12, 12], cut: 1}
framework: gapsl
training: {batch_size: 8, client: {optimizer: sgd, lr: 0.05, momentum: 0.9}}
server: {device: jetson-orin-nx}
clients:
  - {count: 2, device: jetson-nano, link: {uplink: 4 Mbit/s, downlink: 8 Mbit/s, latency: 4 ms}}
  - {count: 1, device: raspberry-pi-4b, link: {uplink: 2 Mbit/s, downlink: 5 Mbit/s, latency: 9 ms}}
network: {kind: star, backhaul: 10 Mbit/s}
evaluation: {every: 2 rounds}
stop: {rounds: 7}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resumed.yaml"
    path.write_text(SCENARIO)
    return path


def run(file: Path, journal: Path | None, *overrides: str, observer: Any = None) -> Results:
    settings = None if journal is None else JournalSettings(journal, checkpoint_every=2)
    return simulate(load(file, set=list(overrides)), journal=settings, observer=observer)


def call(*arguments: str, code: int = 0) -> None:
    """The command line, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert (ended.value.code or 0) == code


def hashes(results: Results) -> tuple[str, str]:
    return results.summary["timeline_sha256"], results.summary["learning_sha256"]


def assert_same_tables(left: Results, right: Results) -> None:
    for table in ("spans", "rounds", "evaluations", "losses", "alignment"):
        pd.testing.assert_frame_equal(getattr(left, table), getattr(right, table))


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_a_journal_cut_at_any_byte_is_completed_to_the_same_tables(
    kind: str, file: Path, tmp_path: Path
) -> None:
    alone = run(file, None, *chosen(kind))
    whole = tmp_path / "whole"
    assert_same_tables(run(file, whole, *chosen(kind)), alone)
    (record,) = whole.rglob("records-*.log")
    dice = random.Random(kind)
    cut = tmp_path / "cut"
    shutil.copytree(whole, cut)
    length = dice.randrange(record.stat().st_size)
    os.truncate(cut / record.relative_to(whole), length)
    known = sum(content_of(training).n_records for training in trainings(cut))
    resumed = run(file, cut, *chosen(kind))
    assert_same_tables(resumed, alone)
    assert hashes(resumed) == hashes(alone)
    assert resumed.summary["journal"]["replayed"] == known


def test_damage_anywhere_is_found_or_harmless(file: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    alone = run(file, whole)
    files = [path for path in whole.rglob("*") if path.suffix in (".log", ".pt")]
    for number, path in enumerate(files):
        damaged = tmp_path / f"damaged {number}"
        shutil.copytree(whole, damaged)
        victim = damaged / path.relative_to(whole)
        data = bytearray(victim.read_bytes())
        data[random.Random(number).randrange(len(data))] ^= 0xFF
        victim.write_bytes(data)
        longer = run(file, damaged, "evaluation.every=1 rounds")  # New evaluations need the states.
        assert longer.summary["timeline_sha256"] == alone.summary["timeline_sha256"]
        pd.testing.assert_frame_equal(longer.alignment, alone.alignment)
        assert any(victim.name in message for message in longer.summary["journal"]["messages"])


def test_a_killed_command_is_resumed_to_the_same_hashes(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gapslsim", "run", str(file), "--out", str(out), "--quiet"]
    command += ["--set", "stop.rounds=100", "--checkpoint-every", "5"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        log.stat().st_size > 4000 for log in out.glob("journal/*/records-*.log")
    ):
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (out / "summary.json").exists()
    call(*command[3:], "--resume")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["journal"]["replayed"] > 0
    assert summary["journal"]["computed"] > 0
    assert summary["journal"]["rebuilt"] <= 5
    assert (summary["timeline_sha256"], summary["learning_sha256"]) == hashes(
        run(file, None, "stop.rounds=100")
    )


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gradient is off by 1.2e-7 of itself, more or less each time: a GPU whose kernels do not repeat."""
    grad, noise = torch.autograd.grad, np.random.default_rng(1)

    def off(*arguments: Any, **named: Any) -> Any:
        return tuple(each * (1 + 1.2e-7 * noise.choice([-1, 1])) for each in grad(*arguments, **named))

    monkeypatch.setattr(torch.autograd, "grad", off)


@pytest.mark.parametrize("kind", ["gapsl", "sfl", "fedavg"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.usefixtures("noisy")
def test_gradients_that_do_not_repeat_do_not_stop_a_resume(
    device: str, kind: str, file: Path, tmp_path: Path
) -> None:
    def killed(progress: Any) -> None:
        if progress.round == 6:
            raise EOFError

    # Steps large enough for noise of 1e-7 to reach the last bit of float32 weights.
    changes = (f"framework={kind}", "training.deterministic=false", "training.client.lr=0.5")
    from_start = JournalSettings(tmp_path / "journal", checkpoint_every=100)
    with emulated() if device == "cuda" else nullcontext():
        with pytest.raises(EOFError):
            simulate(load(file, set=changes), journal=from_start, observer=killed)
        resumed, again = (simulate(load(file, set=changes), journal=from_start) for _ in range(2))
        alone = run(file, None, *changes)
    told = resumed.summary["journal"]
    assert resumed.summary["status"] == "completed"
    assert 0 < told["differing"] <= told["rebuilt"] <= 18
    assert 0 < told["largest_difference"] < 1e-5
    assert "What was recorded stands" in told["messages"][-1]
    # The record has a hash of its own, which it keeps, and is a run that could have been.
    assert hashes(again) == hashes(resumed) != hashes(alone)
    assert again.summary["journal"]["differing"] == 0
    np.testing.assert_allclose(resumed.losses["loss"], alone.losses["loss"], rtol=1e-4)


def test_other_hardware_and_links_cost_no_training(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (
        ["clients.0.device=phone-midrange"],
        ["clients.1.link.uplink=100 kbit/s"],
        ["network={kind: star, backhaul: 1 Mbit/s}"],
        ["server.device=jetson-nano"],
    )
    apart = [run(file, None, *change) for change in changes]
    run(file, tmp_path / "journal")
    monkeypatch.setattr(Engine, "__init__", None)  # Nobody can make one any more.
    for change, full in zip(changes, apart, strict=True):
        again = run(file, tmp_path / "journal", *change)
        assert again.summary["journal"]["computed"] == 0
        assert hashes(again) == hashes(full)
        assert_same_tables(again, full)
    assert len({hashes(results)[0] for results in apart}) == len(changes)


def test_a_training_that_differs_late_is_computed_from_there_on(file: Path, tmp_path: Path) -> None:
    run(file, tmp_path / "journal", "framework={kind: gapsl, eta: 0.2}", "training.client.lr=0.01")
    changed = ("framework={kind: gapsl, eta: 0.4}", "training.client.lr=0.01")
    mixed = run(file, tmp_path / "journal", *changed)
    assert hashes(mixed) == hashes(run(file, None, *changed))
    # Only the evaluation before the first round is common to both.
    assert mixed.summary["journal"]["replayed"] == 1


@pytest.mark.parametrize("kind", ["psl", "sfl", "epsl", "sl", "fedavg"])
def test_a_longer_run_goes_on_where_a_shorter_one_ended(kind: str, file: Path, tmp_path: Path) -> None:
    run(file, tmp_path / "journal", f"framework={kind}", "stop={rounds: 4}")
    longer = run(file, tmp_path / "journal", f"framework={kind}", "stop={rounds: 6}")
    assert longer.summary["journal"]["replayed"] > 4
    assert hashes(longer) == hashes(run(file, None, f"framework={kind}", "stop={rounds: 6}"))


@pytest.mark.parametrize(
    "change",
    [
        "framework=gapsl",
        "training.client={optimizer: sgd, lr: 0.05, schedule: cosine}",
    ],
)
def test_a_longer_run_shares_nothing_where_its_length_enters_the_training(
    change: str, file: Path, tmp_path: Path
) -> None:
    run(file, tmp_path / "journal", "framework=psl", change, "stop={rounds: 4}")
    longer = run(file, tmp_path / "journal", "framework=psl", change, "stop={rounds: 6}")
    assert longer.summary["journal"]["replayed"] == 0


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(file: Path, tmp_path: Path) -> None:
    def stop(progress: Any) -> None:
        if progress.round == 3:
            raise KeyboardInterrupt

    first = run(file, tmp_path / "journal", observer=stop)
    assert first.summary["status"] == "interrupted"
    resumed = run(file, tmp_path / "journal")
    assert hashes(resumed) == hashes(run(file, None))
    assert resumed.summary["journal"]["rebuilt"] == 0


def test_a_run_without_resume_begins_its_journal_anew(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for extra, replayed in (([], False), (["--force"], False), (["--force", "--resume"], True)):
        call("run", str(file), "--out", str(out), "--quiet", *extra)
        told = json.loads((out / "summary.json").read_text())["journal"]
        assert (told["replayed"] > 0) == replayed
        assert (told["computed"] > 0) != replayed


def test_the_journal_command_lists_verifies_and_prunes(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "out"
    call("run", str(file), "--out", str(out), "--quiet", "--checkpoint-every", "2")
    call("journal", "list", str(out))
    assert "resumed-gapsl-seed3" in capsys.readouterr().out
    call("journal", "verify", str(out))
    assert "0 problems" in capsys.readouterr().out
    (checkpoint, *_) = out.rglob("checkpoint-*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"?")
    call("journal", "verify", str(out), code=1)
    assert checkpoint.name in capsys.readouterr().out
    call("journal", "prune", str(out), "--max-size", "0 B")
    assert trainings(out / "journal") == []
    call("journal", "list", str(tmp_path), code=1)
    assert "is no journal" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--no-journal"], ["--dry"]])
def test_there_is_nothing_to_resume_without_a_journal(file: Path, tmp_path: Path, wrong: list[str]) -> None:
    call("run", str(file), "--out", str(tmp_path / "out"), "--resume", *wrong, code=2)
