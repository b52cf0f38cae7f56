"""Cost models fitted group by group: which group answers, and what a layer then takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gapslsim.hardware.cost_models.linear import Linear
from gapslsim.hardware.cost_models.lookup import Interpolation, Lookup, LookupGroup
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import Jump, Trend
from gapslsim.work import Cost, LayerCost


def figure(value: float) -> Figure[float]:
    return Figure(value=value, status="fitted", source="worked out by hand")


def group(phase: Any, kind: str, **terms: float) -> Trend:
    return Trend(phase=phase, layer_kind=kind, terms={name: figure(v) for name, v in terms.items()})  # type: ignore[misc]


def layer(phase: Any = "forward", kind: str = "conv2d", flop: float = 6e6, moved: float = 1e6) -> LayerCost:
    return LayerCost("l", kind, phase, flop, moved, 1000, 2000, 4)


def linear(*groups: Trend) -> Linear:
    return Linear(groups=groups, overhead_per_call=figure(0.5))


def test_terms_add_up() -> None:
    model = linear(
        group("", "", constant=1.0, flop=1e-6, byte=1e-6, parameter=1e-3, activation=1e-3, reuse=1e-3)
    )
    # 1 + 6 + 1 + 1 + 2 + 6e6 / (4 * 1000) * 1e-3
    assert model.layer_s(layer()) == pytest.approx(12.5)
    assert model.duration_s(Cost((layer(), layer()))) == pytest.approx(0.5 + 25)


def test_a_layer_is_answered_by_its_phase_and_kind_then_by_its_phase_then_by_any() -> None:
    model = linear(
        group("forward", "conv2d", constant=1.0),
        group("forward", "", constant=2.0),
        group("backward", "", constant=3.0),
        group("", "", constant=4.0),
    )
    assert model.layer_s(layer()) == 1.0
    assert model.layer_s(layer(kind="conv2d/3x3")) == 1.0
    assert model.layer_s(layer(kind="norm")) == 2.0
    assert model.layer_s(layer("backward")) == 3.0
    assert model.layer_s(layer("other", "gram")) == 4.0
    assert model.layer_s(layer(flop=0, moved=0)) == 0.0


def test_a_whole_training_step_is_shared_out_to_its_passes() -> None:
    """A layer of 6 MFLOP forward and 12 backward: its step has 18 and takes 18 s, a third of it forward."""
    model = linear(group("training", "conv2d", flop=1e-6), group("training", "", flop=1e-6))
    assert model.layer_s(layer(flop=6e6)) == pytest.approx(6.0)
    assert model.layer_s(layer("backward", flop=12e6)) == pytest.approx(12.0)
    assert model.layer_s(layer("update", "optimizer")) == 0.0


def test_a_jump_costs_beyond_its_threshold_only() -> None:
    jump = Jump(quantity="activation", above=2000, constant=figure(5.0), per_parameter=figure(1e-3))
    model = linear(Trend(terms={"constant": figure(1.0)}, jumps=(jump,)))
    assert model.layer_s(layer()) == 1.0
    more = LayerCost("l", "conv2d", "forward", 6e6, 1e6, 1000, 2001, 4)
    assert model.layer_s(more) == 7.0


def lookup(points: list[tuple[float, ...]]) -> Lookup:
    how = Interpolation(
        coordinates=("work_flop",), length_scales=(1.0,), amplitude=1.0, noise=1e-4, noise_s=0.0
    )
    held = LookupGroup(terms={"flop": figure(1e-6)}, interpolations=(how,), points=points)  # type: ignore[arg-type]
    return Lookup(groups=(held,), overhead_per_call=figure(0.0))


def test_a_lookup_gives_back_its_points_and_keeps_its_correction_beyond_them() -> None:
    flops = np.geomspace(1e6, 1e9, 7)
    points = [(flop, 1e6, 1000.0, 2000.0, 4.0, 2e-6 * flop * (1 + i)) for i, flop in enumerate(flops)]
    model = lookup(points)  # type: ignore[arg-type]
    for flop, *_, seconds in points:
        assert model.layer_s(layer(flop=flop)) == pytest.approx(seconds, rel=1e-3)
    # the last point takes 14 times the line; ten times as large a layer does as well
    assert model.layer_s(layer(flop=1e10)) == pytest.approx(14 * 1e4, rel=1e-3)


def test_efficiencies_go_by_phase_and_kind_first() -> None:
    model = Roofline(
        forward_rate=figure(1e9),
        backward_rate=figure(1e9),
        memory_rate=figure(1e9),
        overhead_per_layer=figure(0.0),
        overhead_per_call=figure(0.0),
        efficiency={"conv2d": figure(0.5), "backward conv2d": figure(0.25)},
        memory_efficiency={"norm": figure(0.1)},
    )
    assert model.layer_s(layer(flop=1e9)) == pytest.approx(2.0)
    assert model.layer_s(layer("backward", flop=1e9)) == pytest.approx(4.0)
    assert model.layer_s(layer(kind="norm", flop=1.0, moved=1e9)) == pytest.approx(10.0)
