"""Broken profiles: every problem, with file, line, path, value and fix. And the round trip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.errors import ComponentError
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.devices import known_devices, load_profile
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Calibration, FittedRange, HeldOutError
from gapslsim.hardware.profile_file import ProfileError, profile_text, read_profile, write_profile
from gapslsim.hardware.profiled_device import device_of


def figure(value: object, source: str = "chosen for the test") -> dict[str, Any]:
    return {"value": value, "status": "assumed", "source": source}


def heat(*slowing: object) -> dict[str, Any]:
    return {"slowing": [*slowing], "recovery": 0.5, "status": "assumed", "source": "chosen for the test"}


def good() -> dict[str, Any]:
    return {
        "name": "toy",
        "description": "A device for tests.",
        "memory": {"total": figure("2 GB"), "usable": figure("1 GB")},
        "cost_model": {
            "kind": "roofline",
            "forward_rate": figure("100 GFLOP/s"),
            "backward_rate": figure("50 GFLOP/s"),
            "memory_rate": figure("10 GB/s"),
            "overhead_per_layer": figure("1 ms"),
            "overhead_per_call": figure("10 ms"),
        },
        "jitter": {"sigma": figure(0)},
        "power": {state: figure("1 W") for state in ("idle", "compute", "send", "receive")},
    }


def put(data: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for key in parents:
        data = data.setdefault(key, {})
    data[last] = value


def messages(data: object, folder: Path) -> list[str]:
    file = folder / "toy.yaml"
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(ProfileError) as error:
        read_profile(file)
    assert str(error.value) == "\n".join(str(problem) for problem in error.value.problems)
    for problem in error.value.problems:
        assert problem.file == str(file)
        assert problem.line is not None
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


BROKEN = {
    "wrong unit": ("cost_model.forward_rate.value", "94 Gbit/s", "'Gbit/s' is not a unit of FLOP/s"),
    "missing unit": ("cost_model.forward_rate.value", 94e9, "has no unit; write it with its unit"),
    "negative rate": ("cost_model.backward_rate.value", "-5 GFLOP/s", "'-5 GFLOP/s' is negative"),
    "zero rate": ("cost_model.memory_rate.value", "0 GB/s", "is zero; it must be more"),
    "NaN rate": ("cost_model.forward_rate.value", float("nan"), "nan is not a quantity in FLOP/s"),
    "infinite rate": ("cost_model.forward_rate.value", float("inf"), "inf is not a quantity"),
    "NaN jitter": ("jitter.sigma.value", float("nan"), "finite number, found nan"),
    "negative jitter": ("jitter.sigma.value", -0.1, "greater than or equal to 0, found -0.1"),
    "huge jitter": ("jitter.sigma.value", 1.5, "less than 1, found 1.5"),
    "unknown distribution": ("jitter.distribution", "normal", "should be 'lognormal', found 'normal'"),
    "empty source": ("power.idle.source", "  ", "is empty; say it in words"),
    "unknown status": ("power.idle.status", "guessed", "'measured', 'published', 'fitted' or 'assumed'"),
    "bare number": ("power.idle", "5 W", "'5 W', a bare value; write {value: ..., status: ..., source: ...}"),
    "negative power": ("power.send.value", "-1 W", "'-1 W' is negative"),
    "a list for a section": ("power", [1], "must be a mapping, found [1]"),
    "unknown cost model": (
        "cost_model",
        {"kind": "rooflin"},
        "unknown cost_model 'rooflin'; known: linear, lookup, roofline",
    ),
    "no cost model kind": (
        "cost_model",
        {"forward_rate": 1},
        "'kind' is missing; add one of: linear, lookup, roofline",
    ),
    "unknown key": (
        "cost_model.foward_rate",
        figure("1 GFLOP/s"),
        "unknown key. Did you mean 'forward_rate'?",
    ),
    "usable above total": ("memory.usable.value", "3 GB", "usable memory (3e+09 B) is more than the total"),
    "capital letters": ("name", "Jetson Nano", "lower-case words joined by hyphens"),
    "overheads: no unit": ("overheads.per_message", figure(0.001), "has no unit; write it with its unit"),
    "overheads: zero rate": ("overheads.serialise_rate", figure("0 MB/s"), "is zero; it must be more"),
    "overheads: near miss": (
        "overheads.per_mesage",
        figure("1 ms"),
        "unknown key. Did you mean 'per_message'?",
    ),
    "overheads: loading": ("overheads.loading", "before", "should be 'ahead' or 'inline', found 'before'"),
    "overheads: no workers": ("overheads.loading_workers", 0, "greater than 0, found 0"),
    "overheads: cold is faster": (
        "overheads.cold",
        {"after": figure("1 ms"), "factor": figure(0.9)},
        "greater than or equal to 1, found 0.9",
    ),
    "overheads: no recovery": (
        "overheads.throttling",
        {"slowing": [["0 s", 1]], "status": "assumed", "source": "none"},
        "is missing; add it",
    ),
    "overheads: no beginning": (
        "overheads.throttling",
        heat(["5 s", 1]),
        "write [0 s, 1] as its first row",
    ),
    "overheads: out of order": (
        "overheads.throttling",
        heat(["0 s", 1], ["9 s", 2], ["5 s", 3]),
        "slowing must ascend, found [5 s, 3] after [9 s, 2]; sort its rows",
    ),
    "overheads: all of it is busy": ("overheads.background_load", figure(1.0), "less than 1, found 1.0"),
    "correlation of one": ("jitter.correlation", figure(1.0), "less than 1, found 1.0"),
    "half a range": (
        "power.idle",
        figure("1 W") | {"low": "1 W"},
        "low is given without high; give both ends of the range",
    ),
    "a value outside its range": (
        "power.idle",
        figure("5 W") | {"low": "1 W", "high": "2 W"},
        "must have 0 < low <= value <= high, found low 1, value 5, high 2; put the range around the value",
    ),
    "a range from zero": (
        "cost_model.overhead_per_call",
        figure("1 ms") | {"low": "0 ms", "high": "2 ms"},
        "must have 0 < low <= value <= high, found low 0, value 0.001, high 0.002",
    ),
    "a range without unit": ("power.idle.low", 1, "has no unit; write it with its unit"),
    "neither value nor range": (
        "power.idle",
        {"status": "assumed", "source": "a rule"},
        "value is missing; add it, or low and high",
    ),
    "uncertainty in per cent": (
        "uncertainty",
        {"source": "held-out steps", "forward": 12},
        "less than 3, found 12",
    ),
    "uncertainty of an unknown phase": (
        "uncertainty",
        {"source": "held-out steps", "foward": 0.1},
        "unknown key. Did you mean 'forward'?",
    ),
    "uncertainty without source": ("uncertainty", {"forward": 0.1}, "is missing; add it"),
    "zero efficiency": ("cost_model.efficiency", {"linear": figure(0)}, "greater than 0, found 0"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_value_is_named_with_its_place_rule_and_fix(case: str, tmp_path: Path) -> None:
    path, value, words = BROKEN[case]
    data = good()
    put(data, path, value)
    (message,) = messages(data, tmp_path)
    assert words in message
    assert message.startswith(path.removesuffix(".usable.value") if case == "usable above total" else path)


@pytest.mark.parametrize(
    "path", ["power.idle.source", "power.idle.status", "cost_model.memory_rate", "jitter"]
)
def test_a_missing_entry_is_named(path: str, tmp_path: Path) -> None:
    data = good()
    *parents, last = path.split(".")
    inner = data
    for key in parents:
        inner = inner[key]
    del inner[last]
    assert messages(data, tmp_path) == [f"{path}: is missing; add it"]


def test_all_problems_are_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    data = good()
    put(data, "power.idle.value", "5 V")
    put(data, "cost_model.forward_rate.value", "5")
    put(data, "memory.total.source", "")
    found = messages(data, tmp_path)
    assert [message.split(":")[0] for message in found] == [
        "memory.total.source", "cost_model.forward_rate.value", "power.idle.value",
    ]  # fmt: skip


def test_the_line_is_that_of_the_value(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    text = yaml.safe_dump(good(), sort_keys=False).replace("value: 50 GFLOP/s", "value: 50 GFLOPs")
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "50 GFLOPs" in row)
    file.write_text(text)
    with pytest.raises(ProfileError, match=rf"toy\.yaml:{line}: cost_model\.backward_rate\.value: "):
        read_profile(file)


def test_a_mistake_that_a_mode_inherits_is_told_once_and_its_own_also(tmp_path: Path) -> None:
    data = good()
    put(data, "power.idle.value", "5 V")
    data["modes"] = {"eco": {"description": "Saves.", "power": {"compute": figure("1 V")}}}
    found = messages(data, tmp_path)
    assert [message.split(":")[0] for message in found] == [
        "power.idle.value",
        "modes.eco.power.compute.value",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [toy", "is not YAML"),
        ("", "is not a mapping"),
        ("- 1\n", "is not a mapping"),
        ("name: toy\nname: toy2\n", "name: is given twice, first in line 1; keep one"),
    ],
)
def test_what_is_not_a_mapping_is_told(text: str, words: str, tmp_path: Path) -> None:
    assert any(words in message for message in messages(text, tmp_path))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("none.yaml", "bytes.yaml"):
        with pytest.raises(ComponentError, match=f"{name}: cannot read the profile"):
            read_profile(tmp_path / name)


def test_a_good_profile_is_read_in_base_units(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump(good()))
    profile = read_profile(file)
    assert isinstance(profile.cost_model, Roofline)
    assert profile.cost_model.forward_rate.value == 100e9
    assert profile.memory.usable.value == 1e9
    assert profile.jitter.sigma.value == 0


def test_overheads_are_read_in_base_units_inherited_by_modes_and_written_back(tmp_path: Path) -> None:
    file, copy = tmp_path / "toy.yaml", tmp_path / "copy.yaml"
    data = good()
    data["overheads"] = {
        "serialise_rate": figure("50 MB/s"),
        "per_message": figure("2 ms"),
        "cold": {"after": figure("1 ms"), "factor": figure(1.2)},
        "throttling": heat(["0 s", 1], ["5 min", 1.4]),
    }
    data["modes"] = {"eco": {"description": "Saves.", "overheads": {"per_message": figure("5 ms")}}}
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    profile = read_profile(file)
    own, eco = device_of(profile).overheads, device_of(profile, "eco").overheads
    assert own.serialise_rate is not None
    assert own.throttling is not None
    assert own.serialise_rate.value == 50e6
    assert own.throttling.slowing == ((0.0, 1.0), (300.0, 1.4))
    assert eco == replace(own, per_message=eco.per_message)
    assert eco.per_message is not None
    assert eco.per_message.value == 0.005
    write_profile(profile, copy)
    assert read_profile(copy) == profile
    assert "5 ms" in profile_text(profile)
    assert profile_text(profile).count("serialise_rate") == 1


@pytest.mark.parametrize("name", known_devices())
def test_a_shipped_profile_is_the_same_after_writing_and_reading(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    write_profile(profile, tmp_path / "copy.yaml")
    assert read_profile(tmp_path / "copy.yaml") == profile
    assert profile_text(read_profile(tmp_path / "copy.yaml")) == (tmp_path / "copy.yaml").read_text()
    assert "null" not in profile_text(profile)


positive = st.floats(min_value=1e-9, max_value=1e18)


@given(rate=positive, error=positive, overhead=st.just(0.0) | st.floats(1e-30, 1e3), mape=st.floats(0, 10))
def test_a_calibrated_profile_of_any_numbers_survives_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rate: float, error: float, overhead: float, mape: float
) -> None:
    file = tmp_path_factory.mktemp("profile") / "fitted.yaml"
    file.write_text(yaml.safe_dump(good()))
    base = read_profile(file)
    assert isinstance(base.cost_model, Roofline)
    fitted = replace(
        base,
        cost_model=replace(
            base.cost_model,
            forward_rate=Figure(value=rate, status="fitted", source="a table", standard_error=error),
            overhead_per_layer=Figure(value=overhead, status="fitted", source="a table"),
        ),
        calibration=Calibration(
            data="A made-up table.",
            n_points=10,
            held_out=(HeldOutError(split="5-fold", n_points=10, mape=mape, median=mape, p95=mape),),
            fitted_range=(FittedRange(quantity="work_flop", low=0.0, high=rate, phase="forward"),),
        ),
    )
    write_profile(fitted, file)
    assert read_profile(file) == fitted


def test_a_figure_may_be_a_range_alone_and_a_mode_replaces_it_whole(tmp_path: Path) -> None:
    data = good()
    ranged = {"low": "50 GFLOP/s", "high": "200 GFLOP/s", "status": "assumed", "source": "two networks"}
    data["cost_model"]["forward_rate"] = ranged
    slow = {"low": "20 GFLOP/s", "high": "45 GFLOP/s", "status": "assumed", "source": "half the clock"}
    data["modes"] = {"eco": {"description": "Half.", "cost_model": {"forward_rate": slow}}}
    data["uncertainty"] = {"source": "held-out steps", "backward": 0.1}
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    profile = read_profile(file)
    assert isinstance(profile.cost_model, Roofline)
    assert profile.cost_model.forward_rate.value == 100e9  # the geometric mean
    mode = profile.modes["eco"].cost_model
    assert isinstance(mode, Roofline)
    assert mode.forward_rate.value == pytest.approx(30e9)
    assert profile.uncertainty is not None
    assert profile.uncertainty.backward == 0.1
    write_profile(profile, file)
    assert read_profile(file) == profile


def test_a_tail_below_idle_power_is_refused(tmp_path: Path) -> None:
    data = good()
    data["power"]["tail"] = {"power": figure("0.5 W"), "duration": figure("10 s")}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(ProfileError, match=r"power: the power of the tail \(0.5 W\) is below idle \(1 W\)"):
        read_profile(tmp_path / "toy.yaml")


def test_a_tail_reaches_the_clock_with_its_units(tmp_path: Path) -> None:
    data = good()
    data["power"]["tail"] = {"power": figure("1500 mW"), "duration": figure("200 ms")}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(data))
    power = device_of(read_profile(tmp_path / "toy.yaml")).power
    assert (power.tail_w, power.tail_s) == (1.5, 0.2)
