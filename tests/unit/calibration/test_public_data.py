"""Held-out errors on public data: what the calibration must reach, beside the data's own baselines."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from gapslsim.calibration.public_tables import convert
from gapslsim.calibration.samples import select_rows
from gapslsim.calibration.splits import run_split
from gapslsim.calibration.table import check_table

pytestmark = pytest.mark.data
PHONES = ("Google Nexus 6", "Xiaomi Redmi Note 8")
LAYERS = ("embedding", "lstm", "output")


@cache
def flash(data: Path) -> pd.DataFrame:
    return convert("flash", data / "training" / "flash_layer_train_time.csv.gz")


@cache
def ncnn(data: Path) -> pd.DataFrame:
    return convert("ncnn", data / "latency" / "ncnn_benchmark.csv")


def errors(frame: pd.DataFrame, split: str, model: str) -> dict[str, float]:
    table = check_table(frame.reset_index(drop=True), "public")
    done = run_split(split, select_rows(table), model)
    return {error.group or "all": error.mape for error in done.errors}


@pytest.mark.parametrize("phone", PHONES)
def test_one_percent_of_flash_predicts_the_rest_within_12_percent(phone: str, public_data: Path) -> None:
    rows = flash(public_data)
    found = errors(rows[rows.device == phone], "random_1pct", "lookup")
    assert {f"training {layer}" for layer in LAYERS} < set(found)
    for layer in LAYERS:
        assert found[f"training {layer}"] <= 0.12


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("phone", PHONES)
def test_sizes_beyond_the_fit_are_never_predicted_worse_than_by_the_best_simple_fit(
    phone: str, layer: str, public_data: Path
) -> None:
    """Lookup alone, for speed; `analysis/flash_errors.py --check` has the model chosen on the rows of the fit."""
    rows = flash(public_data)
    found = errors(rows[(rows.device == phone) & (rows.kind == layer)], "extrapolate_sizes", "lookup")
    listed = pd.read_csv(public_data / "baselines.csv")
    listed = listed[(listed.group == f"{phone} | {layer}") & (listed.split == "extrapolate_sizes")]
    assert len(listed) == 6
    assert round(100 * found["all"], 2) <= listed.mape_pct.min()


@pytest.mark.parametrize(("board", "limit"), [("rpi4b", 0.2349), ("jetson-nano", 0.1786)])
def test_a_network_is_predicted_from_the_others_better_than_by_the_baselines(
    board: str, limit: float, public_data: Path
) -> None:
    rows = ncnn(public_data)
    rows = rows[(rows.device == board) & (rows.power_mode == "cpu") & (rows.threads == 4)]
    assert errors(rows, "leave_one_out", "linear")["all"] < limit - 0.01


@pytest.mark.parametrize("framework", ["litert", "onnx"])
def test_a_hundred_networks_on_pi_5_predict_six_thousand_within_5_percent(
    framework: str, public_data: Path
) -> None:
    rows = convert("nasbench", public_data / "latency" / "nasbench201_pi5_pixel.parquet")
    picked = rows[(rows.device == "pi5") & (rows.runtime == f"{framework} cifar100")]
    assert errors(picked, "100_archs", "linear")["all"] < 0.05
