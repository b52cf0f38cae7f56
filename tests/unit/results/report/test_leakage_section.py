"""What smashed data gives away, in reports: one run with its models, or several with their means."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gapslsim.errors import ResultsError
from gapslsim.records import LeakageRow, PixelRow
from gapslsim.results.drawing.drawing import Picture
from gapslsim.results.report._leakage import leakage_figure
from gapslsim.results.report.data import gather
from gapslsim.results.report.page import page
from gapslsim.results.store import load_results, write_results

SIDE = 2


def rows(values: dict[int, float]) -> list[LeakageRow]:
    return [
        LeakageRow(client, "reconstructed", value, 0.0, 9, 9, "test", 1) for client, value in values.items()
    ]


def pixels(*clients: int, channels: int = 1) -> list[PixelRow]:
    """Of sample 5: 0, 1, 2, ... by place; made of it 100 more, guessed 7."""
    places = list(np.ndindex(channels, SIDE, SIDE))
    return [PixelRow(c, 5, *at, i, 100 + i, 7) for c in clients for i, at in enumerate(places)]


@pytest.fixture
def stored(make_results: Any, tmp_path: Path) -> Any:
    def write(name: str, seed: int = 1, **tables: Any) -> Path:
        results = make_results(
            seed=seed, scenario_yaml="name: tiny\nclients: [{count: 2, device: nano}]\n", **tables
        )
        return write_results(results, tmp_path / name, command=["test"])

    return write


def test_one_run_has_a_row_per_model_and_pictures_below_one_another(stored: Any) -> None:
    folder = stored("one", leakage=rows({-1: 0.5, 1: 0.25}), reconstructions=pixels(-1, 1))
    figure = leakage_figure(gather([folder]))
    assert figure is not None
    assert [row[:2] for row in figure.table.rows] == [
        ["mean of all", "50.0 %"], ["client-1 (pi)", "25.0 %"], ["who sees nothing", "0.0 %"],
    ]  # fmt: skip
    (panel,) = figure.panels
    assert [row.name for row in panel.rows] == ["input", "mean of all", "client-1 (pi)", "who sees nothing"]
    shown = [part.pixels.tolist() for part in panel.parts if isinstance(part, Picture)]
    assert shown == [[[0, 1], [2, 3]], [[100, 101], [102, 103]], [[100, 101], [102, 103]], [[7, 7], [7, 7]]]


def test_the_page_has_the_pixels_as_they_are_and_fetches_nothing(stored: Any) -> None:
    folder = stored("one", leakage=rows({-1: 0.5}), reconstructions=pixels(-1, channels=3))
    html = page(gather([folder]))
    found = re.findall(r'<image [^>]*href="data:image/png;base64,([^"]+)"', html)
    images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]
    assert len(images) == 3
    assert images[0].tolist() == [[[0, 4, 8], [1, 5, 9]], [[2, 6, 10], [3, 7, 11]]]
    assert 'id="leakage"' in html


def test_several_settings_have_a_row_each_with_means_over_seeds_and_clients(stored: Any) -> None:
    paths = [
        stored("a1", 1, leakage=rows({-1: 0.9, 0: 0.1, 1: 0.2}), reconstructions=pixels(-1)),
        stored("a2", 2, leakage=rows({-1: 0.9, 0: 0.3, 1: 0.4})),
        stored("b1", 1, framework="sfl", leakage=rows({-1: 0.7})),
    ]
    figure = leakage_figure(gather(paths))
    assert figure is not None
    assert [row[1] for row in figure.table.rows] == ["25.0 %", "70.0 %", "0.0 %"]
    assert len(figure.panels) == 1
    assert figure.caption[0].startswith("Means over up to 2 seeds.")


def test_where_nobody_looked_there_is_no_section(stored: Any) -> None:
    assert leakage_figure(gather([stored("none")])) is None


@pytest.mark.parametrize(("field", "value"), [("y", 10**9), ("original", 256), ("channel", 3)])
def test_pixels_that_cannot_be_are_refused_before_memory_is_set_aside(
    stored: Any, field: str, value: int
) -> None:
    folder = stored(
        "one", leakage=rows({-1: 0.5}), reconstructions=[pixels(-1)[0]._replace(**{field: value})]
    )
    with pytest.raises(ResultsError, match=f"has '{value}' as {field} in row 0"):
        load_results(folder).reconstructions  # noqa: B018
