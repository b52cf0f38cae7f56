"""Fits: known coefficients come back within their stated errors; profiles are written and read alike."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.calibration._fits import CalibrationError
from gapslsim.calibration._prediction import weighted
from gapslsim.calibration._robust import fit_nonnegative
from gapslsim.calibration.calibrate import calibrate, check
from gapslsim.calibration.table import MeasurementTable, TableError, check_table
from gapslsim.hardware.cost_models.linear import Linear
from gapslsim.hardware.cost_models.lookup import Lookup
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.profile_file import profile_text, read_profile, write_profile
from gapslsim.hardware.profiled_device import device_of
from gapslsim.work import Cost, LayerCost

TRUE = {"constant": 1e-4, "flop": 5e-11, "byte": 2e-10, "parameter": 1e-9, "activation": 4e-9}


def costs(random: np.random.Generator, n: int) -> pd.DataFrame:
    batch = random.choice([1, 2, 4, 8, 16, 32], n)
    parameters = np.round(10 ** random.uniform(2, 6, n))
    activations = np.round(10 ** random.uniform(2, 5, n)) * batch
    return pd.DataFrame(
        {
            "device": "board",
            "phase": "forward",
            "kind": "conv2d",
            "work_flop": np.round(10 ** random.uniform(5, 9, n)),
            "moved_bytes": 4 * (parameters + activations) + np.round(10 ** random.uniform(3, 7, n)),
            "n_parameters": parameters,
            "n_activations": activations,
            "batch_size": batch,
        }
    )


def linear_seconds(frame: pd.DataFrame) -> np.ndarray:
    columns = ["work_flop", "moved_bytes", "n_parameters", "n_activations"]
    return TRUE["constant"] + frame[columns].to_numpy() @ np.array(list(TRUE.values())[1:])


def table(frame: pd.DataFrame) -> MeasurementTable:
    return check_table(frame, "measurements.csv")


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_known_coefficients_come_back_within_five_standard_errors(seed: int) -> None:
    """Noise of 5 %, and 5 % gross errors (3 to 20 times too long or too short). The rule: all five within 5 standard
    errors; for independent normal errors that fails once in 350,000 draws."""
    random = np.random.default_rng(seed)
    frame = costs(random, 300)
    design = np.column_stack(
        [
            np.ones(300),
            *(frame[name] for name in ("work_flop", "moved_bytes", "n_parameters", "n_activations")),
        ]
    )
    seconds = linear_seconds(frame) * (1 + 0.05 * random.standard_normal(300))
    gross = random.random(300) < 0.05
    seconds[gross] *= random.choice([1 / 20, 1 / 5, 1 / 3, 3, 5, 20], gross.sum())
    fit = fit_nonnegative(design, seconds)
    truth = np.array(list(TRUE.values()))
    error = np.where(fit.standard_errors > 0, fit.standard_errors, np.inf)
    assert (np.abs(fit.coefficients - truth) <= 5 * error).all()
    assert fit.scale == pytest.approx(0.05, rel=0.3)
    assert (fit.outliers >= gross).mean() > 0.99


def test_stated_errors_are_neither_too_small_nor_too_large() -> None:
    """Over 60 draws, deviations over stated errors have a standard deviation of about one."""
    scores = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        frame = costs(random, 150)
        design = np.column_stack([np.ones(150), frame.work_flop])
        truth = np.array([1e-3, 5e-11])
        seconds = design @ truth * (1 + 0.05 * random.standard_normal(150))
        fit = fit_nonnegative(design, seconds)
        scores += ((fit.coefficients - truth) / fit.standard_errors).tolist()
    assert 0.8 < np.std(scores) < 1.25
    assert abs(np.mean(scores)) < 0.3


def test_an_amount_that_costs_nothing_gets_no_negative_coefficient() -> None:
    random = np.random.default_rng(3)
    frame = costs(random, 200)
    design = np.column_stack([np.ones(200), frame.work_flop, frame.moved_bytes])
    seconds = (1e-4 + 5e-11 * frame.work_flop) * np.exp(0.02 * random.standard_normal(200))
    fit = fit_nonnegative(design, seconds.to_numpy())
    assert (fit.coefficients >= 0).all()
    assert fit.coefficients[2] == pytest.approx(0, abs=2e-12)


def test_of_proportional_amounts_the_last_gets_the_coefficient_whatever_the_scale() -> None:
    random = np.random.default_rng(5)
    amount, other = random.uniform(1e3, 1e6, 80), random.uniform(1.0, 2.0, 80)
    seconds = (2e-6 * amount + 0.5 * other) * random.lognormal(0.0, 0.05, 80)
    for factor in (12.0, 1 / 3, 1e-9):
        fit = fit_nonnegative(np.stack([factor * amount, other, amount], axis=1), seconds)
        alone = fit_nonnegative(np.stack([other, amount], axis=1), seconds)
        assert fit.coefficients[0] == fit.standard_errors[0] == 0.0
        np.testing.assert_allclose(fit.coefficients[1:], alone.coefficients, rtol=1e-6)
        np.testing.assert_allclose(fit.standard_errors[1:], alone.standard_errors, rtol=1e-4)


def test_the_linear_model_is_chosen_for_linear_times_and_its_profile_predicts_them() -> None:
    random = np.random.default_rng(1)
    frame = costs(random, 150)
    frame["time_s"] = linear_seconds(frame) * np.exp(0.02 * random.standard_normal(150))
    done = calibrate(table(frame))
    assert isinstance(done.profile.cost_model, Linear)
    held = done.profile.calibration
    assert held is not None
    assert held.n_points == 150
    assert held.held_out[0].mape < 0.03
    device = device_of(done.profile)
    layer = LayerCost("l", "conv2d", "forward", 1e8, 2e6, 10_000, 50_000, 8)
    expected = 1e-4 + 5e-11 * 1e8 + 2e-10 * 2e6 + 1e-9 * 1e4 + 4e-9 * 5e4
    assert device.duration_s(Cost((layer,))) == pytest.approx(expected, rel=0.03)


def test_a_roofline_comes_back_from_its_own_times() -> None:
    random = np.random.default_rng(2)
    frame = costs(random, 200)
    times = 2e-5 + np.maximum(frame.work_flop / 2e10, frame.moved_bytes / 4e9)
    frame["time_s"] = times * np.exp(0.03 * random.standard_normal(200))
    model = calibrate(table(frame), "roofline").profile.cost_model
    assert isinstance(model, Roofline)
    for figure, truth in (
        (model.forward_rate, 2e10), (model.memory_rate, 4e9), (model.overhead_per_layer, 2e-5),
    ):  # fmt: skip
        assert figure.standard_error is not None
        assert figure.value == pytest.approx(truth, rel=0.05)
        assert abs(figure.value - truth) < 4 * figure.standard_error


def test_layers_timed_together_are_told_apart_by_their_kind() -> None:
    """Twelve networks of two kinds of layers, one four times as slow per FLOP: the fit must find the ratio."""
    random = np.random.default_rng(5)
    rows = []
    for i in range(12):
        flops = {kind: 10 ** random.uniform(7, 9) for kind in ("conv2d", "depthwise")}
        total = flops["conv2d"] / 4e10 + flops["depthwise"] / 1e10
        for place, (kind, flop) in enumerate(flops.items()):
            rows.append({"device": "b", "phase": "forward", "kind": kind, "work_flop": flop, "moved_bytes": 1.0,
                         "batch_size": 1, "sample": f"net {i}", "time_s": np.nan if place else total})  # fmt: skip
    model = calibrate(table(pd.DataFrame(rows)), "linear").profile.cost_model
    assert isinstance(model, Linear)
    slow, fast = (
        model.layer_s(LayerCost("l", kind, "forward", 1e8, 1.0)) for kind in ("depthwise", "conv2d")
    )
    assert slow / fast == pytest.approx(4, rel=0.15)


def curved(frame: pd.DataFrame) -> pd.Series:
    return 1e-3 + 1e-11 * frame.work_flop * (1 + 3 / (1 + (frame.work_flop / 1e7) ** 0.7))


def test_a_lookup_follows_a_curve_that_no_line_follows_and_leads_on_beyond_it() -> None:
    random = np.random.default_rng(4)
    frame = costs(random, 200)
    frame["time_s"] = curved(frame) * np.exp(0.01 * random.standard_normal(200))
    done = calibrate(table(frame))
    model = done.profile.cost_model
    assert isinstance(model, Lookup)
    assert done.headline["lookup"] < 0.5 * done.headline["linear"]
    far = [
        model.layer_s(LayerCost("l", "conv2d", "forward", flop, 1e7, 10_000, 50_000, 8))
        for flop in (1e9, 1e10, 1e11)
    ]
    assert far == sorted(far)
    assert far[2] / far[1] == pytest.approx(10, rel=0.1)


def test_three_points_are_too_few() -> None:
    frame = costs(np.random.default_rng(0), 3)
    frame["time_s"] = 1e-3
    with pytest.raises(CalibrationError, match=r"3 measured computations of board are too few.*at least 10"):
        calibrate(table(frame))


def test_a_profile_written_and_read_and_written_is_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    frame = costs(random, 60)
    frame["time_s"] = curved(frame)
    for model in ("linear", "roofline", "lookup"):
        profile = calibrate(table(frame), model).profile
        write_profile(profile, tmp_path / "board.yaml")
        again = read_profile(tmp_path / "board.yaml")
        assert again == profile
        assert profile_text(again) == (tmp_path / "board.yaml").read_text()


def test_jitter_power_and_overhead_per_call_come_from_their_rows() -> None:
    random = np.random.default_rng(7)
    base = costs(random, 30)
    base["time_s"] = linear_seconds(base)
    frame = pd.concat([base] * 8, ignore_index=True)
    frame["time_s"] *= np.exp(0.1 * random.standard_normal(len(frame)))
    frame["power_w"] = 6.0
    extra = pd.DataFrame(
        [{"device": "board", "phase": "forward", "kind": "call", "time_s": 1e-3, "batch_size": 1}] * 3
        + [{"device": "board", "phase": "forward", "kind": "idle", "time_s": 5.0, "power_w": 2.0}]
    )
    profile = calibrate(table(pd.concat([frame, extra], ignore_index=True)), "linear").profile
    sigma = profile.jitter.sigma
    assert sigma.standard_error is not None
    assert sigma.value == pytest.approx(0.1, abs=4 * sigma.standard_error)
    assert (profile.power.compute.value, profile.power.idle.value) == (6.0, 2.0)
    assert profile.power.send.status == "assumed"
    assert profile.cost_model.call_s == 1e-3


def test_errors_on_other_rows_are_those_of_the_profile() -> None:
    frame = costs(np.random.default_rng(8), 60)
    frame["time_s"] = linear_seconds(frame)
    profile = calibrate(table(frame), "linear").profile
    frame["time_s"] *= 1.25
    errors = check(profile.cost_model, table(frame))[2]
    assert errors[0].mape == pytest.approx(0.2, abs=0.002)
    assert errors[0].median == pytest.approx(0.2, abs=0.002)


def test_use_outside_the_fitted_range_is_said_once_with_how_far(caplog: pytest.LogCaptureFixture) -> None:
    frame = costs(np.random.default_rng(9), 60)
    frame["time_s"] = linear_seconds(frame)
    high = float(frame.work_flop.max())
    device = device_of(calibrate(table(frame), "linear").profile)
    typical = {"moved_bytes": 1e6, "n_parameters": 1000, "n_activations": 10_000, "batch_size": 8}
    inside = LayerCost("in", "conv2d", "forward", high / 2, **typical)  # type: ignore[arg-type]
    beyond = LayerCost("out", "conv2d", "forward", high * 10, **typical)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        device.duration_s(Cost((inside,)))
        assert not caplog.records
        device.duration_s(Cost((beyond,)))
        device.duration_s(Cost((beyond,)))
    (record,) = caplog.records
    assert "10 times above the" in record.getMessage()
    assert device.outside[0][0] == pytest.approx(10)


def test_the_headline_is_weighted_by_time_and_tells_the_error_of_the_sum() -> None:
    """Tiny layers three times too short or long, one of 1 s that is 1 % off: 0.0106 of 1.003 s, not 51 %."""
    seconds = np.array([1e-3, 1e-3, 1e-3, 1.0])
    error = weighted("by hand", np.array([2e-3, 1e-3, 1.4e-3, 1.01]), seconds)
    assert error.mape == pytest.approx((1 + 0 + 0.4 + 0.01) / 4, rel=1e-3)
    assert error.time_weighted == pytest.approx((1e-3 + 0.4e-3 + 1e-2) / 1.003, rel=1e-3)
    assert error.bias == pytest.approx(1.0144 / 1.003 - 1, rel=1e-2)


def test_the_choice_of_model_goes_by_time_and_not_by_tiny_computations() -> None:
    """Tiny layers follow no line, long ones do: the mean error prefers the lookup, time the line."""
    random = np.random.default_rng(11)
    flop = np.r_[np.linspace(1e4, 1e5, 40), np.linspace(1e9, 1e10, 40)]
    seconds = np.where(flop < 1e6, 1e-6 * (1 + flop / 1e5) ** 6, flop / 1e10)
    frame = pd.DataFrame(
        {"device": "b", "phase": "forward", "kind": "conv2d", "work_flop": flop, "moved_bytes": flop / 100,
         "batch_size": 8, "time_s": seconds * np.exp(0.02 * random.standard_normal(80))}
    )  # fmt: skip
    done = calibrate(table(frame))
    held = done.profile.calibration
    assert held is not None
    assert held.held_out[0].time_weighted == pytest.approx(min(done.headline.values()), rel=0.02)
    assert held.held_out[0].time_weighted < 0.1 * held.held_out[0].mape


def test_errors_are_told_for_each_phase_and_few_computations_are_called_extrapolation() -> None:
    random = np.random.default_rng(12)
    forward = costs(random, 40)
    pool = costs(random, 5).assign(kind="pool")
    frame = pd.concat([forward, forward.assign(phase="backward"), pool], ignore_index=True)
    frame["time_s"] = linear_seconds(frame)
    done = calibrate(table(frame), "linear")
    held = done.profile.calibration
    assert held is not None
    assert [(one.group, one.n_points) for one in held.held_out][:3] == [
        ("", 85),
        ("forward", 45),
        ("backward", 40),
    ]
    (note,) = [note for note in done.notes if note.startswith("Extrapolation")]
    assert "forward pool (5)" in note
    assert "conv2d" not in note


def test_a_roofline_needs_flop_and_bytes_and_auto_does_without_it() -> None:
    frame = costs(np.random.default_rng(3), 40)
    frame["time_s"] = linear_seconds(frame)
    for column in ("work_flop", "moved_bytes"):
        lacking = table(frame.assign(**{column: 0.0}))
        with pytest.raises(CalibrationError, match=f"no measured computation has {column} above 0"):
            calibrate(lacking, "roofline")
        assert not isinstance(calibrate(lacking).profile.cost_model, Roofline)


def test_columns_of_categories_are_read_as_texts() -> None:
    frame = costs(np.random.default_rng(3), 40)
    frame["time_s"] = linear_seconds(frame)
    names = frame.assign(phase=frame.phase.astype("category"), kind=frame.kind.astype("category"))
    assert calibrate(table(names), "linear").profile == calibrate(table(frame), "linear").profile


@pytest.mark.parametrize("column", ["work_flop", "moved_bytes", "time_s"])
def test_an_amount_that_no_unit_explains_is_refused(column: str) -> None:
    frame = costs(np.random.default_rng(3), 40)
    frame["time_s"] = linear_seconds(frame)
    frame.loc[3, column] = 1e-300
    with pytest.raises(
        TableError, match=f"measurements.csv:5: {column}: cannot be 1e-300, less than .* unit"
    ):
        table(frame)
