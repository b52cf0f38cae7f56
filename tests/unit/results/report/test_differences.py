"""What pages and `gapslsim compare` say of differences between series."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.records import EvaluationRow
from gapslsim.results.report.answers import answers, basis
from gapslsim.results.report.data import gather
from gapslsim.results.report.differences import differences, quantities
from gapslsim.results.report.page import page
from gapslsim.results.report.study_table import difference_lines, study_table
from gapslsim.results.store import write_results
from gapslsim.results.study import RunRecord, StudyRecord, write_study

ENDS = {"a": (0.80, 0.81, 0.82), "b": (0.70, 0.72, 0.71), "c": (0.79, 0.82, 0.80)}
"""Accuracy at the end of three seeds: a is ahead of b for sure, and of c not."""


@pytest.fixture
def study(make_results: Any, tmp_path: Any) -> Any:
    def made(n_seeds: int) -> Any:
        folder = tmp_path / f"of-{n_seeds}"
        record = StudyRecord(
            name="three", question="Which is best?", base="b.yaml", series=["framework"],
            axes={"framework": list(ENDS)}, seeds=list(range(1, n_seeds + 1)), targets=[0.6], budgets_s=[],
            target_view="global", command=[], study_yaml="name: three\n",
        )  # fmt: skip
        for name, ends in ENDS.items():
            for seed, end in enumerate(ends[:n_seeds], 1):
                curve = [0.1, 0.65 if name == "a" else 0.5, end]
                rows = [EvaluationRow(r, 5.0 * r, "global", -1, value, 1.0) for r, value in enumerate(curve)]
                label = f"{name}-seed{seed}"
                results = make_results(framework=name, seed=seed, evaluations=rows, targets=[0.6])
                write_results(results, folder / "runs" / label)
                record.runs.append(RunRecord(label, {"framework": name}, seed, "x", "completed"))
        write_study(record, folder)
        return folder

    return made


def test_every_pair_is_compared_and_corrected_for_all(study: Any) -> None:
    runs = gather([study(3)])
    accuracy = differences(runs, quantities(runs)[0])
    assert [(one.pair.first, one.pair.second, one.n_compared) for one in accuracy] == [
        ("a", "b", 3), ("a", "c", 3), ("c", "b", 3),
    ]  # fmt: skip
    # Differences of a and b: 0.10, 0.09 and 0.11, a mean of 0.1 with a deviation of 0.01.
    assert accuracy[0].mean == pytest.approx((0.1, 0.1))
    half = 4.302653 * 0.01 / 3**0.5
    assert accuracy[0].interval == pytest.approx((0.1 - half, 0.1 + half))
    assert [one.is_decided for one in accuracy] == [True, False, True]
    only = differences(runs, quantities(runs)[0], against="b")
    assert [one.n_compared for one in only] == [2, 2]
    assert only[0].p < accuracy[0].p


def test_the_answer_says_how_sure_it_is(study: Any) -> None:
    runs = gather([study(3)])
    (said,) = answers(runs)
    # a is seen at 60 % at 5 s in each seed, the others at 10 s: they may have been there just behind 5 s.
    assert (
        "a reaches 60 % first (0 .. 5.00 s), against b not decided: it lies between two evaluations" in said
    )
    assert "a ends highest (81.0 %), against c not decided (p" in said
    assert "means over up to 3 seeds" in basis(runs)
    html = page(runs)
    assert "Which differences are real" in html
    assert "10.0 points (7.5 points .. 12.5 points)" in html


def test_one_seed_is_one_run(study: Any) -> None:
    runs = gather([study(1)])
    assert answers(runs) == ["a reaches 60 % first (0 .. 5.00 s); a ends highest (80.0 %)."]
    html = page(runs)
    assert "One seed: no spread is known, so nothing is decided." in html
    assert "Each column is one run (one seed): no spread is known." in html
    assert "confidence interval" not in html
    assert "means over" not in html
    assert difference_lines(runs) == []


def test_compare_takes_a_study(study: Any, capsys: Any, tmp_path: Any) -> None:
    folder = study(3)
    with pytest.raises(SystemExit, match="0"):
        main(["compare", str(folder), "--pairs", "all", "-o", str(tmp_path / "table.md")])
    told = " ".join(capsys.readouterr().out.split())
    assert "Which is best?" in told
    assert (
        "accuracy: a before b by 10.0 points (7.5 points .. 12.5 points) in 3 of 3 seeds, 100 % probable"
        in told
    )
    assert "| a | 3 | 81.0 % ± 1.0 %<br>78.5 % .. 83.5 % |" in (tmp_path / "table.md").read_text()
    with pytest.raises(SystemExit, match="0"):
        main(
            ["compare", *(str(folder / "runs" / f"{name}-seed{seed}") for name in "ab" for seed in (1, 2, 3))]
        )
    assert "accuracy: a before b by 10.0 points" in " ".join(capsys.readouterr().out.split())


def test_a_study_of_many_settings_is_told_within_eighty_columns(
    make_results: Any, tmp_path: Any, capsys: Any, monkeypatch: Any
) -> None:
    """Four series in three panels, two seeds, two quantities: 18 pairs with the best, of which six are told."""
    monkeypatch.setenv("COLUMNS", "80")
    series, nets = ["gapsl eta=0.5", "psl", "sfl", "sl"], ["wired lab", "Wi-Fi", "field, two carriers"]
    record = StudyRecord(
        name="many", question="Which is best?", base="b.yaml", series=["framework"],
        axes={"framework": series, "network": nets}, seeds=[1, 2], targets=[0.6], budgets_s=[],
        target_view="global", command=[], study_yaml="name: many\n",
    )  # fmt: skip
    for i, (one, net) in enumerate(product(series, nets)):
        for seed in (1, 2):
            rows = [
                EvaluationRow(r, 5.0 * r, "global", -1, 0.35 * r + 0.02 - 0.001 * i + 0.0001 * seed, 1.0)
                for r in (0, 1, 2)
            ]
            label = f"{i}-{seed}"
            write_results(
                make_results(framework="psl", seed=seed, evaluations=rows, targets=[0.6]),
                tmp_path / "runs" / label,
            )
            record.runs.append(RunRecord(label, {"framework": one, "network": net}, seed, "x", "completed"))
    write_study(record, tmp_path)
    runs = gather([tmp_path])
    with pytest.raises(SystemExit, match="0"):
        main(["compare", str(tmp_path)])
    told = capsys.readouterr().out.splitlines()
    table = told[: told.index("Which is best?")]
    assert max(map(len, table)) <= 80
    assert "  2  wired lab, psl" in [line.rstrip() for line in table]
    assert not any("…" in line for line in table)
    # Every number stands in it as a whole.
    for row in study_table(runs).brief().rows:
        assert all(any(cell in line for line in table) for cell in row)
    few = [line for line in told if " before " in line]
    assert [line.partition(":")[0] for line in few] == [
        f"{of}, {net}" for of in ("accuracy", "time to 60 %") for net in nets
    ]
    assert few[0].startswith("accuracy, wired lab: gapsl eta=0.5 before psl by 0.3 points")
    assert "12 more pairs, with '--pairs all'" in told[-1]
    assert len(difference_lines(runs, every=True)) == 18


def test_an_unknown_series_to_compare_with_is_refused(study: Any) -> None:
    with pytest.raises(ResultsError, match="there is no series 'd' to compare with; there are: a, b, c"):
        difference_lines(gather([study(1)]), "d")
