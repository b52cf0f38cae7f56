"""Every shipped profile: whole, sourced, plausible; and the numbers that come from public data, computed again."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.devices import known_devices, load_device, load_profile
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import Jump
from gapslsim.hardware.profile import Calibration, profile_schema
from gapslsim.work import Cost, LayerCost

STATUSES = {"measured", "published", "fitted", "assumed"}
DEVICES = [load_device(name) for name in known_devices()] + [
    load_device(f"{name}@{mode}") for name in known_devices() for mode in load_profile(name).modes
]


def figures(thing: Any) -> Iterator[Figure[Any]]:
    if isinstance(thing, Figure):
        yield thing
    elif isinstance(thing, (Calibration, Jump)):
        yield from figures([getattr(thing, name) for name in ("constant", "per_parameter", "per_activation")
                            if isinstance(thing, Jump)])  # fmt: skip
    elif dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield from figures(getattr(thing, field.name))
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from figures(value)
    elif isinstance(thing, (tuple, list)):
        for value in thing:
            yield from figures(value)
    else:
        assert not isinstance(thing, float), "a number without a source"


@pytest.mark.parametrize("name", known_devices())
def test_every_number_says_where_it_comes_from(name: str) -> None:
    profile = load_profile(name)
    found = list(figures(profile))
    assert len(found) >= 12
    for figure in found:
        assert figure.status in STATUSES
        assert len(figure.source) >= 20
    assert profile.name == name


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_powers_and_rates_are_in_a_plausible_order(device: Any) -> None:
    assert 0 < device.power.idle_w < min(device.power.send_w, device.power.receive_w, device.power.compute_w)
    roofline = device.cost_model
    if not isinstance(roofline, Roofline):
        return
    assert roofline.backward_rate.value <= roofline.forward_rate.value
    assert 1e9 < roofline.forward_rate.value < 1e13
    assert 0 < roofline.overhead_per_layer.value < roofline.overhead_per_call.value < 0.1


def test_the_papers_server_is_faster_than_its_client_and_a_jetson_than_a_pi() -> None:
    cost = Cost((LayerCost("conv", "conv2d", "forward", 1e9, 1e6),))
    seconds = [load_device(n).duration_s(cost) for n in ("jetson-orin-nx", "jetson-nano", "raspberry-pi-4b")]
    assert seconds == sorted(seconds)


@given(
    device=st.sampled_from(DEVICES),
    flop=st.floats(0, 1e14),
    more=st.floats(0, 1e14),
    moved=st.floats(0, 1e10),
    phase=st.sampled_from(["forward", "backward", "update", "other"]),
)
def test_more_flop_never_takes_less_time_on_any_device(
    device: Any, flop: float, more: float, moved: float, phase: Any
) -> None:
    less, much = (Cost((LayerCost("a", "conv2d", phase, amount, moved),)) for amount in (flop, flop + more))
    assert 0 <= device.duration_s(less) <= device.duration_s(much)


def roofline_of(name: str) -> Roofline:
    model = load_profile(name).cost_model
    assert isinstance(model, Roofline)
    return model


def ncnn_heavy_gflops(data: Path, device: str, n_threads: int, backend: str = "cpu") -> float:
    rows = pd.read_csv(data / "latency" / "ncnn_benchmark.csv")
    rows = rows[(rows.precision == "float") & (rows.macs >= 1e9) & (rows.model != "vision_transformer")]
    rows = rows[rows.device.str.contains(device, regex=False) & (rows.num_threads == n_threads)]
    rows = rows[rows.backend == backend]
    return float((2 * rows.macs / rows.min_ms / 1e6).median())


@pytest.mark.data
def test_the_rate_of_jetson_nano_is_that_of_the_published_training_times(public_data: Path) -> None:
    costs = pd.read_csv(public_data / "latency" / "ncnn_model_costs.csv").set_index("model")
    flop = 3 * 2 * float(costs.loc["resnet18", "macs"])
    epochs = pd.read_csv(public_data / "training" / "jetson_training_epochs.csv")
    rows = epochs[epochs.task == "classification"]
    seconds = (rows.seconds_per_epoch_low + rows.seconds_per_epoch_high) / 2
    gflops = float((flop * rows.images_per_epoch / seconds).mean()) / 1e9
    assert roofline_of("jetson-nano").forward_rate.value == pytest.approx(gflops * 1e9, rel=0.005)


@pytest.mark.data
def test_the_rates_of_the_midrange_phone_and_the_ratios_for_cpus_are_those_of_mnn(public_data: Path) -> None:
    rows = pd.read_csv(public_data / "training" / "mnn_phone_training.csv")
    rows = rows[(rows.batch_size >= 8) & (rows.model != "Lenet")]
    rows = rows[~((rows.model == "Squeezenet") & (rows.batch_size == 32))]
    flop = 2 * rows.macs_fwd_per_sample * rows.batch_size
    rates = pd.DataFrame(
        {
            "model": rows.model,
            "forward": flop / rows.infer_expr_ms * 1e3,
            "session": flop / rows.infer_session_ms * 1e3,
            "backward": 2 * flop / (rows.train_ms - rows.infer_expr_ms) * 1e3,
        }
    )
    median = rates.groupby("model").median()
    phone = roofline_of("phone-midrange")
    assert phone.forward_rate.value == pytest.approx(median.forward.median(), rel=0.005)
    assert phone.backward_rate.value == pytest.approx(median.backward.median(), rel=0.005)
    assert (median.forward / median.session).median() == pytest.approx(0.80, abs=0.005)
    assert (median.backward / median.forward).median() == pytest.approx(0.275, abs=0.0005)


@pytest.mark.data
def test_the_rates_of_boards_and_the_flagship_phone_are_those_of_ncnn_with_the_named_factors(
    public_data: Path,
) -> None:
    # fitted to whole networks: the ceiling of a convolution is above what heavy networks reach on the whole
    for name, device in (("raspberry-pi-4b", "Raspberry Pi 4"), ("raspberry-pi-3b-plus", "Raspberry Pi 3")):
        gflops = 0.80 * ncnn_heavy_gflops(public_data, device, 4)
        board = roofline_of(name)
        rate = board.forward_rate.value * board.efficiency["conv2d"].value
        assert 1 < rate / (gflops * 1e9) < 1.6
        assert board.backward_rate.value == pytest.approx(0.275 * board.forward_rate.value, rel=0.01)
    ratio = ncnn_heavy_gflops(public_data, "SM8550", 4) / ncnn_heavy_gflops(public_data, "SM8150", 4)
    flagship, midrange = roofline_of("phone-flagship"), roofline_of("phone-midrange")
    for phase in ("forward", "backward"):
        assert flagship.rate(phase) == pytest.approx(ratio * midrange.rate(phase), rel=0.01)  # type: ignore[arg-type]
    laptop = 0.80 * 2.63 * ncnn_heavy_gflops(public_data, "MacBook Pro (15-inch, 2019)", 1)
    assert roofline_of("laptop-cpu").forward_rate.value == pytest.approx(laptop * 1e9, rel=0.01)


@pytest.mark.data
def test_the_rate_of_raspberry_pi_5_is_torch_mobiles_on_one_core_times_the_speed_up(
    public_data: Path,
) -> None:
    rows = pd.read_parquet(public_data / "latency" / "nasbench201_pi5_pixel.parquet")
    rows = rows[(rows.device == "pi5") & (rows.framework == "torchmobile") & (rows.task == "cifar100")]
    large = rows[rows.macs_live >= 1e8]
    one_core = float((2 * large.macs_live / large.lat_ms_median).median()) * 1e3
    board = "Raspberry Pi 5 Broadcom BCM2712, Cortex"
    speed_up = ncnn_heavy_gflops(public_data, board, 4) / ncnn_heavy_gflops(public_data, board, 1)
    assert roofline_of("raspberry-pi-5").forward_rate.value == pytest.approx(one_core * speed_up, rel=0.01)
    spread = float((rows.lat_ms_var**0.5 / rows.lat_ms_median).median())
    assert load_profile("raspberry-pi-5").jitter.sigma.value == pytest.approx(spread, rel=0.02)


@pytest.mark.data
def test_the_orins_have_the_share_of_their_peak_that_pagoda_measured(public_data: Path) -> None:
    rows = pd.read_csv(public_data / "latency" / "pagoda_orin_agx.csv")
    large = rows[(rows.model == "resnet50") & (rows.batch_size >= 16)]
    rate = float((large.flops / large.latency_ms).median()) * 1e3
    memory = float((rows.mem_bytes / rows.latency_ms)[rows.model == "yolov8n"].max()) * 1e3
    specs = pd.read_csv(public_data / "device_specs.csv").set_index(["device", "figure"]).value
    for name, device in (
        ("jetson-agx-orin", "Jetson AGX Orin 64GB"),
        ("jetson-orin-nx", "Jetson Orin NX 16GB"),
        ("jetson-orin-nano", "Jetson Orin Nano 8GB"),
    ):
        flop_share = float(specs[device, "gpu_peak_fp32"]) / 5325.0
        byte_share = float(specs[device, "mem_bandwidth_peak"]) / 204.8
        assert roofline_of(name).forward_rate.value == pytest.approx(rate * flop_share, rel=0.005)
        assert roofline_of(name).memory_rate.value == pytest.approx(memory * byte_share, rel=0.005)


@pytest.mark.data
def test_the_script_makes_the_shipped_profiles_again(public_data: Path) -> None:
    path = Path(__file__).parents[3] / "analysis" / "derive_profiles.py"
    spec = importlib.util.spec_from_file_location("derive_profiles", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, values in script.rules(public_data).items():
        assert script.by_rule(name, values) == load_profile(name)
    name = "phone-redmi-note-8"
    assert same(script.phone(name, *script.PHONES[name], public_data), load_profile(name))
    name = "raspberry-pi-3b-plus"
    assert same(script.board(name, script.BOARDS[name], public_data), load_profile(name))


def same(one: Any, other: Any) -> bool:
    """Equal, with numbers of a fit compared to five digits: linear algebra differs between machines."""
    ours, theirs = (profile_schema().dump_python(profile) for profile in (one, other))
    return bool(_alike(ours, theirs))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=2e-3)
    return bool(one == other)
