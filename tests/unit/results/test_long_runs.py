"""A run whose tables leave memory again and again has the tables, the summary and the hash of one that keeps them."""

from __future__ import annotations

import gc
import math
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gapslsim.assembly
from gapslsim import load, simulate
from gapslsim.records import SpanRow
from gapslsim.results.categories import CATEGORIES, category_of, received, sent
from gapslsim.results.critical_path import by_group, chain_by_group, critical_path
from gapslsim.results.frames import TABLES
from gapslsim.results.names import Names
from gapslsim.results.results import Results
from gapslsim.results.store import load_results, write_results
from gapslsim.tables.rows import Rows
from gapslsim.tables.table import FrameTable, Table
from tests.unit.sim.test_timeline import textbook

SCENARIOS = Path(gapslsim.__file__ or "").parents[1] / "scenarios"
HAZARDS = (
    "clients.0.availability={kind: on_off, mean_up: 300 ms, mean_down: 100 ms}",
    "framework.lateness={kind: quorum, k: 2}",
)
RUNS = [
    *((path, ()) for path in sorted((SCENARIOS / "frameworks").glob("*.yaml"))),
    (SCENARIOS / "quickstart.yaml", HAZARDS),
]


def short(path: Path, changes: tuple[str, ...] = (), dry: bool = True) -> Results:
    return simulate(load(path, set=["stop={rounds: 2}", *changes]), dry=dry)


def spilling(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rows, "FOLDED_AT", 40)
    patch.setattr(Rows, "SPILLED_AT", 150)
    patch.setattr(Table, "PIECE", 60)


@pytest.mark.parametrize(
    ("path", "changes"), RUNS, ids=lambda value: getattr(value, "stem", "") or len(value)
)
def test_the_tables_are_those_of_a_run_that_stays_in_memory(
    path: Path, changes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = short(path, changes)
    spilling(monkeypatch)
    spilled = short(path, changes)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(spilled, name), getattr(kept, name))
    assert spilled.summary["timeline_sha256"] == kept.summary["timeline_sha256"]
    assert sorted(spilled.summary) == sorted(kept.summary)
    for name in ("energy_j", "wasted", "cancelled", "where_time_went_s"):
        assert spilled.summary[name] == pytest.approx(kept.summary[name], rel=1e-12)
    for name in ("attendance", "participation", "away_s", "mean_staleness", "max_staleness", "warnings"):
        assert spilled.summary.get(name) == kept.summary.get(name)
    _is_what_its_spans_say(spilled)


def _is_what_its_spans_say(results: Results) -> None:
    """The summary, from the whole table of spans."""
    spans, summary = results.spans, results.summary
    assert summary["timeline_sha256"] == textbook(map(SpanRow._make, spans.itertuples(index=False)))
    own = spans[spans["client"] >= 0]
    for name, goes in (("bytes_up", sent), ("bytes_down", received)):
        assert summary[name] == own["size_bytes"][own["phase"].map(goes)].sum() == results.rounds[name].sum()
    assert summary["energy_j"]["clients"] == pytest.approx(own["energy_j"].sum(), rel=1e-12)
    seconds = (own["end_s"] - own["start_s"] - own["overlap_s"]).groupby(own["phase"].map(category_of)).sum()
    means = seconds.reindex(CATEGORIES, fill_value=0.0) / summary["n_clients"]
    assert summary["where_time_went_s"] == pytest.approx(means.to_dict(), rel=1e-12, abs=1e-12)


def test_training_is_the_same_and_a_run_directory_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = short(SCENARIOS / "quickstart.yaml", dry=False)
    spilling(monkeypatch)
    spilled = short(SCENARIOS / "quickstart.yaml", dry=False)
    for name in ("timeline_sha256", "learning_sha256"):
        assert spilled.summary[name] == kept.summary[name]
    again = load_results(write_results(spilled, tmp_path / "run"))
    assert not isinstance(again.table("spans"), FrameTable)  # it is read when it is asked for
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(kept, name))
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")) == []


def test_the_chain_that_set_the_pace_is_the_same_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    spilling(monkeypatch)
    results = short(SCENARIOS / "frameworks" / "sfl.yaml")
    names = Names(results.clients)
    whole = by_group(critical_path(results.spans, results.rounds), names)
    pieces = chain_by_group(results.table("spans"), results.rounds, names)
    pd.testing.assert_frame_equal(
        pieces.sort_values(["who", "what"], ignore_index=True),
        whole.sort_values(["who", "what"], ignore_index=True),
    )
    idle = pd.concat([results.rounds, results.rounds.tail(1).assign(round=9, start_s=50.0, end_s=60.0)])
    more = chain_by_group(results.table("spans"), idle, names).set_index("what")["seconds"]
    assert more["idle"] - pieces.set_index("what")["seconds"].get("idle", 0.0) == pytest.approx(10.0)


def test_tables_lie_where_they_were_asked_to_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spilling(monkeypatch)
    places: list[Any] = []
    made = gapslsim.tables.rows.tempfile.TemporaryFile
    monkeypatch.setattr(
        gapslsim.tables.rows.tempfile, "TemporaryFile", lambda dir: places.append(dir) or made(dir=dir)
    )
    simulate(load(SCENARIOS / "quickstart.yaml", set=["stop={rounds: 5}"]), dry=True, scratch=tmp_path)
    assert set(places) == {tmp_path}
    assert len(places) >= 3  # spans twice, in order and sorted, and links
    assert list(tmp_path.iterdir()) == []


def test_results_do_not_keep_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    assemble = gapslsim.assembly.assemble

    def noted(*arguments: Any, **more: Any) -> Any:
        parts = assemble(*arguments, **more)
        made.append(weakref.ref(parts.stage))
        return parts

    monkeypatch.setattr(gapslsim.assembly, "assemble", noted)
    results = short(SCENARIOS / "quickstart.yaml")
    gc.collect()
    assert made[0]() is None
    assert len(results.spans)


def test_no_client_has_a_gap_in_any_round_by_absolute_time() -> None:
    results = short(SCENARIOS / "quickstart.yaml")
    spans = results.spans[results.spans["client"] >= 0].sort_values(["client", "start_s", "end_s"])
    for _, own in spans.groupby("client"):
        starts, ends = own["start_s"].to_numpy(), np.maximum.accumulate(own["end_s"].to_numpy())
        assert np.abs(starts[1:] - ends[:-1]).max() == 0.0  # to the last bit, whatever the length of the run
        assert starts[0] == 0.0
        assert math.isclose(ends[-1], results.summary["simulated_time_s"], rel_tol=0, abs_tol=0)
