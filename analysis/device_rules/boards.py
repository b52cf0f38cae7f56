"""Raspberry Pis and a laptop: CPUs, from ncnn's and NAS-Bench's inference times."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from device_rules import checks
from device_rules.parts import (
    assumed,
    evidence,
    figure,
    jitter,
    memory,
    overhead,
    per_call,
    power,
    rounded,
)  # fmt: skip
from device_rules.public import HEAVY, MNN, NASBENCH, NCNN, SBC_REVIEWS, Public
from device_rules.testbed import ares_step
from device_rules.training import (
    LAYERS,
    PHASES,
    block_ratios,
    cpu_model,
    fitted_passes,
    held_out_layers,
    rows_of,
    times,
    update_rate,
)  # fmt: skip
from gapslsim.calibration._fits import Provenance, fit
from gapslsim.calibration.samples import samples_of
from gapslsim.calibration.table import check_table
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import HeldOutError, Mode, Profile, Uncertainty

HALF_OF_PEAK = "; Raspberry Pi 4B and 5 copy at 43 and 56 % of their peak"
LAPTOP = "MacBook Pro (15-inch, 2019)"


@dataclass(frozen=True)
class Board:
    """What is particular to a board whose networks are fitted."""

    name: str
    short: str
    """In ncnn."""
    device: str
    """In the table of specifications."""
    description: str
    total: tuple[float, str, str]
    slower_as: str = ""
    """Machine of the source of layer times whose blocks tell how much slower it is than Raspberry Pi 4B."""


BOARDS = (
    Board(
        "raspberry-pi-3b-plus", "rpi3b+", "Raspberry Pi 3B+",
        "Raspberry Pi 3 Model B+, 1 GB, four Cortex-A53 cores at 1.4 GHz, CPU only, FP32.",
        (1e9, "assumed", "general knowledge: every Raspberry Pi 3B+ has 1 GB; no source was found"),
        "d2",
    ),
    Board(
        "raspberry-pi-4b", "rpi4b", "Raspberry Pi 4B",
        "Raspberry Pi 4 Model B, 4 GB, four Cortex-A72 cores at 1.8 GHz, CPU only, FP32.",
        (4e9, "published", "magpi.raspberrypi.com/articles/raspberry-pi-4-specs-benchmarks (1, 2 or 4 GB; later 8)"),
    ),
)  # fmt: skip


SHARES = f"{MNN}, and Raspberry Pi 4B in {LAYERS} over its roofline fitted to ncnn"
_AS_IN_NCNN = {"activation": "elementwise", "norm": "elementwise"}
_RANGE = 2.0
"""By what factor a rate of training that is carried over from inference may be off.

Raspberry Pi 4B's figures, slowed down as Raspberry Pi 3B+ was timed, miss another testbed's Raspberry Pi by 1.7.
"""


def training_share(public: Public) -> float:
    """Rate of PyTorch's or MNN's forward pass in training over that of inference: geometric mean of the two pairs."""
    pi = fitted_passes(public, "d1")["forward"].rate / _inference(public, "rpi4b")[0].forward_rate.value
    return round(math.sqrt(public.training_share * pi), 2)


def backward_share(public: Public) -> float:
    """Rate of backward over forward passes on ARM boards and phones: geometric mean of the two pairs."""
    passes = fitted_passes(public, "d1")
    return round(math.sqrt(public.backward_share * passes["backward"].rate / passes["forward"].rate), 3)


def training(public: Public) -> str:
    """The words for the ratio of training to inference rate."""
    return f"times {training_share(public):.2f}, forward rate in training over inference: geometric mean of {SHARES}"


def ranged(value: float, source: str, factor: float = _RANGE) -> Figure[float]:
    """A figure of which rather a range than a number is known."""
    return replace(assumed(value, source), low=rounded(value / factor, 3), high=rounded(value * factor, 3))


@cache
def _inference(public: Public, board: str) -> tuple[Roofline, int]:
    """Roofline fitted to whole networks in ncnn, four threads, and how many those are."""
    rows = public.ncnn_layers
    rows = rows[(rows.device == board) & (rows.power_mode == "cpu") & (rows.threads == 4)]
    table = check_table(rows.assign(kind=rows.kind.str.partition("/")[0]).reset_index(drop=True), "ncnn")
    samples = samples_of(table.compute)
    about = Provenance("ncnn", Figure(value=0.0, status="assumed", source="not used"))
    made = fit("roofline", samples, about)
    assert isinstance(made, Roofline)
    return made, len(samples)


def _kinds(public: Public, board: str) -> dict[str, float]:
    """Rate of kinds that VGG-19 has not over that of convolutions, in inference."""
    known = {
        label.removeprefix("forward "): one.value
        for label, one in _inference(public, board)[0].efficiency.items()
    }
    return {kind: known[kind] / known["conv2d"] for kind in ("attention", "depthwise") if kind in known}


def _pi(public: Public, board: Board) -> Profile:
    """A Raspberry Pi whose training was timed, or slower than one by as much as its blocks were."""
    passes = fitted_passes(public, "d1")
    source = f"fitted to forward and backward times of the layers of VGG-19 on d1, {LAYERS} (d1 is Raspberry Pi 4B)"
    rate, errors, held_out = update_rate(public, "d1"), held_out_layers(public, "d1"), ""
    if board.slower_as:
        ratios = block_ratios(public, board.slower_as, "d1")
        by = {phase: float(np.median(ratios[phase])) for phase in PHASES}
        passes = {phase: passes[phase].times(*[1 / by[phase]] * 3) for phase in PHASES}
        rate /= by["forward"]
        source = (
            f"{source}, slower by {by['forward']:.2f} (forward) and {by['backward']:.2f} (backward): medians over five "
            f"blocks that d2 timed (d2 is Raspberry Pi 3B+; "
            f"{_listed(ratios['forward'])}; {_listed(ratios['backward'])})"
        )
        errors = (ares_step(public, passes),)
        held_out = "the whole step of the ARES testbed's network on a Raspberry Pi whose model is not stated"
        spread = round(abs(math.log(1 - errors[0].mape)), 2)
        about = f"the ARES step took 1 / {1 - errors[0].mape:.2f} of the predicted time"
    else:
        held_out = "four groups of VGG-19's convolutions, each from all other layers"
        spread, about = (
            0.2,
            "four groups of convolutions, 8 % in the mean; other networks and builds of PyTorch differ more",
        )
    profile = Profile(
        name=board.name,
        description=board.description,
        memory=memory(*board.total),
        cost_model=cpu_model(
            passes, rate, source, assumed(1.41e-3, "entering a pass costs some Python: ten times "
            "the 0.141 ms that PyTorch's dispatch was taken to cost here before training was timed"),
            _kinds(public, board.short), "assumed" if board.slower_as else "fitted",
        ),
        jitter=jitter(0.01, "no repeated training steps on this board were found; above the 0.0022 of a Raspberry Pi 5 "
                      "with a pinned core, as nothing is pinned here"),
        power=power(*_wall(public, board.device)),
        uncertainty=Uncertainty(source=about, forward=spread, backward=spread, update=spread, overheads=0.5),
    )  # fmt: skip
    return evidence(profile, held_out, errors, (training_from_two(public),))


def training_from_two(public: Public) -> HeldOutError:
    """The step of VGG-19 on Raspberry Pi 4B from its inference in ncnn and the ratios of MNN alone."""
    model, _ = _inference(public, "rpi4b")
    forward = public.training_share * model.forward_rate.value
    carried = replace(
        model,
        forward_rate=assumed(forward, "MNN"),
        backward_rate=assumed(public.backward_share * forward, "MNN"),
    )
    predicted = sum(
        carried.layer_s(replace(layer, kind=_AS_IN_NCNN.get(layer.kind, layer.kind), phase="forward"))
        if phase == "forward"
        else carried.layer_s(layer)
        for phase in PHASES
        for row in rows_of(phase)
        for layer in row
    )
    return checks.error(
        "training from inference rate: one pair from the other",
        pd.Series([predicted]),
        pd.Series([times(public, "d1")[[*PHASES]].to_numpy().sum()]),
        "whole passes of VGG-19 on Raspberry Pi 4B, batch 128",
    )


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _wall(public: Public, device: str) -> tuple[Figure[float], Figure[float]]:
    """Power of a board, idle and computing, at the wall."""
    idle = figure(public.spec(device, "power_idle_measured"), "measured", f"{SBC_REVIEWS}: idle, at the wall")
    loads = (
        ("power_hpl_measured", "during HPL, at the wall"),
        ("power_stress_measured", "stress test, at the wall; no HPL run is given"),
    )
    for name, words in loads:
        if (device, name) in public.specs.index:
            return idle, figure(public.spec(device, name), "measured", f"{SBC_REVIEWS}: {words}")
    raise KeyError(device)


def pi5(public: Public) -> Profile:
    """Raspberry Pi 5."""
    device = "Raspberry Pi 5"
    rows = public.pi5[public.pi5.task == "cifar100"]
    large = rows[rows.macs_live >= 1e8]
    one_core = float((2 * large.macs_live / large.lat_ms_median).median()) * 1e3
    heading = "Raspberry Pi 5 Broadcom BCM2712, Cortex"
    four, one = public.heavy(heading, 4), public.heavy(heading, 1)
    forward = ranged(
        one_core * four / one,
        f"one core: {one_core / 1e9:.1f} GFLOP/s, median of 2 x MACs / latency over the {len(large)} "
        "architectures of 100 MMAC or "
        f"more, torchmobile, cifar100, {NASBENCH}; times {four / one:.2f}, the speed-up of four threads over one "
        f"in {NCNN} "
        f"({four / 1e9:.1f} over {one / 1e9:.1f} GFLOP/s, {HEAVY}). ncnn's own rate is not used: it runs in half "
        "precision "
        "here",
    )
    copied, of_four = (public.spec(name, "memcpy_measured") for name in (device, "Raspberry Pi 4B"))
    spread = float((rows.lat_ms_var**0.5 / rows.lat_ms_median).median())
    per_layer = overhead(
        public, public.mips("Raspberry Pi 5 B (BCM2712)", "2400 MHz"), "mean of two runs at 2400 MHz"
    )
    profile = Profile(
        name="raspberry-pi-5",
        description="Raspberry Pi 5, 8 GB, four Cortex-A76 cores at 2.4 GHz, CPU only, FP32.",
        memory=memory(8e9, "published", "Raspberry Pi 5 product brief as quoted by the Zephyr documentation, "
                      "boards/raspberrypi/rpi_5 (4 or 8 GB)"),
        cost_model=_carried(public, "d1", "Raspberry Pi 4B", forward, backward_share(public), per_layer, ranged(
            fitted_passes(public, "d1")["forward"].memory * copied / of_four,
            f"{SBC_REVIEWS}: memcpy of {copied:.0f} MB/s over the {of_four:.0f} of Raspberry Pi 4B, times what "
            "its layers reach in training (see there)", 4,
        )),
        jitter=jitter(spread, f"median of std / median of 40 runs over {len(rows):,} architectures, torchmobile, "
                              "one pinned core, "
                      f"cifar100, {NASBENCH}; inference", "measured"),
        power=power(*_wall(public, device)),
    )  # fmt: skip
    return evidence(
        profile,
        "inference on one core of architectures from the rate of 100 others; neither training nor four threads "
        "of PyTorch "
        "were measured",
        checks.pi5_architectures(public),
        (checks.speed_up(public), training_from_two(public)),
    )


def _carried(
    public: Public, machine: str, name: str, forward: Figure[float], share: float, per_layer: Figure[float],
    memory_rate: Figure[float],
) -> Roofline:  # fmt: skip
    """A CPU whose training nobody timed: the proportions of one whose training was.

    Args:
        public: the data.
        machine: of the source of layer times, whose proportions are taken.
        name: what to call it.
        forward: rate of its forward passes.
        share: rate of backward over forward passes.
        per_layer: what a layer takes beside its work.
        memory_rate: in forward passes.
    """
    known = fitted_passes(public, machine)
    like = known["forward"].rate
    passes = {
        phase: known[phase].times(
            forward.value / like * (share * like / known["backward"].rate if phase == "backward" else 1.0),
            memory_rate.value / known["forward"].memory,
            1.0,
        )
        for phase in PHASES
    }
    source = f"in the proportions of {name}, fitted to {LAYERS}"
    made = cpu_model(
        passes, update_rate(public, machine) * memory_rate.value / known["forward"].memory, source, per_call(per_layer),
        status="assumed", per_layer=per_layer,
    )  # fmt: skip
    backward = ranged(
        share * forward.value,
        f"forward rate times {share:g}, the ratio of backward to forward rate: {source}",
    )
    return replace(made, forward_rate=forward, backward_rate=backward, memory_rate=memory_rate)


def laptop(public: Public) -> Profile:
    """Laptop without a GPU."""
    device = "Laptop CPU: Core i7-1165G7"
    share, one = training_share(public), public.heavy(LAPTOP, 1)
    passes = fitted_passes(public, "VM")
    ratio = round(passes["backward"].rate / passes["forward"].rate, 3)
    speed_up = round(float(public.speed_ups.median()), 2)
    where = (
        f"{NCNN}, MacBook Pro (15-inch, 2019, Core i7 2.6 GHz), one CPU thread: median of 2 x MACs / min_ms over "
        "the nine "
        f"{HEAVY.partition('nine ')[2]}, {one / 1e9:.1f} GFLOP/s"
    )
    forward = ranged(
        share * speed_up * one,
        f"{where}; times {speed_up}, the median speed-up of four threads over the {len(public.speed_ups)} "
        "devices that give "
        f"both; {training(public)}",
    )
    watts = public.spec(device, "tdp")
    per_layer = overhead(
        public, public.mips("Intel i3-N305"), "Intel i3-N305, the fastest x86 mobile chip in that list"
    )
    profile = Profile(
        name="laptop-cpu",
        description="Laptop without a GPU: four cores of a 2019-2020 Intel Core i7, FP32.",
        memory=memory(16e9, "assumed", "common for such a laptop"),
        cost_model=_carried(public, "VM", "eight virtual cores", forward, ratio, per_layer, ranged(
            passes["forward"].memory, f"as eight virtual cores reach in forward passes, {LAYERS}", 3,
        )),
        jitter=jitter(0.05, "other programs run beside the training; no source was found"),
        power=power(
            assumed(8, "screen on, nothing running; no source was found"),
            assumed(8 + watts, f"the idle power plus the {watts:g} W of a Core i7-1165G7 (technosports.co.in)"),
        ),
    )  # fmt: skip
    assert isinstance(profile.cost_model, Roofline)
    single = ranged(share * one, f"{where}; {training(public)}")
    mode = Mode(
        description="One thread: without the assumption on the speed-up of four.",
        cost_model=replace(
            profile.cost_model,
            forward_rate=single,
            backward_rate=ranged(ratio * single.value, profile.cost_model.backward_rate.source),
        ),
        power=replace(
            profile.power,
            compute=assumed(
                8 + watts / 2,
                f"the idle power plus half of the {watts:g} W of the processor; no source was found",
            ),
        ),
    )
    return evidence(
        replace(profile, modes={"one-thread": mode}),
        "inference with one thread of each heavy network from the median rate of the others; no training was measured",
        (checks.heavy_networks(public, LAPTOP, 1, "ncnn, one thread"),),
        (checks.speed_up(public), training_from_two(public)),
    )


def _machine(
    public: Public, name: str, machine: str, description: str, total: float, watts: float
) -> Profile:
    """A machine of the source of layer times that is no board."""
    passes = fitted_passes(public, machine)
    errors = held_out_layers(public, machine)
    source = f"fitted to forward and backward times of the layers of VGG-19 on {machine}, {LAYERS}"
    none = "general knowledge; no source was found"
    profile = Profile(
        name=name,
        description=description,
        memory=memory(total, "assumed", none),
        cost_model=cpu_model(
            passes, update_rate(public, machine), source, assumed(1e-3, "entering a pass; no source was found")
        ),
        jitter=jitter(0.05, "other programs run beside the training; no source was found"),
        power=power(assumed(watts / 5, none), assumed(watts, none)),
        uncertainty=Uncertainty(
            source=f"four groups of convolutions, each from all other layers: median {errors[0].median:.2f}",
            forward=errors[0].median, backward=errors[0].median, update=errors[0].median, overheads=0.5,
        ),
    )  # fmt: skip
    return evidence(profile, "four groups of VGG-19's convolutions, each from all other layers", errors)


MACHINES = {
    "apple-m1": lambda public: _machine(
        public,
        "apple-m1",
        "laptop",
        "Laptop with an Apple M1, PyTorch on its CPU, FP32; the source says `laptop`.",
        8e9,
        15.0,
    ),
    "vm-8-cores": lambda public: _machine(
        public,
        "vm-8-cores",
        "VM",
        "Virtual machine with 8 cores, PyTorch on its CPU, FP32; the source says `VM`.",
        16e9,
        60.0,
    ),
}

CPUS = {board.name: (lambda public, board=board: _pi(public, board)) for board in BOARDS} | {
    "raspberry-pi-5": pi5, "laptop-cpu": laptop, **MACHINES,
}  # fmt: skip
