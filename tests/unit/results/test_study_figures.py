"""Each kind of figure drawn from a swept study of digits; its numbers recomputed from the study's tables."""

from __future__ import annotations

import re
from dataclasses import replace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.results.drawing.drawing import Mark
from gapslsim.results.drawing.matplotlib_printer import draw
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import page
from gapslsim.results.study import read_study, write_study
from gapslsim.results.study_figure import figure_of, figures
from gapslsim.results.study_tables import read_tables
from tests.study_files import DIGITS_BASE, DIGITS_STUDY
from tests.study_files import write_study as write_study_file

ALL = {
    "curves": {"kind": "curves", "x": "epochs"},
    "points": {"kind": "points", "x": "alpha", "y": ["accuracy", {"kind": "to_target", "target": 0.99}]},
    "rows": {"kind": "points", "x": "framework", "y": {"kind": "to_target", "target": 0.2, "spent": "bytes"}},
    "table": {"kind": "table", "rows": "framework", "cells": ["accuracy", "converged"]},
    "geometry": {"kind": "geometry", "y": ["score_rad", "admitted"], "series": "alpha", "band": "clients"},
}


def drawn(folder, settings):
    study = read_tables(folder)
    figure = figure_of(replace(study.record, figure=settings))
    return figure.draw(study)


def parquet(folder, name):
    return pd.read_parquet(folder / f"{name}.parquet")


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_every_kind_is_drawn_as_a_picture_with_something_on_it(digits, tmp_path, settings):
    figure = draw(drawn(digits, settings))
    figure.savefig(tmp_path / "a.png", dpi=50)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert (picture[..., :3].mean(axis=2) < 0.7).mean() > 0.005


def test_curves_are_means_over_seeds_of_the_evaluations(digits):
    found = drawn(digits, ALL["curves"]).numbers
    rounds = parquet(digits, "rounds").set_index(["run", "round"])["epoch"]
    rows = parquet(digits, "evaluations").query("view == 'global'")
    epochs = [rounds.get((run, n), 0.0) for run, n in zip(rows["run"], rows["round"], strict=True)]
    grouped = rows.assign(epochs=epochs).groupby(["alpha", "framework", "round"])
    expected = grouped.agg(x=("epochs", "mean"), mean=("accuracy", "mean"), low=("accuracy", "min"))
    assert len(found) == len(expected) == 2 * 2 * 5
    for (alpha, framework), own in found.groupby(["alpha", "framework"]):
        there = expected.loc[alpha, framework]
        assert own["epochs"].tolist() == pytest.approx(there["x"].tolist())
        assert own["accuracy"].tolist() == pytest.approx(there["mean"].tolist())
        assert own["low"].tolist() == pytest.approx(there["low"].tolist())


def test_curves_have_a_panel_per_alpha_a_line_per_framework_and_units(digits):
    figure = draw(drawn(digits, ALL["curves"] | {"x": "time", "y": "loss"}))
    left, right = figure.subfigs[0].axes
    assert [axes.get_title() for axes in (left, right)] == ["alpha 0.5", "alpha 5.0"]
    assert (left.get_xlabel(), left.get_ylabel()) == ("simulated time [s]", "test loss")
    assert len(left.lines) == 2
    assert len({line.get_linestyle() for line in left.lines}) == 2
    assert len({line.get_marker() for line in left.lines}) == 2
    assert len(left.collections) == 2  # a band each


def test_points_are_the_accuracies_of_the_table_of_runs(digits):
    found = drawn(digits, ALL["points"]).numbers.query("measure == 'accuracy'")
    runs = parquet(digits, "runs").groupby(["alpha", "framework"])["accuracy_global_last"]
    for row in found.itertuples():
        own = runs.get_group((row.alpha, row.framework))
        assert row.mean == pytest.approx(own.mean())
        assert row.std == pytest.approx(own.std(ddof=1))
        assert (row.low, row.high) == (own.min(), own.max())
        assert (row.n_seeds, row.n_reached, row.unit) == (2, 2, "1")
    assert len(found) == 4


def test_axes_of_numbers_are_numbers_in_every_table(digits):
    for file in digits.glob("*.parquet"):
        table = pd.read_parquet(file)
        assert table["alpha"].dtype == "float64", file
        assert table["framework"].dtype == "str", file
    assert parquet(digits, "runs").query("alpha > 1")["run"].str.startswith("5.0").all()


def test_quantities_lie_along_an_axis_in_their_unit(digits):
    study = read_tables(digits)
    names = {"0.5": "500 kbit/s", "5.0": "5 Mbit/s"}
    records = {
        run.label: replace(run, axes=run.axes | {"uplink": names[run.axes["alpha"]]})
        for run in study.record.runs
    }
    runs = [replace(run, record=records[run.record.label]) for run in study.runs]
    figure = {"kind": "points", "x": "uplink", "y": "accuracy", "scale": "log"}
    axes = {"uplink": ["5 Mbit/s", "500 kbit/s"], "framework": ["GAPSL", "PSL"]}
    record = replace(study.record, axes=axes, figure=figure, runs=tuple(records.values()))
    study = replace(study, record=record)
    vars(study)["runs"] = tuple(runs)
    (panel,) = figure_of(record).draw(study).panels
    assert panel.x.text == "uplink [Mbit/s], log scale"
    assert list(panel.x.at) == [0.5, 5]
    assert {part.x for part in panel.parts if isinstance(part, Mark)} == {0.5, 5}


def test_a_target_that_no_run_reaches_is_a_lower_bound_with_a_hollow_mark_and_an_arrow(digits):
    drawing = drawn(digits, ALL["points"])
    found = drawing.numbers[drawing.numbers["measure"] == "simulated time to 99 %"]
    runs = parquet(digits, "runs").groupby(["alpha", "framework"])["simulated_time_s"].mean()
    assert found["n_reached"].tolist() == [0] * 4
    by_place = found.set_index(["alpha", "framework"])["mean"]
    assert by_place.to_dict() == pytest.approx(runs.to_dict())
    assert any("lower bound" in text for text in drawing.caption)
    assert all(row[-1].startswith("≥ ") for row in drawing.table.rows)
    axes = draw(drawing).subfigs[0].axes[1]
    marks = [
        line for line in axes.lines if line.get_marker() in ("o", "s") and line.get_linestyle() == "None"
    ]
    assert {line.get_markerfacecolor() for line in marks} == {"white"}
    assert sum(len(line.get_xdata()) for line in marks) == 4
    assert sum(text.arrow_patch is not None for text in axes.texts) == 4


def test_rows_are_named_and_bytes_to_a_target_are_those_of_the_rounds_before(digits):
    drawing = drawn(digits, ALL["rows"])
    evaluations = parquet(digits, "evaluations").query("view == 'global' and accuracy >= 0.2")
    first = evaluations.groupby("run")["round"].min()
    rounds = parquet(digits, "rounds")
    expected = {}
    for run in parquet(digits, "runs").itertuples():
        own = rounds[(rounds["run"] == run.run) & (rounds["round"] <= first.get(run.run, 8))]
        expected.setdefault((run.framework, run.alpha), []).append(
            int((own["bytes_up"] + own["bytes_down"]).sum())
        )
    found = drawing.numbers.set_index(["framework", "alpha"])["mean"].to_dict()
    assert found == pytest.approx({key: np.mean(own) for key, own in expected.items()})
    left, right = draw(drawing).subfigs[0].axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["GAPSL", "PSL"]
    assert left.get_xlabel() == "traffic to 20 % [MB]"
    assert left.get_xlim() == right.get_xlim()


def test_a_table_has_a_row_per_framework_and_the_epochs_to_converge(digits):
    drawing = drawn(digits, ALL["table"])
    assert [row[0] for row in drawing.table.rows] == ["GAPSL", "PSL"]
    assert drawing.table.head[1:3] == ["alpha 0.5, accuracy [%]", "alpha 0.5, epochs to converge"]
    rounds = parquet(digits, "rounds").set_index(["run", "round"])["epoch"]
    rows = parquet(digits, "evaluations").query("view == 'global'")
    numbers = drawing.numbers.query("measure == 'epochs to converge'").set_index(["framework", "alpha"])
    for (framework, alpha), own in rows.groupby(["framework", "alpha"]):
        epochs = []
        for run, curve in own.groupby("run"):
            best = curve["accuracy"].max()
            first = next(row.round for row in curve.itertuples() if row.accuracy >= best - 0.01)
            epochs.append(rounds.get((run, first), 0.0))
        assert numbers.loc[(framework, alpha), "mean"] == pytest.approx(np.mean(epochs))


def test_geometry_is_the_mean_over_clients_and_its_band_spans_them(digits):
    found = drawn(digits, ALL["geometry"]).numbers
    rows = parquet(digits, "alignment")
    scores = rows.groupby(["alpha", "run", "round"])["score_rad"].agg(["mean", "min", "max"])
    expected = scores.groupby(["alpha", "round"]).mean()
    own = found[found["quantity"] == "score_rad"].set_index(["alpha", "round"])
    assert len(own) == len(expected) == 2 * 8
    for column, source in (("mean", "mean"), ("low", "min"), ("high", "max")):
        assert own[column].to_dict() == pytest.approx(expected[source].to_dict())
    admitted = rows.groupby(["alpha", "round"])["admitted"].mean()
    shares = found[found["quantity"] == "admitted"].set_index(["alpha", "round"])["mean"]
    assert shares.to_dict() == pytest.approx(admitted.to_dict())


def test_geometry_tells_which_frameworks_have_none(digits):
    drawing = drawn(digits, ALL["geometry"])
    assert any("No geometry is recorded for: " in text and "PSL" in text for text in drawing.caption)
    assert {panel.title for panel in drawing.panels} == {"GAPSL"}


def test_axes_without_a_place_are_put_into_panels_or_columns_so_that_only_seeds_are_averaged(digits):
    study = read_tables(digits)
    assert figures["curves"]().lay_out(study.record) == {"series": ("framework",), "panel": ("alpha",)}
    assert figures["curves"](series="alpha").lay_out(study.record) == {
        "series": ("alpha",),
        "panel": ("framework",),
    }
    points = figures["points"](x="framework", y="accuracy").lay_out(study.record)
    assert points == {"x": ("framework",), "series": (), "panel": ("alpha",)}


def test_a_run_without_a_result_is_left_out_and_told(digits, tmp_path):
    study = read_tables(digits)
    broken = [replace(study.record.runs[0], status="failed: it fell"), *study.record.runs[1:]]
    cut = replace(study, record=replace(study.record, runs=broken, figure=ALL["points"]))
    drawing = figure_of(cut.record).draw(cut)
    first = drawing.numbers.iloc[0]
    assert (first["alpha"], first["framework"], first["n_seeds"]) == (0.5, "GAPSL", 1)
    assert any("Without a result: 0.5-GAPSL-seed1." in text for text in drawing.caption)


def test_the_command_draws_by_another_study_file_and_writes_picture_numbers_and_small_tables(
    digits, tmp_path, capsys
):
    text = DIGITS_STUDY + "figure: {kind: points, x: alpha, y: accuracy}\n"
    file = write_study_file(tmp_path, text, DIGITS_BASE)
    picture, kept = tmp_path / "f.svg", tmp_path / "kept"
    assert call("figure", digits, "--study", file, "-o", picture, "--export", kept) == 0
    told = capsys.readouterr().out
    assert "accuracy [%]" in told
    assert "GAPSL" in told
    assert "<svg" in picture.read_text()
    numbers = pd.read_csv(tmp_path / "f.csv", dtype={"unit": str})
    pd.testing.assert_frame_equal(
        numbers, drawn(digits, {"kind": "points", "x": "alpha", "y": "accuracy"}).numbers, rtol=1e-8
    )
    runs = pd.read_csv(kept / "digits_study.csv")
    whole = parquet(digits, "runs")
    assert runs["accuracy_clients_last"].tolist() == pytest.approx(
        whole["accuracy_clients_last"].tolist(), rel=1e-8
    )
    assert runs["learning_sha256"].tolist() == whole["learning_sha256"].tolist()
    assert not [name for name in runs.columns if "wall" in name or "start" in name]


def test_exported_evaluations_have_one_row_for_all_clients(digits, tmp_path):
    assert call("figure", digits, "--export", tmp_path) == 0
    found = pd.read_csv(tmp_path / "digits_study_evaluations.csv")
    rows = parquet(digits, "evaluations")
    assert len(found) == 8 * 5 * 2
    one = found.query(
        "alpha == 0.5 and framework == 'PSL' and seed == 2 and round == 8 and view == 'clients'"
    )
    own = rows.query("run == '0.5-PSL-seed2' and round == 8 and view == 'clients'")["accuracy"]
    assert len(own) == 4
    expected = [own.mean(), own.min(), own.max()]
    assert one[["accuracy", "least", "greatest"]].iloc[0].tolist() == pytest.approx(expected, rel=1e-8)


def test_the_command_refuses_a_study_without_figure_other_axes_and_a_folder_without_tables(
    digits, tmp_path, capsys
):
    assert call("figure", digits) == ResultsError.exit_code
    assert "asks for no figure; add a section 'figure'" in capsys.readouterr().err
    other = DIGITS_STUDY.replace("5.0]", "7.0]") + "figure: curves\n"
    assert (
        call("figure", digits, "--study", write_study_file(tmp_path, other, DIGITS_BASE))
        == ResultsError.exit_code
    )
    assert "other axes than the study that was swept: alpha: 0.5, 7.0" in capsys.readouterr().err
    plain = write_study_file(tmp_path, DIGITS_STUDY, DIGITS_BASE)
    assert call("figure", digits, "--study", plain) == ResultsError.exit_code
    assert "has no section 'figure'" in capsys.readouterr().err
    write_study(read_study(digits), tmp_path)
    with pytest.raises(ResultsError, match=r"has no tables yet.*--resume"):
        read_tables(tmp_path)


def test_a_figure_of_another_version_or_with_unknown_axes_is_refused_in_words(digits):
    record = read_study(digits)
    with pytest.raises(ResultsError, match=r"cannot be read .*give the study file with --study"):
        figure_of(replace(record, figure={"kind": "pie"}))
    with pytest.raises(ResultsError, match=r"panel: there is no axis 'alpa'.* Did you mean 'alpha'"):
        figure_of(replace(record, figure={"kind": "curves", "panel": ["alpa"]}))


def test_a_view_that_was_not_evaluated_is_told_when_it_is_drawn(digits):
    with pytest.raises(ResultsError, match="no evaluation in the view 'local'"):
        drawn(digits, {"kind": "curves", "view": "local"})


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
def test_the_page_begins_with_the_studys_own_figure_and_escapes_its_texts(digits, tmp_path, settings):
    study = tmp_path / "study"
    study.mkdir()
    for entry in digits.iterdir():
        if entry.name != "study.json":
            (study / entry.name).symlink_to(entry)
    write_study(replace(read_study(digits), figure=settings | {"title": "<b>Figure</b> 1"}), study)
    html = page(gather([study]))
    assert html.index('id="study-figure"') < html.index('id="settings"')
    assert "<b>Figure" not in html
    own = html.split('id="study-figure"')[1].split("</figure>")[0]
    assert "nan" not in own
    assert "<table" in own
    assert not re.search(r"<(div|ul|table|figcaption)[^>]*/>", own)  # which would swallow what follows
    n_panels = len(drawn(digits, settings).panels)
    assert own.count('class="plot"') == n_panels


def test_a_study_without_figure_or_tables_gets_a_page_as_before(digits):
    assert 'id="study-figure"' not in page(gather([digits]))


def test_what_runs_take_is_on_a_logarithmic_axis_in_rows_only_where_it_is_far_apart(digits):
    study = read_tables(digits)
    total = {"kind": "points", "x": "framework", "y": {"kind": "total", "spent": "bytes"}}
    assert not any(panel.x.log for panel in drawn(digits, total).panels)
    runs = [
        replace(run, rounds=run.rounds.assign(bytes_up=run.rounds["bytes_up"] * 50))
        if run.record.axes["framework"] == "PSL"
        else run
        for run in study.runs
    ]
    study.__dict__["runs"] = tuple(runs)  # a cached property
    drawing = figure_of(replace(study.record, figure=total)).draw(study)
    assert all(panel.x.log for panel in drawing.panels)
    left, right = draw(drawing).subfigs[0].axes
    assert left.get_xlabel() == "traffic [MB], log scale"
    assert left.get_xscale() == "log"
    assert left.get_xlim() == right.get_xlim()
    assert left.get_xlim()[0] > 0
