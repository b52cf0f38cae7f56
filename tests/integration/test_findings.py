"""docs/findings.md holds the numbers of the studies in docs/results/, and no others in its tables."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def findings() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "analysis"))
    try:
        yield importlib.import_module("findings")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def claims(findings: ModuleType) -> ModuleType:
    return importlib.import_module("claims")


@pytest.fixture
def results(findings, claims, monkeypatch, tmp_path):
    """A function that puts runs into a folder of results that stands for docs/results."""
    monkeypatch.setattr(findings, "RESULTS", tmp_path)
    monkeypatch.setattr(claims, "RESULTS", tmp_path)

    def put(study: str, rows: list[tuple[Any, ...]], *columns: str) -> None:
        names = [*columns, "seed", "accuracy_global_last"]
        pd.DataFrame(rows, columns=names).assign(status="completed").to_csv(
            tmp_path / f"{study}.csv", index=False
        )

    return put


def test_the_page_holds_the_numbers_of_the_studies(findings, capsys):
    assert findings.main(["--check"]) == 0, capsys.readouterr().err


def test_a_changed_number_is_found(findings, monkeypatch, tmp_path, capsys):
    page = tmp_path / "findings.md"
    text = findings.PAGE.read_text(encoding="utf-8")
    page.write_text(re.sub(r"(\| PSL \| )\d", r"\g<1>9", text, count=1), encoding="utf-8")
    monkeypatch.setattr(findings, "PAGE", page)
    assert findings.main(["--check"]) == 1
    assert "--write" in capsys.readouterr().err
    assert findings.main(["--write"]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_every_table_of_the_findings_stands_on_the_page(findings):
    text = findings.PAGE.read_text(encoding="utf-8")
    assert sorted(name for name in re.findall(r"<!-- (\w+) -->", text) if name != "end") == sorted(
        findings.all_tables()
    )


def test_means_differences_and_intervals_are_those_of_the_textbook(findings):
    ours = pd.DataFrame({"seed": [1, 2, 3], "accuracy_global_last": [0.5, 0.6, 0.7]})
    other = pd.DataFrame({"seed": [3, 2, 1], "accuracy_global_last": [0.6, 0.4, 0.4]})
    assert findings.percent(ours["accuracy_global_last"]) == "60.0 ± 10.0"
    # Differences 10, 20 and 10 points: mean 13.33, deviation 5.774, t(0.975, 2) = 4.3027.
    assert findings.difference(ours, other) == "+13.3 (-1.0 .. +27.7)"
    assert findings.difference(ours.head(1), other) == "+10.0"
    assert findings.percent(ours["accuracy_global_last"].head(0)) == "not run"


def test_a_grid_takes_a_study_in_front_and_gives_differences_to_a_row(findings, monkeypatch, tmp_path):
    monkeypatch.setattr(findings, "RESULTS", tmp_path)
    rows = [("GAPSL", 1, 0.3), ("PSL", 1, 0.4), ("GAPSL", 2, 0.9), ("PSL", 2, 0.9)]
    runs = pd.DataFrame(rows, columns=["framework", "seed", "accuracy_global_last"]).assign(
        status="completed"
    )
    runs.to_csv(tmp_path / "first.csv", index=False)
    runs[runs["seed"] == 1].assign(count=20, accuracy_global_last=[0.25, 0.5]).to_csv(
        tmp_path / "second.csv", index=False
    )

    grid = findings.Grid("second", "framework", "count", "global", first=("first", 10))
    against = findings.Grid("second", "framework", "count", "global", against="PSL", first=("first", 10))

    assert grid().splitlines()[2:] == ["| GAPSL | 30.0 | 25.0 |", "| PSL | 40.0 | 50.0 |"]
    assert against().splitlines()[2:] == ["| GAPSL | -10.0 | -25.0 |"]

    since = findings.Grid("second", "framework", "count", "global", first=("first", 10), since=10)
    assert since().splitlines()[0] == "| framework | 20 |"
    assert since().splitlines()[2:] == ["| GAPSL | -5.0 |", "| PSL | +10.0 |"]


def accuracies(name: Any, values: list[float], *axes: Any) -> list[tuple[Any, ...]]:
    return [(name, *axes, seed, value) for seed, value in enumerate(values, 1)]


def test_differences_of_a_table_are_judged_together(findings, results):
    # Paired t-tests with differences (9, 10, 11) and (1, 2, 3) points: t is 17.3 and 3.46, p 0.0033 and 0.0742;
    # (2.5, 3, 3.5): t 10.4, p 0.0092, which Holm doubles to 0.018 as the second of three.
    base = [0.40, 0.40, 0.40]
    rows = accuracies("PSL", base) + accuracies("A", [0.49, 0.50, 0.51])
    rows += accuracies("B", [0.41, 0.42, 0.43]) + accuracies("C", [0.425, 0.43, 0.435])
    results("some", rows, "framework")
    text = findings.Accuracies("some", ("framework",), against=("PSL",))()
    bold = [line.split(" | ")[0][2:] for line in text.splitlines() if "**" in line and line.startswith("|")]
    assert bold == ["A", "C"]
    assert "Holm over the 3 differences of this table): 2." in text
    # Among fifteen more that are nothing, 0.0092 is no longer enough: Holm asks for 0.05 / 17.
    nothing = [row for n in range(15) for row in accuracies(f"N{n}", [0.41, 0.39, 0.405])]
    results("some", rows + nothing, "framework")
    assert (
        "Holm over the 18 differences of this table): 0."
        in findings.Accuracies("some", ("framework",), against=("PSL",))()
    )


def primary_runs(n: int, lead: float) -> list[tuple[Any, ...]]:
    noise = [0.01 * (-1) ** seed for seed in range(n)]
    return accuracies("GAPSL", [0.4 + lead + d for d in noise]) + accuracies("PSL", [0.4] * n)


@pytest.mark.parametrize(
    ("n", "lead", "says"),
    [
        (10, 0.02, "**GAPSL is above PSL here**"),
        (10, -0.02, "**GAPSL is below PSL here**"),
        (10, 0.001, "**No order is decided**"),
        (9, -0.02, "**Not judged yet**: 9 of 10 seeds"),
    ],
)
def test_the_named_comparison_is_judged_when_all_its_seeds_have_run(claims, results, n, lead, says):
    results("primary_small", primary_runs(n, lead), "framework")
    assert claims.primary().startswith(says)


def test_a_claim_of_a_change_is_a_sum_by_seed(claims, results):
    rows = accuracies("GAPSL", [0.5, 0.6], 0.3) + accuracies("PSL", [0.4, 0.4], 0.3)
    rows += accuracies("GAPSL", [0.5, 0.5], 0.9) + accuracies("PSL", [0.45, 0.5], 0.9)
    results("table3_small", rows, "framework", "alpha")
    growth = next(claim for claim in claims.EXPLORATORY if "grows" in claim.text)
    assert growth.by_seed().round(9).tolist() == [5.0, 20.0]


def test_the_nearest_reading_is_that_whose_falls_are_nearest(claims, results):
    falls = {"SFL, every round": 1, "SFL, per epoch": 20, "SplitFed V1": 25, "SplitFed V2": 40, "SL, per batch": 5,
             "SL, per epoch": 31.4, "PSL, mean": 12, "PSL, sequential": 37, "GAPSL": 15}  # fmt: skip
    rows = []
    for name, fall in falls.items():
        rows += accuracies(name, [0.6, 0.5], "IID")
        rows += accuracies(name, [0.6 - fall / 100, 0.5 - fall / 100], "alpha 0.1")
    results("baselines_small", rows, "framework", "partition")
    assert claims.nearest_readings() == ("SplitFed V1", "SL, per epoch", "PSL, sequential")
    # Falls off by 0.5, 3 and 0 points: the root of 9.25 / 3.
    assert "Nearest (SplitFed V1; SL, per epoch; PSL, sequential): 1.8 points." in claims.nearest()


def test_tuned_runs_have_the_rates_that_the_validation_split_chose(claims, findings):
    study = yaml.safe_load((ROOT / "scenarios/paper/studies/small/tuned.yaml").read_text(encoding="utf-8"))
    settings = study["axes"]["variants"]["framework"]
    assert {name: of["training.server.lr"] for name, of in settings.items()} == claims.chosen_rates()
    rates = yaml.safe_load((ROOT / "scenarios/paper/studies/small/rates.yaml").read_text(encoding="utf-8"))
    assert {name: of["framework"] for name, of in settings.items()} == rates["axes"]["grid"]["framework"]
    assert not set(study["seeds"]) & set(rates["seeds"])
    assert rates["set"]["data.validation"] > 0
    assert "data.validation" not in study["set"]


def test_the_first_is_among_methods_all_of_whose_seeds_got_there(claims, results, tmp_path):
    rows = [(f"{name}-{seed}", name, "lab", seed, 0.5) for name in ("A", "B", "C") for seed in (1, 2, 3)]
    results("first", rows, "run", "framework", "fleet")
    # A, though early, reaches the target with two seeds of three only.
    times = {"A": [1, 1, None], "B": [10, 11, 12], "C": [14, 15, 16.5]}
    seen = [
        {"run": f"{name}-{seed}", "view": "global", "accuracy": accuracy, "time_s": time}
        for name, of in times.items()
        for seed, reached in enumerate(of, 1)
        for accuracy, time in ((0.3, 0.5), (0.45, reached or 99.0))
        if reached is not None or accuracy < 0.4
    ]
    pd.DataFrame(seen).to_csv(tmp_path / "first_evaluations.csv", index=False)
    line = claims.Firsts("first", (0.4,))().splitlines()[2]
    assert line.startswith("| lab | 40 % | B | 11.0 (8.5 .. 13.5) | C | **4.2 (3.4 .. 4.9)** |")


def own_rule_results(results: Any, ahead: float, n_seeds: int = 10) -> None:
    rows = []
    for seed in range(1, n_seeds + 1):
        noise = 0.002 * (seed % 2)
        rows += [("SFL", seed, 0.5), ("SFL, then replay", seed, 0.5 + ahead / 100 + noise)]
    results("own_rule_small", rows, "framework")


@pytest.mark.parametrize(("ahead", "told"), [(0.0, "Accuracy: reached"), (-2.0, "Accuracy: not reached")])
def test_a_rule_of_our_own_is_judged_by_its_lower_end(claims, results, tmp_path, ahead, told) -> None:
    own_rule_results(results, ahead)
    costs = pd.DataFrame(
        [("auto", "SFL", 10.0, 100.0), ("auto", "SFL, then replay", 4.0, 11.0)],
        columns=["computes", "framework", "simulated_time_s", "bytes_averaging"],
    )
    costs.to_csv(tmp_path / "own_rule_small_cost.csv", index=False)
    said = claims.own_rule()
    assert told in said
    assert "40.0 % of SFL's time (reached)" in said
    assert "11.0 % of its averaging traffic (not reached)" in said


def test_a_rule_of_our_own_is_not_judged_before_all_seeds_have_run(claims, results) -> None:
    own_rule_results(results, 5.0, n_seeds=9)
    assert claims.own_rule() == "**Not judged yet**: 9 of 10 seeds have run.\n"
