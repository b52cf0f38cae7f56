"""Runs whose test set lacks classes, or has no samples: there is no accuracy then, not a wrong one."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from gapslsim import Results, load_dict, simulate
from gapslsim.data.dataset import LoadedData, Samples
from gapslsim.data.datasets.synthetic import Synthetic
from gapslsim.results.compare import compare
from gapslsim.results.figures.comparison import comparison
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import page
from gapslsim.results.store import load_results, write_results
from gapslsim.results.tables import end_table
from tests.worlds import small_scenario

SHARDS = {"partition": {"kind": "shards", "classes_per_client": 1}, "n_classes": 4, "separation": 10}


def run(**data: Any) -> Results:
    return simulate(load_dict(small_scenario(data=data, stop={"rounds": 8}), deep=True))


def no_test_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Synthetic.load

    def emptied(self: Synthetic, folder: Path | None, seed: int) -> LoadedData:
        made = load(self, folder, seed)
        shape = (0, *made.input_shape)
        return replace(made, test=Samples(np.zeros(0, np.int64), lambda: np.zeros(shape, np.float32)))

    monkeypatch.setattr(Synthetic, "load", emptied)


def told(results: Results, folder: Path) -> str:
    """All that is shown of a run, after it was written and read again."""
    again = load_results(write_results(results, folder))
    assert again.summary == results.summary
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(end_table(again.summary))
    text = console.export_text()
    assert "nan" not in text.lower().split()
    assert compare([again.summary]).rows
    assert comparison([again]).panels
    assert "<html" in page(gather([folder]))
    return text


def test_clients_whose_class_is_not_tested_are_left_out_of_the_mean(tmp_path: Path) -> None:
    results = run(**SHARDS, n_test=1)
    local = results.evaluations[results.evaluations["view"] == "local"]
    assert local["accuracy"].isna().sum() == 3 * local["round"].nunique()
    last = local[local["round"] == 8]["accuracy"].dropna().tolist()
    assert results.summary["accuracy"]["local"]["last"] == last[0] == 1.0
    assert "local" in told(results, tmp_path)


def test_without_test_samples_every_accuracy_is_none_and_never_zero(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_test_samples(monkeypatch)
    results = run()
    assert results.summary["accuracy"] == {
        view: {"last": None, "best": None} for view in ("global", "clients", "ensemble", "local")
    }
    assert results.evaluations["accuracy"].map(math.isnan).all()
    told(results, tmp_path)
