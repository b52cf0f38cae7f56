"""Every shipped profile: whole, sourced, plausible; and the numbers that come from public data, computed again."""

from __future__ import annotations

import dataclasses
import logging
import math
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
from gapslsim.hardware.profile import Calibration, Evidence, Uncertainty
from gapslsim.models.cost import split_cost
from gapslsim.models.zoo.torchvision import Torchvision
from gapslsim.work import Cost, LayerCost

STATUSES = {"measured", "published", "fitted", "assumed"}
DEVICES = [load_device(name) for name in known_devices()] + [
    load_device(f"{name}@{mode}") for name in known_devices() for mode in load_profile(name).modes
]


def figures(thing: Any) -> Iterator[Figure[Any]]:
    if isinstance(thing, Figure):
        yield thing
    elif isinstance(thing, (Calibration, Evidence, Jump, Uncertainty)):
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
    assert 1e9 < roofline.forward_rate.value < 2e13
    assert 0 < roofline.overhead_per_layer.value < roofline.overhead_per_call.value < 0.1


@pytest.mark.parametrize("name", known_devices())
def test_every_profile_says_what_it_rests_on_and_how_wrong_it_is_or_that_nobody_knows(name: str) -> None:
    profile = load_profile(name)
    evidence = profile.evidence
    assert evidence is not None
    by_status = {status: getattr(evidence, status).split(", ") for status in STATUSES}
    for status in STATUSES - {found.status for found in figures(dataclasses.replace(profile, modes={}))}:
        assert by_status[status] == ["none"]
    for section in (profile.memory, profile.power, profile.jitter):
        for field in dataclasses.fields(section):
            one = getattr(section, field.name)
            if isinstance(one, Figure):
                assert (
                    f"{type(section).__name__.lower().removesuffix('draw')}.{field.name}"
                    in by_status[one.status]
                )
    errors = evidence.held_out_errors + (profile.calibration.held_out if profile.calibration else ())
    assert bool(errors) == (not evidence.held_out.startswith("none: "))
    for error in errors + evidence.rule_errors:
        assert 0 < error.median <= error.p95


@pytest.mark.parametrize(
    ("device", "modes"),
    [
        ("jetson-nano", {"5w"}),
        ("jetson-tx2", {"max-q", "max-p", "max-p-arm"}),
        ("jetson-xavier-nx", {"10w", "20w"}),
        ("jetson-orin-nano", {"7w", "25w", "super"}),
        ("jetson-orin-nx", {"10w", "15w", "25w"}),
        ("jetson-agx-orin", {"15w", "30w", "50w"}),
        ("laptop-cpu", {"one-thread"}),
        *((phone, {"lte", "5g", "5g-mmwave"}) for phone in known_devices() if phone.startswith("phone-")),
    ],
)
def test_power_modes_are_variants_with_a_source(device: str, modes: set[str]) -> None:
    profile = load_profile(device)
    assert set(profile.modes) == modes
    for mode in profile.modes.values():
        changed = [
            one for section in (mode.cost_model, mode.power) for one in figures(section)
            if one not in list(figures([profile.cost_model, profile.power]))
        ]  # fmt: skip
        assert changed
        for one in changed:
            assert len(one.source) >= 20


def test_the_clock_of_a_mode_scales_its_rate_and_its_overheads() -> None:
    full, slow = roofline_of("jetson-agx-orin"), load_profile("jetson-agx-orin").modes["15w"].cost_model
    assert isinstance(slow, Roofline)
    assert full.forward_rate.value == 2600e9
    # 421 of 1300 MHz and 3 of 8 clusters; 1114 of 2200 MHz; 2133 of 3199 MHz
    assert slow.forward_rate.value == pytest.approx(316e9)
    assert slow.overhead_per_layer.value == pytest.approx(152e-6)
    assert slow.memory_rate.value == pytest.approx(52.9e9)


def test_a_phone_says_once_how_far_a_convolution_is_from_what_was_measured_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = load_device("phone-nexus-6")
    inside = LayerCost("out", "output", "forward", 2e7, 1.2e6, 100_000, 20_000, 10)
    huge = LayerCost("conv1", "conv2d", "forward", 1e12, 1e6, 1000, 1000, 10)
    step = LayerCost("step", "optimizer", "update", 1e12, 1e12, 1000)
    device.duration_s(Cost((inside, step)))
    assert not device.outside
    with caplog.at_level(logging.WARNING):
        device.duration_s(Cost((huge,)))
        device.duration_s(Cost((huge,)))
    (said,) = [record for record in caplog.records if "outside the range" in record.getMessage()]
    assert "forward conv2d 'conv1' has 3e+12 FLOP in a whole training step" in said.getMessage()
    assert "(no conv2d was measured, only other kinds)" in said.getMessage()


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
    # VGG-19 in 2.66 s, 398 GFLOP of convolutions and linear layers, would be 150 GFLOP/s without any overhead
    layers = pd.read_csv(public_data / "testbed" / "split_layer_times.csv")
    own = layers[(layers.device == "jetson-gpu") & (layers.dataset == "cifar")]
    step_s = float(own[["forward_ms", "backward_ms"]].to_numpy().sum()) / 1e3
    rate = roofline_of("jetson-nano").forward_rate.value
    assert gflops * 1e9 < rate < 1.1 * math.sqrt(gflops * 1e9 * 398e9 / step_s)
    assert rate > math.sqrt(gflops * 1e9 * 398e9 / step_s)


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
def test_raspberry_pi_4b_takes_as_long_for_vgg_19_as_was_measured_and_3b_plus_as_much_longer(
    public_data: Path,
) -> None:
    layers = pd.read_csv(public_data / "testbed" / "split_layer_times.csv")
    own = layers[(layers.device == "d1") & (layers.dataset == "cifar")]
    sides = split_cost(Torchvision(arch="vgg19", cut=1), (3, 32, 32), 10, 128)
    four, three = load_device("raspberry-pi-4b"), load_device("raspberry-pi-3b-plus")
    for phase, slower in (("forward", 1.65), ("backward", 2.04)):
        passes = [getattr(side, phase) for side in (sides.client, sides.server)]
        took = [sum(device.duration_s(cost) for cost in passes) for device in (four, three)]
        assert took[0] == pytest.approx(own[f"{phase}_ms"].sum() / 1e3, rel=0.05)
        assert took[1] / took[0] == pytest.approx(slower, rel=0.05)


@pytest.mark.data
def test_the_rates_of_the_laptop_and_the_flagship_phone_are_those_of_ncnn_with_the_named_factors(
    public_data: Path,
) -> None:
    ratio = ncnn_heavy_gflops(public_data, "SM8550", 4) / ncnn_heavy_gflops(public_data, "SM8150", 4)
    flagship, midrange = roofline_of("phone-flagship"), roofline_of("phone-midrange")
    for phase in ("forward", "backward"):
        assert flagship.rate(phase) == pytest.approx(ratio * midrange.rate(phase), rel=0.01)  # type: ignore[arg-type]
    laptop = 0.83 * 2.63 * ncnn_heavy_gflops(public_data, "MacBook Pro (15-inch, 2019)", 1)
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
