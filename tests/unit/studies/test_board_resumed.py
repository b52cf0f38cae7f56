"""A tiny board that is killed in the midst of its sweep, gone on with, or made in shards: the same tables and page."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from gapslsim.results.board_tables import standings_table
from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.study_figure import figure_of
from gapslsim.results.study_tables import read_tables
from gapslsim.studies.cut import Shard
from gapslsim.studies.plan import load_study
from gapslsim.studies.shards import gather, sweep_shard
from gapslsim.studies.sweep import sweep
from tests.study_files import BASE, InThisProcess, write_study

BOARD = """\
name: tiny board
question: Which?
base: base.yaml
seeds: [1, 2]
axes:
  grid:
    framework: {PSL: psl, SFL: sfl, async SL: async_sl}
    data.partition: {IID: iid, skewed: {kind: dirichlet, alpha: 0.1}}
  variants:
    fleet:
      near: {clients.*.link: ethernet}
      far: {clients.*.link: lte}
targets: {accuracy: [0.4], view: global}
figure: {kind: board, target: 0.4, fleet: fleet, partition: partition}
"""
SMALL = BASE.replace("evaluation: {every: 2 rounds}", "evaluation: {every: 1 rounds, views: [global]}")


def drawn(folder: Path) -> Drawing:
    study = read_tables(folder)
    figure = figure_of(study.record)
    assert figure is not None
    return figure.draw(study)


def same(one: Drawing, other: Drawing) -> None:
    pd.testing.assert_frame_equal(one.numbers, other.numbers, check_exact=True)
    assert (one.table, one.caption, one.panels) == (other.table, other.caption, other.panels)
    assert [folded.table for folded in one.more] == [folded.table for folded in other.more]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    sweep(load_study(write_study(folder, BOARD, SMALL)), folder / "whole", InThisProcess())
    return folder


def test_a_board_ranks_every_method_on_every_fleet_and_partition(whole: Path) -> None:
    found = drawn(whole / "whole")
    ranked = found.numbers.query("question == 'quality'")
    assert len(ranked) == 3 * 2 * 2 * 3
    for _, panel in ranked.groupby(["fleet", "partition", "counted"]):
        assert sorted(panel["place"])[0] == 1
        assert panel["level"].nunique() == 1
    assert len(found.table.rows) == 3
    rows = found.numbers.assign(series=found.numbers["framework"])
    rows["where"] = rows["fleet"] + ", " + rows["partition"]
    assert standings_table(rows) == found.table


def test_killed_in_the_midst_and_resumed_it_is_the_same(whole: Path) -> None:
    out = whole / "killed"
    child = os.fork()
    if not child:
        try:
            sweep(load_study(whole / "study.yaml"), out, InThisProcess())
        finally:
            os._exit(0)
    until = time.monotonic() + 60
    while len(list((out / "runs").glob("*/summary.json"))) < 5 and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    n_done = len(list((out / "runs").glob("*/summary.json")))
    assert 5 <= n_done < 24, "it was not killed in the midst"
    sweep(load_study(whole / "study.yaml"), out, InThisProcess(), resume=True)
    same(drawn(out), drawn(whole / "whole"))


def test_made_in_shards_it_is_the_same(whole: Path) -> None:
    plan, out = load_study(whole / "study.yaml"), whole / "shards"
    for shard in ("2/3", "1/3", "3/3"):
        sweep_shard(plan, out, InThisProcess(), Shard.parse(shard))
    assert gather(plan, out).missing == []
    same(drawn(out), drawn(whole / "whole"))
