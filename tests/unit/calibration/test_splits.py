"""Regimes: jumps of time at a size that no line shows, found from the points; and what leads on beyond them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim.calibration._splits import find_splits
from gapslsim.calibration.calibrate import calibrate
from gapslsim.calibration.table import check_table
from gapslsim.hardware.cost_models.lookup import Lookup, LookupGroup
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import Trend
from gapslsim.hardware.profile_file import profile_text, read_profile, write_profile
from gapslsim.hardware.terms import COST_COLUMNS
from gapslsim.work import LayerCost


def dense(n: int, seed: int = 0) -> pd.DataFrame:
    """Steps of dense layers: inputs, outputs and batches drawn from a grid."""
    random = np.random.default_rng(seed)
    inputs, outputs = (random.integers(1, 21, n) * 50 for _ in range(2))
    batch = random.integers(1, 11, n) * 5
    parameters = inputs * outputs
    return pd.DataFrame(
        {"device": "phone", "phase": "training", "kind": "linear", "work_flop": 6.0 * parameters * batch,
         "moved_bytes": 4.0 * (parameters + batch * (inputs + outputs)), "n_parameters": parameters,
         "n_activations": batch * outputs, "batch_size": batch, "inputs": inputs}
    )  # fmt: skip


def columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: frame[name].to_numpy(float) for name in COST_COLUMNS}


def test_a_jump_at_a_width_is_found_where_it_is_and_a_second_one_too() -> None:
    frame = dense(200)
    noise = 0.05 * np.random.default_rng(1).standard_normal(200)
    values = np.log(2.0) * (frame.inputs > 300) + np.log(0.6) * (frame.batch_size > 35) + noise
    found = {split.quantity: split.above for split in find_splits(columns(frame), values.to_numpy())}
    # The input has 4 bytes per number; thresholds are the geometric mean of the sizes beside them.
    assert found["sample_input"] / 4 == pytest.approx(np.sqrt(300 * 350), rel=1e-5)
    assert found["batch_size"] == pytest.approx(np.sqrt(35 * 40), rel=1e-5)
    assert len(found) == 2


def test_noise_and_a_few_gross_errors_are_no_jump() -> None:
    frame = dense(200)
    for seed in range(20):
        random = np.random.default_rng(seed)
        values = 0.1 * random.standard_normal(200)
        values[random.permutation(200)[:6]] += 2.0
        assert find_splits(columns(frame), values) == ()


def test_a_regime_that_no_line_follows_is_predicted_on_layers_that_were_not_measured() -> None:
    """A kernel twice as slow for less than 320 inputs. The interpolation alone is off by three times as much."""
    frame, other = dense(200), dense(400, seed=1)
    for made in (frame, other):
        made["time_s"] = (1e-3 + made.work_flop / 1e10) * np.where(made.inputs > 320, 1.0, 2.0)
    frame["time_s"] *= np.exp(0.02 * np.random.default_rng(2).standard_normal(200))
    made = calibrate(check_table(frame.drop(columns="inputs"), "t"), "lookup")
    (group,) = [one for one in made.profile.cost_model.groups if one.layer_kind]  # type: ignore[attr-defined]
    assert "sample_input" in [split.quantity for split in group.splits]
    error = np.abs(group.seconds(columns(other)) / other.time_s - 1)
    assert error.mean() < 0.05


def test_splits_and_the_line_beyond_are_written_and_read_alike(tmp_path: Path) -> None:
    frame = dense(60)
    # A table that is looked up: bound by the memory, so that a line leads on.
    frame["work_flop"] = frame.n_activations * 6.0
    frame["time_s"] = (1e-3 + frame.n_parameters / 1e8) * np.where(frame.batch_size > 25, 1.0, 2.5)
    profile = calibrate(check_table(frame.drop(columns="inputs"), "t"), "lookup").profile
    (group,) = [one for one in profile.cost_model.groups if one.layer_kind]  # type: ignore[attr-defined]
    assert group.splits
    assert group.beyond is not None
    path = tmp_path / "phone.yaml"
    write_profile(profile, path)
    assert read_profile(path) == profile
    assert profile_text(read_profile(path)) == path.read_text()


def test_beyond_the_points_the_line_takes_over_over_a_factor_of_two() -> None:
    """Measured: 2 ns per FLOP up to 1 MFLOP. The line says 1 ns; a factor of 2 outside the points count for 1 / e."""

    def figure(value: float) -> Figure[float]:
        return Figure(value=value, status="fitted", source="by hand")

    points = tuple((flop, flop / 10, 0.0, 0.0, 1.0, 2e-9 * flop) for flop in (1e5, 3e5, 1e6))
    settings = {"length_scales": (1.0,), "amplitude": 0.1, "noise": 0.1, "noise_s": 0.0}
    group = LookupGroup(
        terms={"flop": figure(2e-9)},
        interpolations=({"coordinates": ("work_flop",), **settings},),  # type: ignore[arg-type]
        points=points,
        beyond=Trend(terms={"flop": figure(1e-9)}),
    )
    model = Lookup(groups=(group,), overhead_per_call=figure(0.0))

    def per_flop(flop: float) -> float:
        return model.layer_s(LayerCost("l", "conv2d", "forward", flop, flop / 10)) / flop

    assert per_flop(5e5) == pytest.approx(2e-9)
    assert per_flop(2e6) == pytest.approx(1e-9 * 2 ** np.exp(-1))
    assert per_flop(1e12) == pytest.approx(1e-9, rel=1e-5)
