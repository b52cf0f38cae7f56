"""Phones: training in MNN and DL4J as measured, radios as measured, one scaled by ncnn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from device_rules import checks
from device_rules.boards import HALF_OF_PEAK
from device_rules.parts import assumed, evidence, figure, jitter
from device_rules.public import FLASH, HEAVY, MNN, NCNN, RADIO, Public
from gapslsim.calibration.calibrate import calibrate, check
from gapslsim.calibration.table import check_table
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Jitter, Memory, Mode, PowerDraw, Profile

NETWORKS = {
    "lte": ("LTE", "Verizon 4G LTE"),
    "5g": ("NSALow", "Verizon 5G NSA, low band"),
    "5g-mmwave": ("mmwave", "Verizon 5G NSA, mmWave"),
}
SCREEN = "an unnamed phone with its screen on"
CARRIED = "taken over from phone-midrange: "


def _line(public: Public, network: str, way: str) -> tuple[float, float]:
    """Power at rate 0 [W] and per bit [J] of a radio; four digits."""
    rows = public.radio
    rows = rows[(rows.network_type == network) & (rows.direction == way)]
    per_bit, base = np.polyfit(rows.throughput_mbit_s, rows.power_mw, 1)
    return round(float(base)) / 1e3, float(f"{per_bit:.2f}e-9")


def _radio_modes(public: Public, draw: PowerDraw) -> dict[str, Mode]:
    """Radios with their own power against throughput."""
    modes = {}
    for name, (network, words) in NETWORKS.items():
        made: dict[str, Figure[float]] = {}
        for state, way in (("send", "uplink"), ("receive", "downlink")):
            source = f"line of power over throughput, least squares over {RADIO}, {network} {way}; {SCREEN}"
            base, per_bit = _line(public, network, way)
            made[state] = Figure(value=base, status="fitted", source=source)
            made[f"{state}_per_bit"] = Figure(value=per_bit, status="fitted", source=source)
        modes[name] = Mode(
            description=f"Radio of {words}; its power depends on throughput.", power=replace(draw, **made)
        )
    return modes


def _power(public: Public) -> PowerDraw:
    """Power of a phone that trains in MNN, its radio on LTE at 20 Mbit/s."""
    rows = pd.read_csv(public.folder / "training" / "mnn_phone_training.csv").dropna(
        subset=["energy_j_per_batch"]
    )
    busy = float(f"{(1e3 * rows.energy_j_per_batch / rows.train_ms).median():.3g}")
    talking = {}
    for state, way, words in (("send", "uplink", "uplink"), ("receive", "downlink", "downlink")):
        base, per_bit = _line(public, "LTE", way)
        talking[state] = assumed(
            base + 20e6 * per_bit,
            f"line fitted to {RADIO} for LTE {words}, {base:g} W + {per_bit * 1e9:g} mW per Mbit/s, at 20 "
            f"Mbit/s; {SCREEN}",
        )
    return PowerDraw(
        idle=assumed(0.5, "screen off, radio asleep; no source was found"),
        compute=assumed(
            0.5 + busy,
            f"the idle power plus {busy:g} W, the median over networks and batch sizes of energy_j_per_batch / "
            "train_ms in "
            f"{MNN} (Meizu 16T, clock locked at 1.7 GHz, USB power less idle)",
        ),
        **talking,
    )


def _jitter(public: Public) -> Jitter:
    """Spread of windows of iterations in MNN."""
    rows = pd.read_csv(public.folder / "training" / "mnn_phone_training_windows.csv")
    logs = np.log(rows.window_ms / rows.window_iters)
    settings = logs.groupby([rows.device, rows.config, rows.model, rows.batch_size])
    enough = settings.size() >= 4
    return jitter(
        float(settings.std()[enough].median()),
        f"{MNN}, windows of about ten iterations: median over the {int(enough.sum())} settings with at least "
        "four windows "
        "of the standard deviation of log time per iteration; single steps may vary more",
        "measured",
    )


def midrange(public: Public) -> Profile:
    """Phone with a Snapdragon 855."""
    medians = public.mnn.groupby("model")[["forward", "backward"]].median()
    listed = {name: ", ".join(f"{rate / 1e9:.1f}" for rate in medians[name]) for name in medians}
    lenet, peak = public.lenet, public.spec("Phone mid-range: Snapdragon 778G", "mem_bandwidth_peak")
    origin = f"{MNN}, LeNet at batch 1 (config XIAOMI): "
    call_s = (lenet.train_ms - 3 * lenet.infer_expr_ms) / 3e3
    draw = _power(public)
    profile = Profile(
        name="phone-midrange",
        description="Mid-range phone: Xiaomi Mi 9 and Meizu 16T (Snapdragon 855), the phones with measured training; "
        "four CPU threads, MNN.",
        memory=Memory(
            total=assumed(6e9, "common variant of the Xiaomi Mi 9; no source was found"),
            usable=assumed(3e9, f"{MNN}: training that held 2.97 GB ran, training that held 4.3 GB thrashed"),
        ),
        cost_model=Roofline(
            forward_rate=figure(
                medians.forward.median(), "measured",
                f"{MNN}: 2 x MACs / infer_expr_ms (training runtime), median over AlexNet, GoogLeNet, MobileNet and "
                "SqueezeNet of the medians at batch 8 and more over three configurations, SqueezeNet at 32 left out: "
                + listed["forward"],
            ),
            backward_rate=figure(
                medians.backward.median(), "measured",
                f"{MNN}: 4 x MACs / (train_ms - infer_expr_ms), i.e. backward counted as twice forward and the update "
                f"included; same medians: {listed['backward']}",
            ),
            memory_rate=assumed(1e9 * peak / 2, f"half of the {peak:g} GB/s peak of a Snapdragon 778G (nanoreview.net)"
                                + HALF_OF_PEAK),
            overhead_per_layer=assumed(lenet.infer_expr_ms / 7e3, f"{origin}forward takes "
                                                                  f"{lenet.infer_expr_ms:.2f} ms for "
                                       "about seven layers", 1),
            overhead_per_call=assumed(call_s, f"{origin}a training step takes {lenet.train_ms:.2f} ms, nearly "
                                              "all of it "
                                      "overhead; what remains after three times the forward time, over its three "
                                      "calls", 2),
        ),
        jitter=_jitter(public),
        power=draw,
        modes=_radio_modes(public, draw),
    )  # fmt: skip
    return evidence(
        profile,
        "training steps of each network from the rates of the others",
        (checks.phone_networks(public),),
    )


def flagship(public: Public) -> Profile:
    """Phone with a Snapdragon 8 Gen 2: the mid-range one times a ratio of ncnn."""
    base = midrange(public)
    assert isinstance(base.cost_model, Roofline)
    fast, slow = public.heavy("SM8550", 4), public.heavy("SM8150", 4)
    ratio = (
        f"times {fast / slow:.2f}, the ratio of Snapdragon 8 Gen 2 to 855+ in {NCNN}, four CPU threads "
        f"({fast / 1e9:.1f} over "
        f"{slow / 1e9:.1f} GFLOP/s, {HEAVY})"
    )
    origin = f"as phone-midrange: {MNN}, LeNet at batch 1 (config XIAOMI)"
    rates = {
        name: assumed(
            fast / slow * getattr(base.cost_model, name).value,
            f"{name.replace('_', ' ')} of phone-midrange ({getattr(base.cost_model, name).value / 1e9:g} "
            f"GFLOP/s) {ratio}",
        )
        for name in ("forward_rate", "backward_rate")
    }
    peak = public.spec("Phone flagship: Snapdragon 8 Gen 2", "mem_bandwidth_peak")
    profile = replace(
        base,
        name="phone-flagship",
        description="Flagship phone: Snapdragon 8 Gen 2, four CPU threads, a training runtime as MNN.",
        memory=Memory(
            total=assumed(12e9, "common for phones with a Snapdragon 8 Gen 2; no source was found"),
            usable=assumed(6e9, "half of the total, as for phone-midrange"),
        ),
        cost_model=replace(
            base.cost_model,
            **rates,
            memory_rate=assumed(1e9 * peak / 2, f"half of the {peak:g} GB/s peak (LPDDR5X at 8400 MT/s x 64 "
                                                "bit)" + HALF_OF_PEAK),
            overhead_per_layer=assumed(base.cost_model.overhead_per_layer.value, origin),
            overhead_per_call=assumed(base.cost_model.overhead_per_call.value, origin),
        ),
        jitter=jitter(base.jitter.sigma.value, "as measured for phone-midrange"),
    )  # fmt: skip
    return evidence(
        profile, "none: no training was measured on this device; inference checks the ratio", (),
        (checks.phone_ratio(public), checks.phone_networks(public)),
    )  # fmt: skip


def _flash(public: Public, name: str, device: str, what: str, total: float) -> Profile:
    """A phone of FLASH: linear model of training steps, fitted to 1 % of its rows, checked on the rest."""
    rows = public.flash
    rows = rows[rows.device == device].reset_index(drop=True)
    drawn = np.zeros(len(rows), dtype=bool)
    for kind in rows.kind.unique():
        drawn[(rows.kind == kind).to_numpy()] = np.random.default_rng(0).random(20_000) < 0.01
    table, rest = (check_table(rows[at].reset_index(drop=True), FLASH) for at in (drawn, ~drawn))
    base = midrange(public)
    done = calibrate(table, "linear", name, base)
    known = done.profile.calibration
    assert known is not None
    errors = tuple(
        replace(one, split="fit on 1 %, predict the other 99 %")
        for one in check(done.profile.cost_model, rest)[2]
    )
    draw = PowerDraw(
        **{
            state: replace(getattr(base.power, state), status="assumed",
                           source=CARRIED + getattr(base.power, state).source)
            for state in ("idle", "compute", "send", "receive")
        }
    )  # fmt: skip
    profile = replace(
        done.profile,
        description=f"{device}, {what}: training steps of LSTM, embedding and output layers in DL4J, as measured by "
        "FLASH. No convolution was measured; other layers are extrapolated from these.",
        memory=Memory(
            total=assumed(total, "common variant of this phone; no source was found"),
            usable=assumed(total / 2, "half of the total, as for phone-midrange"),
        ),
        jitter=jitter(base.jitter.sigma.value, CARRIED + base.jitter.sigma.source),
        power=draw,
        modes=_radio_modes(public, draw),
        calibration=replace(known, held_out=errors),
    )
    return evidence(profile, "training steps of 99 % of the sizes from 1 % (calibration.held_out)")


PHONES = {
    "phone-midrange": midrange,
    "phone-flagship": flagship,
    "phone-nexus-6": lambda public: _flash(
        public, "phone-nexus-6", "Google Nexus 6", "a slow phone of 2014 (Snapdragon 805)", 3e9
    ),
    "phone-redmi-note-8": lambda public: _flash(
        public, "phone-redmi-note-8", "Xiaomi Redmi Note 8", "a mid-range phone of 2019 (Snapdragon 665)", 4e9
    ),
}
