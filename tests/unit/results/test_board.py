"""A board of runs whose curves are written here, so that every number of it can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from gapslsim.errors import ResultsError, ScenarioError
from gapslsim.results.board_tables import panel_table, robustness_table, standings_table
from gapslsim.results.drawing.drawing import Mark
from gapslsim.results.drawing.matplotlib_printer import draw
from gapslsim.results.measure import NUMBERS
from gapslsim.results.report._html import figure_html
from gapslsim.results.study import RunRecord, StudyRecord
from gapslsim.results.study_figure import figure_of
from gapslsim.results.study_tables import StudyRun, StudyTables
from gapslsim.studies.plan import load_study
from tests.study_files import STUDY, write_study

SETTINGS = {
    "kind": "board",
    "target": 0.8,
    "budget": {"of": "B", "share": 0.5},
    "fleet": "fleet",
    "partition": "alpha",
    "even": "1.0",
    "skewed": "0.1",
}
CURVES = {
    # Accuracy at rounds 0 .. 4; seed 2 is 0.01 above seed 1.
    ("A", "1.0"): [0.1, 0.6, 0.85, 0.9, 0.9],
    ("B", "1.0"): [0.1, 0.5, 0.7, 0.8, 0.85],
    ("C", "1.0"): [0.1, 0.2, 0.3, 0.4, 0.5],
    ("A", "0.1"): [0.1, 0.4, 0.6, 0.7, 0.6],
    ("B", "0.1"): [0.1, 0.5, 0.7, 0.8, 0.85],
    ("C", "0.1"): [0.1, 0.2, 0.3, 0.4, 0.5],
}
ROUND_S = {
    ("A", "lab"): 1.0,
    ("B", "lab"): 2.0,
    ("C", "lab"): 0.5,
    ("A", "LTE"): 6.0,
    ("B", "LTE"): 3.0,
    ("C", "LTE"): 3.0,
}
BYTES = {"A": 100, "B": 50, "C": 50}
JOULES = {"A": 1.0, "B": 1.0, "C": 4.0}


def run_of(framework: str, alpha: str, fleet: str, seed: int, status: str = "completed") -> StudyRun:
    record = RunRecord(
        f"{fleet}-{alpha}-{framework}-{seed}",
        {"fleet": fleet, "alpha": alpha, "framework": framework},
        seed,
        "x",
        status,
    )
    second = ROUND_S[framework, fleet]
    accuracy = [acc + 0.01 * (seed - 1) for acc in CURVES[framework, alpha]]
    evaluations = pd.DataFrame(
        {"round": range(5), "time_s": [n * second for n in range(5)], "view": "global", "client": -1}
    ).assign(accuracy=accuracy, loss=1.0)
    rounds = pd.DataFrame({"round": range(1, 5), "end_s": [n * second for n in range(1, 5)]}).assign(
        epoch=1.0, bytes_up=BYTES[framework] - 10, bytes_down=10, energy_j=JOULES[framework]
    )
    return StudyRun(record, evaluations, rounds, pd.DataFrame())


def board(settings=(), seeds=(1, 2), without=(), status="completed") -> StudyTables:
    axes = {"fleet": ["lab", "LTE"], "alpha": ["1.0", "0.1"], "framework": ["A", "B", "C"]}
    runs = [
        run_of(framework, alpha, fleet, seed, status if framework == "C" else "completed")
        for fleet in axes["fleet"]
        for alpha in axes["alpha"]
        for framework in axes["framework"]
        for seed in seeds
    ]
    records = [
        replace(run.record, status="failed: it fell") if run.record.label in without else run.record
        for run in runs
    ]
    record = StudyRecord(
        name="a board", question="Which?", base="base.yaml", series=["framework"], axes=axes, seeds=list(seeds),
        targets=[0.8], budgets_s=[], target_view="global", command=[], study_yaml="", runs=records,
        figure=SETTINGS | dict(settings),
    )  # fmt: skip
    study = StudyTables(record, Path())
    vars(study)["runs"] = tuple(run for run in runs if run.record.label not in without)
    return study


def drawn(study: StudyTables):
    figure = figure_of(study.record)
    assert figure is not None
    return figure.draw(study)


def found(numbers, question, counted, fleet="lab", alpha=1.0):
    own = numbers.query(
        "question == @question and counted == @counted and fleet == @fleet and alpha == @alpha"
    )
    return own.set_index("framework")


def test_quality_is_the_best_accuracy_within_half_of_what_the_reference_spends():
    numbers = drawn(board()).numbers
    # B's whole runs take 4 rounds of 2 s, 50 B and 1 J: budgets are 4 s, 100 B and 2 J. A has 4 rounds within 4 s, one
    # within 100 B; C has ended after 2 s, so that its number is a lower bound; of 4 J a round it can pay none.
    time, sent, joules = (found(numbers, "quality", what) for what in ("time", "bytes", "energy"))
    assert time["level"].tolist() == [4.0] * 3
    assert sent["level"].tolist() == [100.0] * 3
    assert joules["level"].tolist() == [2.0] * 3
    assert time["mean"].to_dict() == pytest.approx({"A": 0.905, "B": 0.705, "C": 0.505})
    assert time["n_reached"].to_dict() == {"A": 2, "B": 2, "C": 0}
    assert sent["mean"].to_dict() == pytest.approx({"A": 0.605, "B": 0.705, "C": 0.305})
    assert joules["mean"].to_dict() == pytest.approx({"A": 0.855, "B": 0.705, "C": 0.105})
    assert sent["place"].to_dict() == {"B": 1, "A": 2, "C": 3}
    # All seeds differ by the same, so what is better is better for sure; C's time might have come to anything.
    assert sent["first"].to_dict() == {"A": "", "B": "alone", "C": ""}
    assert time["first"].to_dict() == {"A": "tied", "B": "", "C": "tied"}
    assert time.loc["C", ["best_place", "worst_place"]].tolist() == [1, 3]


def test_cost_is_known_between_two_evaluations_and_who_never_gets_there_is_behind():
    numbers = drawn(board()).numbers
    time, sent = (found(numbers, "cost", what) for what in ("time", "bytes"))
    assert time["mean"].to_dict() == pytest.approx({"A": 2.0, "B": 6.0, "C": 2.0})
    assert time["mean_after"].to_dict() == pytest.approx({"A": 1.0, "B": 4.0, "C": np.nan}, nan_ok=True)
    assert time["n_reached"].to_dict() == {"A": 2, "B": 2, "C": 0}
    assert time["place"].to_dict() == {"A": 1, "B": 2, "C": 3}
    # A: 1 .. 2 s, B: 4 .. 6 s. C had spent 2 s without it, which is not more than A's 2 s.
    assert time["first"].to_dict() == {"A": "tied", "B": "", "C": ""}
    assert sent["mean"].to_dict() == {"A": 200, "B": 150, "C": 200}


def test_where_nobody_gets_there_nobody_is_first():
    numbers = drawn(board({"target": 0.99})).numbers
    assert set(numbers.query("question == 'cost'")["first"]) == {""}
    assert set(numbers.query("question == 'cost'")["place"]) == {1}


def test_loss_is_paired_by_seed_from_even_to_skewed_data():
    numbers = drawn(board()).numbers
    lost = found(numbers, "loss", "", alpha=0.1)
    assert lost["mean"].to_dict() == pytest.approx({"A": 0.2, "B": 0.0, "C": 0.0})
    assert lost["place"].to_dict() == {"A": 3, "B": 1, "C": 1}
    assert lost["std"].tolist() == pytest.approx([0.0] * 3)
    assert found(numbers, "loss", "", alpha=1.0).empty


def test_tables_tell_places_over_panels_and_the_fleet_that_is_worst():
    drawing = drawn(board())
    # By accuracy within the time budget: in the lab A, B, C at 1.0, and A and B the same before C at 0.1. On LTE a
    # round of A takes 6 s of the 6 s there are, and B is before A and C.
    assert {row[0]: row[1] for row in drawing.table.rows} == {
        "B": "1.2 (1 .. 2)",
        "A": "1.5 (1 .. 2)",
        "C": "3.0",
    }
    assert [row[0] for row in drawing.table.rows] == ["B", "A", "C"]
    robust = drawing.more[0].table
    assert robust.head[1:] == [
        "points lost on skewed data",
        "place by that",
        "points between seeds, mean (most)",
        "place on lab",
        "place on LTE",
        "worst fleet",
    ]
    assert {row[0]: row[1:] for row in robust.rows} == {
        "A": ["20.0", "3.0", "0.7 (0.7)", "1.0", "2.0", "LTE"],
        "B": ["0.0", "1.0", "0.7 (0.7)", "1.5", "1.0", "lab"],
        "C": ["0.0", "1.0", "0.7 (0.7)", "3.0", "3.0", "none"],
    }


def test_lone_firsts_stand_out_in_the_table_of_their_panel_and_on_the_page():
    drawing = drawn(board())
    lab = next(one for one in drawing.more if one.title == "lab, alpha 1.0")
    column = list(lab.table.head).index("accuracy within 100 B")
    line = next(n for n, row in enumerate(lab.table.rows) if row[0] == "B")
    assert (line, column) in lab.table.strong
    assert lab.table.rows[line][column] == "70.5 % ± 0.7\n1, alone first"
    html = str(figure_html(drawing))
    assert "<strong>70.5 % ± 0.7</strong>" in html
    assert html.count("<details>") == 5  # Robustness and four panels.
    assert "≥ 50.5 % ± 0.7" in html
    assert "0 of 2 seeds" in html


def test_the_caption_counts_lone_firsts_and_names_what_is_missing():
    told = " ".join(drawn(board(without=("lab-1.0-C-2",))).caption)
    assert "Without a place, as seeds are missing: C, lab, alpha 1.0." in told
    assert "rankings have one alone" in told
    numbers = drawn(board(without=("lab-1.0-C-2",))).numbers
    assert "C" not in found(numbers, "quality", "time").index
    assert "C" in found(numbers, "quality", "time", alpha=0.1).index


def test_one_seed_decides_nothing_and_says_so():
    drawing = drawn(board(seeds=(1,)))
    assert "One seed decides nothing: all are tied." in drawing.caption
    assert set(drawing.numbers.query("question == 'quality'")["first"]) == {"tied"}


def test_its_columns_are_taken_from_axes_and_known_names():
    assert set(drawn(board()).numbers.columns) <= {"fleet", "alpha", "framework"} | NUMBERS


def test_budgets_may_be_so_much():
    fixed = {"budget": {"time": "4 s", "bytes": "100 B", "energy": "2 J"}}
    ours, theirs = drawn(board(fixed)).numbers, drawn(board()).numbers
    lab = "fleet == 'lab'"
    pd.testing.assert_frame_equal(ours.query(lab), theirs.query(lab))
    assert ours.query("fleet == 'LTE' and counted == 'time' and question == 'quality'")["level"].unique() == [
        4.0
    ]


def test_it_is_a_picture_with_hollow_marks_for_lower_bounds(tmp_path):
    drawing = drawn(board())
    assert [panel.title for panel in drawing.panels][2] == "Accuracy lost from 1.0 to 0.1"
    draw(drawing).savefig(tmp_path / "a.png", dpi=50)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert (picture[..., :3].mean(axis=2) < 0.7).mean() > 0.005
    marks = [part for part in drawing.more[1].panels[0].parts if isinstance(part, Mark)]
    assert sum(mark.beyond == "right" for mark in marks) == 1


def test_tables_can_be_made_from_its_numbers_alone():
    drawing = drawn(board())
    read = drawing.numbers.assign(
        series=drawing.numbers["framework"], partition=[f"alpha {a}" for a in drawing.numbers["alpha"]]
    )
    read["where"] = read["fleet"] + ", " + read["partition"]
    assert standings_table(read) == drawing.table
    assert robustness_table(read) == drawing.more[0].table
    assert panel_table(read[read["where"] == "lab, alpha 0.1"]) == drawing.more[2].table


def test_runs_that_were_stopped_early_are_refused():
    with pytest.raises(ResultsError, match=r"whole runs, and 8 were stopped early.*take 'adaptive' out"):
        drawn(board(status="stopped: behind"))


def test_budgets_whose_measure_is_missing_are_refused():
    with pytest.raises(
        ResultsError, match=r"what B spends, and it has no whole set of runs at lab, alpha 1.0"
    ):
        drawn(board(without=("lab-1.0-B-1",)))


def test_one_method_is_no_board():
    study = board()
    lone = replace(study, record=replace(study.record, series=[], figure=SETTINGS | {"budget": {}}))
    vars(lone)["runs"] = study.runs
    with pytest.raises(ResultsError, match="a board ranks at least two series"):
        drawn(lone)


TWO_AXES = STUDY.replace("grid:", "grid:\n    training.batch_size: [5, 10]")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("kind: board", "figure.target: is missing"),
        ("kind: board, target: 80", "found 80"),
        ("kind: board, target: 0.8, partition: bach_size", "Did you mean 'batch_size'?"),
        ("kind: board, target: 0.8, budget: {of: gaspl}", "series in 'budget.of': 'gaspl'"),
        ("kind: board, target: 0.8, budget: {time: 3 s}", "bytes and energy missing"),
        (
            "kind: board, target: 0.8, budget: {of: gapsl, time: 3 s, bytes: 1 kB, energy: 2 J}",
            "leave one of them out",
        ),
        ("kind: board, target: 0.8, budget: {share: 0}", "share"),
        ("kind: board, target: 0.8, budget: {time: 3}", "unit"),
        ("kind: board, target: 0.8, partition: batch_size, even: 7", "found 7"),
        ("kind: board, target: 0.8, partition: batch_size, even: '7'", "unknown value of 'batch_size' '7'"),
        ("kind: board, target: 0.8, even: '5'", "'partition', which is missing"),
        ("kind: board, target: 0.8, partition: batch_size, even: '5', skewed: '5'", "no two values"),
        ("kind: board, target: 0.8, series: []", "nothing is ranked"),
        ("kind: board, target: 0.8, series: framework, panel: framework", "in 'series' already"),
    ],
)
def test_what_does_not_fit_the_study_is_told_with_its_line(tmp_path, settings, told):
    with pytest.raises(ScenarioError) as caught:
        load_study(write_study(tmp_path, f"{TWO_AXES}figure: {{{settings}}}\n"))
    assert told in str(caught.value)
