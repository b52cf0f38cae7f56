"""A study in shards: processes of their own that share a directory, and what puts them together."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gapslsim
from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.learning.journal._frames import Frame, scan
from gapslsim.results.study import read_study
from gapslsim.studies._tables import TABLES
from gapslsim.studies.cut import Shard, cut
from gapslsim.studies.lock import held
from gapslsim.studies.plan import load_study
from gapslsim.studies.shards import gather, sweep_shard
from gapslsim.studies.sweep import sweep
from tests.study_files import STUDY, InThisProcess, write_study

# PSL and SFL train the same in their first round, GAPSL for three lengths the same as far as it goes.
FRAMEWORKS = STUDY.replace("[gapsl, {kind: epsl, phi: 0.5}]", "[psl, sfl, gapsl]")


def digest(folder: Path) -> list[str]:
    """Of the study's record and of all tables but the wall times."""
    files = [folder / "study.json", *(folder / f"{name}.parquet" for name in TABLES if name != "costs")]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def times_recorded(journal: Path) -> Counter[tuple[str, bytes]]:
    """How often each operation is in a journal."""
    return Counter(
        (file.parent.name, found.key)
        for file in journal.glob("training-*/records-*.log")
        for found in scan(file.read_bytes())
        if isinstance(found, Frame) and found.checkpoint is None
    )


def in_a_child(folder: Path, text: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        sweep_shard(load_study(folder / "study.yaml"), folder / "out", InThisProcess(), Shard.parse(text))
        code = 0
    finally:
        os._exit(code)


def test_shards_of_which_one_is_killed_give_what_one_sweep_gives_and_train_nothing_twice(
    tmp_path: Path,
) -> None:
    plan = load_study(write_study(tmp_path, FRAMEWORKS))
    sweep(plan, tmp_path / "whole", InThisProcess())
    children = {text: in_a_child(tmp_path, text) for text in ("1/3", "2/3", "3/3")}
    victim = random.choice(sorted(children))
    journal = tmp_path / "out" / "journal"
    while not any(journal.glob("training-*/records-*.log")):
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))
    os.kill(children[victim], signal.SIGKILL)
    statuses = {text: os.waitpid(child, 0)[1] for text, child in children.items()}
    assert [status for text, status in statuses.items() if text != victim] == [0, 0]
    # Where the victim was done already, it has nothing to do now.
    assert os.waitpid(in_a_child(tmp_path, victim), 0)[1] == 0
    found = gather(plan, tmp_path / "out")
    assert found.missing == []
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")
    recorded = times_recorded(journal)
    assert recorded.keys() == times_recorded(tmp_path / "whole" / "journal").keys()
    assert set(recorded.values()) == {1}


def test_a_study_is_cut_between_trainings_by_forecast_work(tmp_path: Path) -> None:
    text = STUDY.replace("[1, 2]", "[1, 2, 3, 4]").replace(
        "  grid:",
        "  variants:\n    net: {lte: {clients.*.link: lte}, wifi: {clients.*.link: wifi}}\n  grid:",
    )
    plan = load_study(write_study(tmp_path, text.replace("[gapsl,", "[psl, gapsl,")))
    parts = cut(plan.possible, 5)
    assert sorted(label for part in parts for label in part.labels) == sorted(
        run.record.label for run in plan.runs
    )
    # A run and its other network are one training.
    where = {label: index for index, part in enumerate(parts) for label in part.labels}
    assert all(where[label] == where[label.replace("lte", "wifi")] for label in where)
    # Twelve trainings of about the same length in five shards: three in the fullest.
    assert max(part.share for part in parts) == pytest.approx(3 / 12, rel=0.3)
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert cut(plan.possible, 5) == parts
    assert [len(part.labels) for part in cut(plan.possible[:1], 2)] == [1, 0]


def test_runs_that_differ_in_length_stay_together(tmp_path: Path) -> None:
    text = STUDY.replace("[gapsl, {kind: epsl, phi: 0.5}]", "[psl]").replace(
        "  grid:", "  grid:\n    stop: [{rounds: 2}, {rounds: 4}]"
    )
    plan = load_study(write_study(tmp_path, text))
    assert [{label.rpartition("-")[2] for label in part.labels} for part in cut(plan.possible, 2)] == [
        {"seed1"},
        {"seed2"},
    ]


def test_what_is_missing_is_told_with_the_command_that_does_it(tmp_path: Path, capsys: Any) -> None:
    study, out = str(write_study(tmp_path)), str(tmp_path / "out")

    def call(*more: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["sweep", study, "--out", out, "-j", "1", "--set", "stop.rounds=2", *more])
        return ended.value.code or 0, *capsys.readouterr()

    code, _, err = call("--gather")
    assert (code, "holds no shards; run some first" in err) == (2, True)
    code, told, _ = call("--shard", "2/2")
    assert code == 0
    assert "Shard 2/2: 2 of 2 runs completed." in told
    again = f"gapslsim sweep {study} --out {out} --set stop.rounds=2"
    assert f"When all shards have ended: {again} --gather" in told
    code, _, err = call("--gather")
    assert code == 1
    assert f"go on with: {again} --shard 1/2" in err
    assert Counter(run.status for run in read_study(out).runs) == {"completed": 2, "planned": 2}
    with held(tmp_path / "out" / "shards", "1.lock"):
        assert f"at work: process {os.getpid()} on " in call("--gather")[2]
        assert "shard 1/2 is at work in" in call("--shard", "1/2")[2]
        assert "another sweep is at work" not in call("--shard", "2/2")[2]
    assert call("--shard", "1/2")[0] == 0
    code, told, _ = call("--gather")
    assert (code, "4 of 4 runs completed" in told) == (0, True)
    # The cut study is a study as any other.
    assert "already there" in call()[1]


def test_another_number_of_shards_or_another_study_is_refused_until_it_is_cut_anew(tmp_path: Path) -> None:
    plan = load_study(write_study(tmp_path))
    out = tmp_path / "out"
    sweep_shard(plan, out, InThisProcess(), Shard(1, 2))
    with pytest.raises(
        ResultsError, match=r"is cut into 2 shards, and this is 1/3; go on with --shard 1/2 to 2/2"
    ):
        sweep_shard(plan, out, InThisProcess(), Shard(1, 3))
    changed = load_study(write_study(tmp_path, STUDY.replace("phi: 0.5", "phi: 0.25")))
    for act in (
        lambda: sweep_shard(changed, out, InThisProcess(), Shard(2, 2)),
        lambda: gather(changed, out),
    ):
        with pytest.raises(ResultsError, match=r"another version of this study: .*epsl_phi=0.*differ"):
            act()
    (out / "shards" / "cut.json").unlink()
    before = times_recorded(out / "journal")
    for index in (1, 2, 3):
        sweep_shard(plan, out, InThisProcess(), Shard(index, 3))
    found = gather(plan, out)
    assert found.missing == []
    assert all(run.status == "completed" for run in found.record.runs)
    assert before.keys() < times_recorded(out / "journal").keys()
    assert set(times_recorded(out / "journal").values()) == {1}


def test_a_run_that_fails_in_a_shard_is_told_and_gathered_as_failed(tmp_path: Path) -> None:
    text = STUDY.replace("seeds: [1, 2]", "seeds: [1]").replace("  grid:", "  grid:\n    model.cut: [1, 7]")
    plan = load_study(write_study(tmp_path, text))
    ended = sweep_shard(plan, tmp_path / "out", InThisProcess(), Shard(1, 1))
    assert Counter(run.status.partition(":")[0] for run in ended) == {"completed": 2, "failed": 2}
    found = gather(plan, tmp_path / "out")
    assert found.missing == []
    assert found.record.runs == ended
    table = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert table["status"].tolist() == [run.status for run in ended]


def test_a_damaged_cut_is_refused_in_words(tmp_path: Path) -> None:
    plan = load_study(write_study(tmp_path))
    sweep_shard(plan, tmp_path / "out", InThisProcess(), Shard(1, 2))
    file = tmp_path / "out" / "shards" / "cut.json"
    whole = json.loads(file.read_text())
    for damaged in ("", "[1]", "{}", json.dumps({**whole, "shards": [whole["shards"][0]]})):
        file.write_text(damaged)
        with pytest.raises(ResultsError, match="is damaged; end all shards and delete"):
            gather(plan, tmp_path / "out")


@pytest.mark.parametrize("wrong", ["3/2", "0/2", "1", "a/b", "1/", "-1/2"])
def test_a_shard_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ResultsError, match="from 1/4 to 4/4"):
        Shard.parse(wrong)
    assert Shard.parse("2/4") == Shard(2, 4)


def test_an_adaptive_study_is_not_cut(tmp_path: Path) -> None:
    text = STUDY.replace("[1, 2]", "[1, 2, 3, 4, 5]") + "adaptive: race\n"
    plan = load_study(write_study(tmp_path, text))
    with pytest.raises(ResultsError, match="decides by all of its runs, so that it cannot be cut"):
        sweep_shard(plan, tmp_path / "out", InThisProcess(), Shard(1, 2))
    assert not (tmp_path / "out").exists()


def test_in_python_shards_are_swept_and_gathered(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    alone = gapslsim.sweep(study, tmp_path / "alone", jobs=1)
    first = gapslsim.sweep(study, tmp_path / "out", jobs=1, shard="1/2")
    assert {run.status for run in first.record.runs} == {"completed", "planned"}
    both = gapslsim.sweep(study, tmp_path / "out", jobs=1, shard="2/2")
    assert both.record.runs == alone.record.runs
    assert digest(tmp_path / "out") == digest(tmp_path / "alone")
    assert gapslsim.sweep(study, tmp_path / "out", gather=True).record == both.record
    with pytest.raises(ResultsError, match="gather runs nothing; leave out shard"):
        gapslsim.sweep(study, tmp_path / "out", shard="1/2", gather=True)
    with pytest.raises(ResultsError, match="write the shard and how many there are"):
        gapslsim.sweep(study, tmp_path / "out", shard="two")
