"""The geometry of gradients as a table, on the command line and on the page."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gapslsim.cli.main import main
from gapslsim.records import ClientRow, PairRow, UpdateRow
from gapslsim.results._geometry import compare_geometry
from gapslsim.results.frames import frame
from gapslsim.results.report.data import gather
from gapslsim.results.report.geometry import geometry_figure
from gapslsim.results.report.page import page
from gapslsim.results.store import write_results


def update(round: int, **changes: Any) -> UpdateRow:
    row = UpdateRow(
        round=round, n_clients=4, n_leaders=0, n_admitted=4, mean_angle_rad=1.0, dispersion_rad=0.1,
        selection_ratio=math.nan, threshold_rad=math.nan, conflicting_pairs=0.5, mean_norm=1.0, update_norm=2.0,
        norm_ratio=2.0, cos_to_mean=0.5, descending_share=0.75, stable_rank=2.0, effective_rank=3.0,
    )  # fmt: skip
    return row._replace(**changes)


def table(*rows: UpdateRow) -> pd.DataFrame:
    return frame(UpdateRow, rows)


def pairs(round: int, near: float, far: float) -> list[PairRow]:
    return [PairRow(round, 0, 1, near), PairRow(round, 0, 2, 1.2), PairRow(round, 1, 2, far)]


def test_means_are_over_rounds_and_then_over_seeds() -> None:
    long = table(*(update(round, cos_to_mean=0.0) for round in (1, 2, 3)))
    seeds = [table(update(1, cos_to_mean=1.0, n_admitted=1)), long, table()]
    made = compare_geometry([("gapsl", seeds, []), ("blind", [table()], [])])
    gapsl, blind = (dict(zip(made.columns, row, strict=True)) for row in made.rows)
    assert gapsl["cos(update, mean)"] == "0.50"
    assert gapsl["admitted"] == "62 %"  # of 1/4 and 1
    assert "threshold [rad]" not in made.columns
    assert blind["cos(update, mean)"] == "-"


def test_a_row_per_rule_and_no_column_that_no_rule_has() -> None:
    made = compare_geometry(
        [("mean", [table(update(1))], [0.8, 0.9]), ("gapsl", [table(update(1, selection_ratio=0.4))], [])],
        "clients",
    )
    assert made.columns[:2] == ("rule", "accuracy, clients")
    assert "threshold [rad]" not in made.columns
    mean, gapsl = (dict(zip(made.columns, row, strict=True)) for row in made.rows)
    assert (mean["accuracy, clients"], mean["K"], gapsl["K"]) == ("85.0 %", "-", "0.40")
    assert (mean["pairs in conflict"], mean["cos(update, mean)"]) == ("50 %", "0.50")


@pytest.fixture
def measured(make_results: Any, tmp_path: Path) -> Path:
    rows = [update(round, n_leaders=1, n_admitted=2, selection_ratio=0.25) for round in (1, 2)]
    angles = [row for round in (1, 2) for row in pairs(round, math.radians(20), math.radians(130))]
    devices = ["nano", "pi", "tx2"]  # all whom `pairs` compares
    clients = [
        ClientRow(client, device, device, 8e6, 8e6, 0.0, 8, 80, f'{{"{client}": 80}}', "1")
        for client, device in enumerate(devices)
    ]
    results = make_results(clients=clients, device_of_client=devices, updates=rows, pairwise=angles)
    return write_results(results, tmp_path / "measured")


def test_the_command_prints_and_writes_it(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--geometry", str(measured), "-o", str(tmp_path / "g.md")])
    assert ended.value.code == 0
    assert "clients helped" in capsys.readouterr().out
    head, _, row = (tmp_path / "g.md").read_text().strip().split("\n")
    cells = dict(
        zip(*([cell.strip() for cell in line.split("|")[1:-1]] for line in (head, row)), strict=True)
    )
    assert cells["rule"] == "gapsl"
    assert (cells["admitted"], cells["clients helped"], cells["stable rank"]) == ("50 %", "75 %", "2.00")


def test_without_any_measurement_the_command_says_how_to_have_one(
    make_results: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_results(make_results(), tmp_path / "plain")
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--geometry", str(folder)])
    assert ended.value.code != 0
    assert "evaluation.geometry=10 rounds" in " ".join(capsys.readouterr().err.split())


def test_the_page_shows_updates_and_every_pair(measured: Path) -> None:
    html = page(gather([measured]))
    figure = html.split('<figure id="geometry"')[1].split("</figure>")[0]
    for heading in (
        "Cosine of update and mean gradient", "Clients whose loss the update lowers", "Pairwise angles: gapsl",
        "Who lies far from whom: gapsl",
    ):  # fmt: skip
        assert f"<h3>{heading}" in figure
    told = re.sub(r"<[^>]+>", " ", figure)
    assert (
        "the update has cosine 0.50 to the mean gradient and lowers the loss of 75 % of the clients" in told
    )
    assert "closest are client-0 (nano) and client-1 (pi) (20 degrees on average)" in told
    assert "farthest client-1 (pi) and client-2 (tx2) (130 degrees)" in told
    for svg in re.findall(r"<svg.*?</svg>", figure, flags=re.DOTALL):
        assert not re.search(r'="[^"]*\b(nan|inf)\b', svg)


def test_a_rule_without_leaders_is_shown_by_what_was_measured_alone(
    make_results: Any, tmp_path: Path
) -> None:
    results = make_results(alignment=[], updates=[update(1), update(2)], framework="psl")
    figure = geometry_figure(gather([write_results(results, tmp_path / "psl")]))
    assert figure is not None
    titles = [panel.title for panel in figure.panels]
    assert "Mean angle between two clients' gradients" in titles
    assert not {"Clients admitted", "Selection ratio K", "Threshold of admission"} & set(titles)
    assert not any(title.startswith("Who is admitted") for title in titles)
    assert list(figure.more) == []
