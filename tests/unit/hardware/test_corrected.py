"""Factors on the durations of phases."""

from dataclasses import replace

from gapslsim.hardware.corrected import Corrections
from gapslsim.hardware.devices import load_device, load_profile, with_profiles
from gapslsim.hardware.figure import Figure
from gapslsim.work import Cost, LayerCost

FORWARD = Cost((LayerCost("a", "conv2d", "forward", 1e9, 1e6),))
BACKWARD = Cost((LayerCost("a", "conv2d", "backward", 2e9, 2e6),))


def _times(value: float) -> Figure[float]:
    return Figure(value=value, status="fitted", source="a test")


def test_each_phase_has_its_own_factor_and_passes_another() -> None:
    plain = load_device("jetson-nano")
    profile = load_profile("jetson-nano")
    call_s = plain.cost_model.call_s
    corrected = replace(profile, corrections=Corrections(forward=_times(2.0), per_call=_times(3.0)))
    with with_profiles({"jetson-nano": corrected}):
        device = load_device("jetson-nano")
        slow = load_device("jetson-nano@5w")
    assert device.duration_s(FORWARD) == 2 * (plain.duration_s(FORWARD) - call_s) + 3 * call_s
    assert device.duration_s(BACKWARD) == (plain.duration_s(BACKWARD) - call_s) + 3 * call_s
    usual = load_device("jetson-nano@5w")
    per_call = usual.cost_model.call_s
    assert slow.duration_s(FORWARD) == 2 * (usual.duration_s(FORWARD) - per_call) + 3 * per_call
    assert load_device("jetson-nano").duration_s(FORWARD) == plain.duration_s(FORWARD)
