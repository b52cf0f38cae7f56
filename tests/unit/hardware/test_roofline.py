"""The roofline by hand: rates of 100 and 50 GFLOP/s, 10 GB/s, 1 ms per layer, 10 ms per call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.work import Cost, LayerCost, Phase


def figure(value: float) -> Figure[float]:
    return Figure(value=value, status="assumed", source="chosen for the test")


ROOFLINE = Roofline(
    forward_rate=figure(100e9),
    backward_rate=figure(50e9),
    memory_rate=figure(10e9),
    overhead_per_layer=figure(1e-3),
    overhead_per_call=figure(10e-3),
)


def layer(flop: float, n_bytes: float, phase: Phase = "forward", kind: str = "conv2d") -> LayerCost:
    return LayerCost("a", kind, phase, flop, n_bytes)


def test_a_layer_with_much_arithmetic_is_bound_by_its_rate() -> None:
    # 2 GFLOP at 100 GFLOP/s is 20 ms, 0.1 GB at 10 GB/s is 10 ms: 1 + 20.
    assert ROOFLINE.layer_s(layer(2e9, 0.1e9)) == pytest.approx(0.021, abs=1e-15)


def test_a_layer_with_little_arithmetic_is_bound_by_memory() -> None:
    # 0.1 GFLOP is 1 ms, 0.5 GB is 50 ms: 1 + 50.
    assert ROOFLINE.layer_s(layer(0.1e9, 0.5e9)) == pytest.approx(0.051, abs=1e-15)


def test_backward_passes_have_their_own_rate() -> None:
    # 2 GFLOP at 50 GFLOP/s is 40 ms.
    assert ROOFLINE.layer_s(layer(2e9, 0.1e9, "backward")) == pytest.approx(0.041, abs=1e-15)


@pytest.mark.parametrize("phase", ["update", "other"])
def test_update_and_other_use_the_forward_rate_unless_they_have_their_own(phase: Phase) -> None:
    assert ROOFLINE.layer_s(layer(2e9, 0, phase)) == ROOFLINE.layer_s(layer(2e9, 0))
    own = replace(ROOFLINE, update_rate=figure(20e9), other_rate=figure(20e9))
    assert own.layer_s(layer(2e9, 0, phase)) == pytest.approx(0.101, abs=1e-15)
    assert own.layer_s(layer(2e9, 0)) == ROOFLINE.layer_s(layer(2e9, 0))


def test_efficiency_scales_the_rate_of_its_kind_only_and_not_the_memory() -> None:
    half = replace(ROOFLINE, efficiency={"linear": figure(0.5)})
    assert half.layer_s(layer(2e9, 0, kind="linear")) == pytest.approx(0.041, abs=1e-15)
    assert half.layer_s(layer(2e9, 0, kind="conv2d")) == pytest.approx(0.021, abs=1e-15)
    assert half.layer_s(layer(0, 0.5e9, kind="linear")) == pytest.approx(0.051, abs=1e-15)


def test_a_layer_without_flop_and_bytes_takes_no_time() -> None:
    assert ROOFLINE.layer_s(layer(0, 0, kind="reshape")) == 0


def test_a_call_pays_its_overhead_once_and_each_layer_its_own() -> None:
    # call 10 + (1 + 20) + (1 + 50) ms
    cost = Cost((layer(2e9, 0.1e9), layer(0.1e9, 0.5e9)))
    assert ROOFLINE.duration_s(cost) == pytest.approx(0.082, abs=1e-15)


def test_repeats_pay_the_overhead_of_the_call_each_time() -> None:
    assert ROOFLINE.duration_s(Cost((layer(2e9, 0),), repeats=3)) == pytest.approx(3 * 0.031, abs=1e-15)
    assert ROOFLINE.duration_s(Cost((layer(2e9, 0),)).times(3)) == pytest.approx(3 * 0.031, abs=1e-15)


def test_parts_are_calls_of_their_own_inside_the_repeats() -> None:
    forward, backward = Cost((layer(2e9, 0),)), Cost((layer(2e9, 0, "backward"),))
    assert ROOFLINE.duration_s(forward + backward) == pytest.approx(0.031 + 0.051, abs=1e-15)
    # 5 times: own layer (call 10 + 21) and twice backward (10 + 41)
    nested = Cost((layer(2e9, 0),), repeats=5, parts=(backward.times(2),))
    assert ROOFLINE.duration_s(nested) == pytest.approx(5 * (0.031 + 2 * 0.051), abs=1e-14)


def test_a_node_that_only_groups_parts_costs_nothing_itself() -> None:
    assert ROOFLINE.duration_s(Cost()) == 0
    assert ROOFLINE.duration_s(Cost(parts=(Cost(), Cost(repeats=7)))) == 0


amounts = st.floats(min_value=0, max_value=1e15)


@given(flop=amounts, n_bytes=amounts, more_flop=amounts, more_bytes=amounts)
def test_more_work_never_takes_less_time(
    flop: float, n_bytes: float, more_flop: float, more_bytes: float
) -> None:
    less = ROOFLINE.layer_s(layer(flop, n_bytes))
    assert ROOFLINE.layer_s(layer(flop + more_flop, n_bytes)) >= less
    assert ROOFLINE.layer_s(layer(flop, n_bytes + more_bytes)) >= less
    assert less >= 0


@given(flops=st.lists(st.floats(min_value=1, max_value=1e12), min_size=1, max_size=5), n=st.integers(1, 9))
def test_the_tree_takes_as_long_as_its_flat_list_and_its_calls(flops: list[float], n: int) -> None:
    cost = Cost(tuple(layer(flop, 0) for flop in flops)).times(n) + Cost((layer(1e9, 1e9),))
    by_hand = sum(ROOFLINE.layer_s(one) * times for one, times in cost.flat()) + (n + 1) * 0.010
    assert ROOFLINE.duration_s(cost) == pytest.approx(by_hand, rel=1e-12)
