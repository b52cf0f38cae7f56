"""Raspberry Pis and a laptop: CPUs, from ncnn's and NAS-Bench's inference times."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
)  # fmt: skip
from device_rules.public import HEAVY, MNN, NASBENCH, NCNN, SBC_REVIEWS, Public
from gapslsim.calibration._fits import Provenance, fit
from gapslsim.calibration.samples import samples_of
from gapslsim.calibration.splits import run_split
from gapslsim.calibration.table import check_table
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Calibration, FittedRange, Mode, Profile

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
    mips: tuple[str, str]
    """Name in sbc-bench, and how its runs are averaged."""


BOARDS = (
    Board(
        "raspberry-pi-3b-plus", "rpi3b+", "Raspberry Pi 3B+",
        "Raspberry Pi 3 Model B+, 1 GB, four Cortex-A53 cores at 1.4 GHz, CPU only, FP32.",
        (1e9, "assumed", "general knowledge: every Raspberry Pi 3B+ has 1 GB; no source was found"),
        ("Raspberry Pi 3 B+ (BCM2837B0)", "median of six runs"),
    ),
    Board(
        "raspberry-pi-4b", "rpi4b", "Raspberry Pi 4B",
        "Raspberry Pi 4 Model B, 4 GB, four Cortex-A72 cores at 1.8 GHz, CPU only, FP32.",
        (4e9, "published", "magpi.raspberrypi.com/articles/raspberry-pi-4-specs-benchmarks (1, 2 or 4 GB; later 8)"),
        ("Raspberry Pi 4 B (BCM2711)", "median of eight runs"),
    ),
)  # fmt: skip


def training(public: Public) -> str:
    """The words for the ratio of training to inference rate."""
    return (
        f"times {public.training_share:.2f}, the ratio of forward rates in the training and the inference "
        f"runtime of {MNN}: " + _OVER
    )


_OVER = (
    "median over AlexNet, GoogLeNet, MobileNet and SqueezeNet of the medians at batch 8 and more, SqueezeNet at 32 "
    "left out"
)


def backward(public: Public, forward: float) -> Figure[float]:
    """Backward rate of a CPU from its forward rate [FLOP/s]."""
    source = (
        f"forward rate times {public.backward_share:g}, the ratio of backward to forward rate (backward counted "
        "as twice "
        f"forward) in {MNN}: {_OVER}; another CPU and runtime than here"
    )
    return assumed(public.backward_share * forward, source)


def _fitted(public: Public, board: Board) -> Profile:
    """Roofline fitted to whole networks in ncnn; rates carried over to training by MNN's ratios."""
    rows = public.ncnn_layers
    rows = rows[(rows.device == board.short) & (rows.power_mode == "cpu") & (rows.threads == 4)]
    table = check_table(rows.assign(kind=rows.kind.str.partition("/")[0]).reset_index(drop=True), "ncnn")
    samples = samples_of(table.compute)
    source = f"roofline fitted to {len(samples)} networks of {NCNN}, {board.short}, four threads (inference)"
    about = Provenance(source, Figure(value=0.0, status="assumed", source="not used"))
    made = fit("roofline", samples, about)
    assert isinstance(made, Roofline)
    errors = run_split("leave_one_out", table, "roofline").errors
    forward = made.forward_rate.value
    rate = assumed(
        public.training_share * forward,
        f"{source}: {forward / 1e9:.3g} GFLOP/s for a kind of efficiency 1; times {public.training_share:g}, "
        "training over "
        "inference runtime, from MNN on a Snapdragon 855 (see phone-midrange)",
    )
    per_layer = overhead(public, public.mips(board.mips[0]), board.mips[1])
    layers = samples.layers[samples.layers.work_flop > 0]
    device = board.device
    profile = Profile(
        name=board.name,
        description=board.description,
        memory=memory(*board.total),
        cost_model=Roofline(
            forward_rate=rate,
            backward_rate=backward(public, public.training_share * forward),
            memory_rate=made.memory_rate,
            overhead_per_layer=per_layer,
            overhead_per_call=per_call(per_layer),
            efficiency=_by_kind(made.efficiency),
            memory_efficiency=_by_kind(made.memory_efficiency),
        ),
        jitter=jitter(0.01, "no repeated training steps on this board were found; above the 0.0022 of a Raspberry Pi 5 "
                      "with a pinned core, as nothing is pinned here"),
        power=power(*_wall(public, device)),
        calibration=Calibration(
            data=f"whole networks at batch 1, {NCNN}, four threads, float",
            n_points=len(samples),
            held_out=tuple(replace(one, split="leave one network out, inference before the training factor",
                                   group="ncnn, 4 threads") for one in errors),
            fitted_range=tuple(
                FittedRange(quantity=quantity, low=0.0, high=float(layers[quantity].max()))  # type: ignore[arg-type]
                for quantity in ("work_flop", "moved_bytes")
            ),
        ),
    )  # fmt: skip
    return evidence(
        profile, "inference of each network from the others (calibration.held_out); no training was measured", (),
        (checks.training_from_inference(public),),
    )  # fmt: skip


def _by_kind(factors: dict[str, Figure[float]]) -> dict[str, Figure[float]]:
    """Factors by kind of layer, for all phases; what the fit calls elementwise is norm and activation."""
    kinds = {"forward elementwise": ("norm", "activation")}
    return {
        kind: value
        for label, value in factors.items()
        for kind in kinds.get(label, (label.removeprefix("forward "),))
    }


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
    forward = assumed(
        one_core * four / one,
        f"one core: {one_core / 1e9:.1f} GFLOP/s, median of 2 x MACs / latency over the {len(large)} "
        "architectures of 100 MMAC or "
        f"more, torchmobile, cifar100, {NASBENCH}; times {four / one:.2f}, the speed-up of four threads over one "
        f"in {NCNN} "
        f"({four / 1e9:.1f} over {one / 1e9:.1f} GFLOP/s, {HEAVY}). ncnn's own rate is not used: it runs in half "
        "precision "
        "here",
    )
    copied = public.spec(device, "memcpy_measured")
    spread = float((rows.lat_ms_var**0.5 / rows.lat_ms_median).median())
    per_layer = overhead(
        public, public.mips("Raspberry Pi 5 B (BCM2712)", "2400 MHz"), "mean of two runs at 2400 MHz"
    )
    profile = Profile(
        name="raspberry-pi-5",
        description="Raspberry Pi 5, 8 GB, four Cortex-A76 cores at 2.4 GHz, CPU only, FP32.",
        memory=memory(8e9, "published", "Raspberry Pi 5 product brief as quoted by the Zephyr documentation, "
                      "boards/raspberrypi/rpi_5 (4 or 8 GB)"),
        cost_model=Roofline(
            forward_rate=forward,
            backward_rate=backward(public, forward.value),
            memory_rate=figure(2e6 * copied, "measured", f"{SBC_REVIEWS}: memcpy of {copied:.0f} MB/s on one "
                                                         "core, doubled since "
                               "a copy reads and writes"),
            overhead_per_layer=per_layer,
            overhead_per_call=per_call(per_layer),
        ),
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
        (checks.speed_up(public), checks.training_from_inference(public)),
    )


def laptop(public: Public) -> Profile:
    """Laptop without a GPU."""
    device = "Laptop CPU: Core i7-1165G7"
    share, one = public.training_share, public.heavy(LAPTOP, 1)
    speed_up = round(float(public.speed_ups.median()), 2)
    where = (
        f"{NCNN}, MacBook Pro (15-inch, 2019, Core i7 2.6 GHz), one CPU thread: median of 2 x MACs / min_ms over "
        "the nine "
        f"{HEAVY.partition('nine ')[2]}, {one / 1e9:.1f} GFLOP/s"
    )
    forward = assumed(
        share * speed_up * one,
        f"{where}; times {speed_up}, the median speed-up of four threads over the {len(public.speed_ups)} "
        "devices that give "
        f"both; {training(public)}",
    )
    peak, watts = public.spec(device, "mem_bandwidth_peak"), public.spec(device, "tdp")
    per_layer = overhead(
        public, public.mips("Intel i3-N305"), "Intel i3-N305, the fastest x86 mobile chip in that list"
    )
    profile = Profile(
        name="laptop-cpu",
        description="Laptop without a GPU: four cores of a 2019-2020 Intel Core i7, FP32.",
        memory=memory(16e9, "assumed", "common for such a laptop"),
        cost_model=Roofline(
            forward_rate=forward,
            backward_rate=backward(public, forward.value),
            memory_rate=assumed(1e9 * peak / 2, f"half of the {peak:g} GB/s peak of a Core i7-1165G7 "
                                                "(LPDDR4x-4267 x 128 bit)"
                                + HALF_OF_PEAK),
            overhead_per_layer=per_layer,
            overhead_per_call=per_call(per_layer),
        ),
        jitter=jitter(0.05, "other programs run beside the training; no source was found"),
        power=power(
            assumed(8, "screen on, nothing running; no source was found"),
            assumed(8 + watts, f"the idle power plus the {watts:g} W of a Core i7-1165G7 (technosports.co.in)"),
        ),
    )  # fmt: skip
    assert isinstance(profile.cost_model, Roofline)
    single = assumed(share * one, f"{where}; {training(public)}")
    mode = Mode(
        description="One thread: without the assumption on the speed-up of four.",
        cost_model=replace(
            profile.cost_model, forward_rate=single, backward_rate=backward(public, single.value)
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
        (checks.speed_up(public), checks.training_from_inference(public)),
    )


CPUS = {board.name: (lambda public, board=board: _fitted(public, board)) for board in BOARDS} | {
    "raspberry-pi-5": pi5, "laptop-cpu": laptop,
}  # fmt: skip
