"""A study whose runs are drawn: intervals in its tables, its figure and its page, and rankings at its end."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim.cli.main import main
from gapslsim.results.likely import draws_of
from gapslsim.results.study_figure import figure_of
from gapslsim.results.study_tables import read_tables
from tests.study_files import BASE, STUDY, write_study

FIGURE = """\
figure: {kind: table, rows: framework, cells: [total, {kind: total, spent: energy}, accuracy]}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Directory of the study, and what the sweep said."""
    folder = tmp_path_factory.mktemp("drawn")
    study = STUDY.replace("[gapsl, {kind: epsl, phi: 0.5}]", "{PSL: psl, SFL: sfl}")
    file = write_study(folder, study + FIGURE, BASE + "uncertainty: {draws: 20, level: 0.8}\n")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.echo", lambda text="", **_: said.append(str(text)))
        with pytest.raises(SystemExit, match="0"):
            main(["sweep", str(file), "--out", str(folder / "out"), "--jobs", "1"])
    return folder / "out", "\n".join(said)


def test_the_end_of_a_sweep_says_which_orders_are_decided(swept: tuple[Path, str]) -> None:
    assert "simulated time: PSL before SFL in 100 % of draws" in swept[1]
    assert "energy: PSL before SFL" in swept[1]


def test_tables_of_a_study_hold_intervals_and_draws(swept: tuple[Path, str]) -> None:
    runs = pd.read_parquet(swept[0] / "runs.parquet")
    assert (runs["simulated_time_low_s"] < runs["simulated_time_high_s"]).all()
    assert (runs["energy_low_j"] < runs["energy_high_j"]).all()
    targets = pd.read_parquet(swept[0] / "targets.parquet")
    assert targets["low_s"].notna().equals(targets["time_s"].notna())
    drawn = pd.read_parquet(swept[0] / "uncertainty.parquet")
    one = draws_of(drawn[drawn["run"] == runs["run"][0]], "simulated_time_s")
    told = runs.loc[0, ["simulated_time_low_s", "simulated_time_high_s"]].astype(float)
    np.testing.assert_allclose(np.quantile(one, [0.1, 0.9]), told)


def test_figures_show_nine_of_ten_draws_of_what_depends_on_devices(swept: tuple[Path, str]) -> None:
    study = read_tables(swept[0])
    figure = figure_of(study.record)
    assert figure is not None
    drawing = figure.draw(study)
    numbers = drawing.numbers.set_index(["framework", "measure"])
    time, energy = (numbers.loc[("SFL", name)] for name in ("simulated time", "energy"))
    assert time["draws_low"] < time["mean"] < time["draws_high"]
    assert energy["draws_low"] < energy["mean"] < energy["draws_high"]
    assert np.isnan(numbers.loc[("SFL", "accuracy")]["draws_low"])
    runs = [run for run in study.runs if run.record.axes["framework"] == "SFL"]
    mean = np.mean([draws_of(run.uncertainty, "simulated_time_s") for run in runs], axis=0)
    assert time["draws_low"] == pytest.approx(np.quantile(mean, 0.05), rel=1e-6)
    assert drawing.table is not None
    assert " .. " in drawing.table.rows[0][1]
    assert " .. " not in drawing.table.rows[0][3]


def test_the_page_of_a_study_tells_intervals_and_rankings(swept: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(swept[0]), "-o", str(tmp_path / "page.html")])
    page = (tmp_path / "page.html").read_text()
    assert "How sure times and energies are" in page
    assert "simulated time: PSL before SFL in 100 % of draws." in page
    assert "20 draws of what profiles leave open" in page


def test_studies_of_earlier_versions_are_read_without_draws(swept: tuple[Path, str], tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(swept[0], old)
    (old / "uncertainty.parquet").unlink()
    assert all(run.uncertainty.empty for run in read_tables(old).runs)
