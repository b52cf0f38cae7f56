"""A device as it may be: which figures move together, and by how much."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gapslsim.hardware.drawn import causes_of, drawn
from gapslsim.hardware.profile import profile_schema
from gapslsim.hardware.profiled_device import ProfiledDevice, device_of
from gapslsim.work import Cost, LayerCost, Phase


def figure(value: float, **more: Any) -> dict[str, Any]:
    return {"value": value, "status": "published", "source": "chosen for the test"} | more


def device(mode: str | None = None, **sections: Any) -> ProfiledDevice:
    """Rates of 100 and 50 FLOP/s, each within a factor of 2; overheads of 1 s per call, within a factor of 3."""
    made: dict[str, Any] = {
        "name": "toy",
        "description": "A device for tests.",
        "memory": {"total": figure(2e9), "usable": figure(1e9)},
        "cost_model": {
            "kind": "roofline",
            "forward_rate": figure(100.0, low=50.0, high=200.0),
            "backward_rate": figure(50.0, low=25.0, high=100.0),
            "memory_rate": figure(1e9, low=1e9, high=1e9),
            "overhead_per_layer": figure(0.0),
            "overhead_per_call": figure(1.0, low=1 / 3, high=3.0),
        },
        "jitter": {"sigma": figure(0)},
        "power": {state: figure(2.0, low=1.0, high=4.0) for state in ("idle", "compute", "send", "receive")},
    }
    return device_of(profile_schema().validate_python(made | sections), mode)


def seconds(made: ProfiledDevice, phase: Phase) -> float:
    return made.duration_s(Cost((LayerCost("one", "linear", phase, 100.0, 1.0),)))


def all_at(z: float) -> Any:
    return lambda cause: z


Z = 1.6448536269514722


def test_at_the_end_of_their_ranges_rates_overheads_and_power_are_what_the_profile_says() -> None:
    fast = drawn(device(), all_at(Z))
    assert seconds(fast, "forward") == pytest.approx(3 + 100 / 200)
    assert seconds(fast, "backward") == pytest.approx(3 + 100 / 100)
    assert fast.power.idle_w == pytest.approx(4)
    slow = drawn(device(), all_at(-Z))
    assert seconds(slow, "forward") == pytest.approx(1 / 3 + 100 / 50)
    assert seconds(drawn(device(), all_at(0.0)), "forward") == seconds(device(), "forward")


def test_forward_and_backward_share_a_cause_and_overheads_have_their_own() -> None:
    asked: set[str] = set()
    drawn(device(), lambda cause: asked.add(cause) or 0.0)
    assert asked == {"rates", "memory", "overheads", "power"} == set(causes_of(device()))


def test_what_the_profile_knows_of_whole_phases_goes_before_the_ranges_of_figures() -> None:
    known = {"source": "held-out steps", "forward": 0.1, "power": 0.05}
    made = drawn(device(uncertainty=known), all_at(1.0))
    # The whole pass but for the call, and nothing of the rate's own range beside it.
    assert seconds(made, "forward") == pytest.approx(3 ** (1 / Z) + math.exp(-0.1))
    assert seconds(made, "backward") == pytest.approx(3 ** (1 / Z) + 2 / 2 ** (1 / Z))
    assert made.power.send_w == pytest.approx(2 * math.exp(0.05))


def test_the_coefficients_of_a_fit_are_one_error_that_of_its_held_out_times() -> None:
    fit = {
        "kind": "linear",
        "groups": [{"terms": {"constant": figure(1.0), "flop": figure(0.01)}}],
        "overhead_per_call": figure(0.0),
    }
    error = {"split": "5-fold", "n_points": 9, "mape": 0.08, "median": 0.05, "p95": 0.2}
    calibration = {"data": "chosen", "n_points": 9, "held_out": [error]}
    made = drawn(device(cost_model=fit, calibration=calibration), all_at(-1.0))
    assert seconds(made, "backward") == pytest.approx(2 * math.exp(0.08 * math.sqrt(math.pi / 2)))


def test_a_calibrated_profile_has_the_error_of_each_phase_weighted_by_time() -> None:
    def error(group: str, time_weighted: float) -> dict[str, Any]:
        shares = {"mape": 0.9, "median": 0.5, "p95": 2.0, "time_weighted": time_weighted, "bias": 0.0}
        return {"split": "5-fold", "group": group, "n_points": 9} | shares

    held_out = [error("", 0.1), error("forward", 0.04), error("backward", 0.0), error("forward conv2d", 0.3)]
    made = drawn(device(calibration={"data": "chosen", "n_points": 9, "held_out": held_out}), all_at(-1.0))
    call = 3 ** (-1 / Z)
    assert seconds(made, "forward") == pytest.approx(call + math.exp(0.04 * math.sqrt(math.pi / 2)))
    assert seconds(made, "backward") == pytest.approx(call + 2 * math.exp(0.02))
    assert seconds(made, "other") == pytest.approx(call + math.exp(0.1 * math.sqrt(math.pi / 2)))


def test_a_power_mode_is_drawn_by_its_own_figures() -> None:
    eco = {"description": "Half.", "power": {s: figure(1.0, low=0.5, high=2.0) for s in
                                             ("idle", "compute", "send", "receive")}}  # fmt: skip
    made = drawn(device("eco", modes={"eco": eco}), all_at(Z))
    assert made.name == "toy@eco"
    assert made.power.compute_w == pytest.approx(2)
    assert seconds(made, "forward") == pytest.approx(3 + 100 / 200)


def test_overheads_beside_computing_are_longer_together_and_stay_possible() -> None:
    even = {"low": 0.5, "high": 2.0}
    beside = {
        "serialise_rate": figure(1.0, **even),
        "per_iteration": figure(1.0, **even),
        "cold": {"after": figure(1.0, **even), "factor": figure(1.2, low=1.1, high=1.5)},
        "background_load": figure(0.8, low=0.5, high=0.9),
    }
    longer, shorter = (drawn(device(overheads=beside), all_at(z)).overheads for z in (20 * Z, -20 * Z))
    assert longer.per_iteration is not None
    assert longer.serialise_rate is not None
    assert longer.per_iteration.value * longer.serialise_rate.value == pytest.approx(1)
    assert longer.per_iteration.value > 1 > longer.serialise_rate.value
    assert longer.background_load is not None
    assert longer.background_load.value == pytest.approx(0.9)
    assert shorter.cold is not None
    assert shorter.cold.factor.value > 1


def test_the_weakest_status_of_a_cause_is_told() -> None:
    model = device().profile.cost_model
    told = causes_of(device())
    assert model is not None
    assert told["rates"] == "published"
    guessed = {state: figure(2.0) for state in ("idle", "compute", "send")}
    guessed["receive"] = figure(2.0, status="assumed")
    assert causes_of(device(power=guessed))["power"] == "assumed"
    assert causes_of(device(uncertainty={"source": "steps", "power": 0.1}))["power"] == "held-out errors"
