"""Makes the shipped hardware profiles again from the public data.

    python analysis/derive_profiles.py --data ../shared/data [--write]

Three kinds of numbers are in a shipped profile. Fitted ones (boards of ncnn, phones of FLASH) are fitted here, with
their held-out errors. Numbers computed from measurements by a rule are computed here. Published figures and
assumptions stand in the profile itself with their source. Without --write the script only says which numbers of the
files differ from what it makes (exit code 1 if any does).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gapslsim.calibration.calibrate import calibrate, check
from gapslsim.calibration.fits import Provenance, fit
from gapslsim.calibration.public_tables import convert
from gapslsim.calibration.samples import samples_of
from gapslsim.calibration.splits import run_split
from gapslsim.calibration.table import check_table
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.devices import load_profile
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import Calibration, FittedRange, Profile
from gapslsim.hardware.profile_file import profile_text

HEADER = "# A shipped device profile; format and rules in docs/hardware.md. Every number says how it was come by.\n"
PROFILES = Path(__file__).resolve().parent.parent / "hardware_profiles"
NCNN = "Tencent/ncnn@a4d2ea1d benchmark/README.md"
TRAINING = 0.80
"""Rate of a training runtime over that of an inference runtime, MNN on a Snapdragon 855; see `mnn_shares`."""
BACKWARD = 0.275
"""Rate of backward over forward passes, same source."""
BOARDS = {"raspberry-pi-3b-plus": "rpi3b+", "raspberry-pi-4b": "rpi4b"}
PHONES = {
    "phone-nexus-6": ("Google Nexus 6", "a slow phone of 2014 (Snapdragon 805)"),
    "phone-redmi-note-8": ("Xiaomi Redmi Note 8", "a mid-range phone of 2019 (Snapdragon 665)"),
}


def figure(value: float, status: Any, source: str) -> Figure[float]:
    """A figure rounded to three digits."""
    return Figure(value=float(f"{value:.3g}"), status=status, source=source)


def board(name: str, short: str, data: Path) -> Profile:
    """A board of ncnn: roofline fitted to whole networks, rates carried over to training by MNN's ratios."""
    old = load_profile(name)
    rows = convert("ncnn", data / "latency" / "ncnn_benchmark.csv")
    rows = rows[(rows.device == short) & (rows.power_mode == "cpu") & (rows.threads == 4)]
    table = check_table(rows.assign(kind=rows.kind.str.partition("/")[0]).reset_index(drop=True), "ncnn")
    samples = samples_of(table.compute)
    source = f"roofline fitted to {len(samples)} networks of {NCNN}, {short}, four threads (inference)"
    about = Provenance(source, Figure(value=0.0, status="assumed", source="not used"))
    made = fit("roofline", samples, about)
    assert isinstance(made, Roofline)
    assert isinstance(old.cost_model, Roofline)
    errors = run_split("leave_one_out", table, "roofline").errors
    forward = made.forward_rate.value
    # the fit names no layer of 1 / factor better than the others: kinds are relative to the rate
    kinds = {"forward elementwise": ("norm", "activation")}

    def by_kind(factors: dict[str, Figure[float]]) -> dict[str, Figure[float]]:
        out = {}
        for label, value in factors.items():
            for kind in kinds.get(label, (label.removeprefix("forward "),)):
                out[kind] = value
        return out

    model = replace(
        old.cost_model,
        forward_rate=figure(
            TRAINING * forward,
            "assumed",
            f"{source}: {forward / 1e9:.3g} GFLOP/s for a kind of efficiency 1; times {TRAINING}, training over "
            "inference runtime, from MNN on a Snapdragon 855 (see phone-midrange)",
        ),
        backward_rate=figure(
            TRAINING * BACKWARD * forward,
            "assumed",
            f"forward rate times {BACKWARD}, backward over forward rate in MNN on a Snapdragon 855",
        ),
        memory_rate=made.memory_rate,
        efficiency=by_kind(made.efficiency),
        memory_efficiency=by_kind(made.memory_efficiency),
    )
    layers = samples.layers[samples.layers.work_flop > 0]
    ranges = tuple(
        FittedRange(quantity=quantity, low=0.0, high=float(layers[quantity].max()))  # type: ignore[arg-type]
        for quantity in ("work_flop", "moved_bytes")
    )
    held = tuple(replace(error, split="leave one network out, inference before the training factor",
                         group="ncnn, 4 threads") for error in errors)  # fmt: skip
    what = f"whole networks at batch 1, {NCNN}, four threads, float"
    return replace(
        old,
        cost_model=model,
        calibration=Calibration(data=what, n_points=len(samples), held_out=held, fitted_range=ranges),
    )


def phone(name: str, device: str, what: str, data: Path) -> Profile:
    """A phone of FLASH: linear model of training steps, fitted to 1 % of its rows, checked on the rest."""
    rows = _flash(data)
    rows = rows[rows.device == device].reset_index(drop=True)
    drawn = np.zeros(len(rows), dtype=bool)
    for kind in rows.kind.unique():
        drawn[(rows.kind == kind).to_numpy()] = np.random.default_rng(0).random(20_000) < 0.01
    source = "flash_layer_train_time.csv.gz (PKU-Chengxu/FLASH@55cbede0)"
    table, rest = (check_table(rows[at].reset_index(drop=True), source) for at in (drawn, ~drawn))
    done = calibrate(table, "linear", name, load_profile("phone-midrange"))
    known = done.profile.calibration
    assert known is not None
    errors = tuple(
        replace(error, split="fit on 1 %, predict the other 99 %") for error in check(done.profile, rest)[2]
    )
    carried = "taken over from phone-midrange: "
    midrange = load_profile("phone-midrange")

    def taken(section: Any, **extra: Any) -> Any:
        names = [
            field for field in section.__dataclass_fields__ if isinstance(getattr(section, field), Figure)
        ]
        moved = {field: replace(getattr(section, field), status="assumed",
                                source=carried + getattr(section, field).source) for field in names}  # fmt: skip
        return replace(section, **moved, **extra)

    total = {"phone-nexus-6": 3e9, "phone-redmi-note-8": 4e9}[name]
    memory = replace(
        midrange.memory,
        total=Figure(
            value=total, status="assumed", source="common variant of this phone; no source was found"
        ),
        usable=Figure(value=total / 2, status="assumed", source="half of the total, as for phone-midrange"),
    )
    return replace(
        done.profile,
        description=f"{device}, {what}: training steps of LSTM, embedding and output layers in DL4J, as measured by "
        "FLASH. No convolution was measured; other layers are extrapolated from these.",
        memory=memory,
        jitter=taken(midrange.jitter),
        power=taken(midrange.power),
        calibration=replace(known, held_out=errors, fitted_range=()),
    )


@cache
def _flash(data: Path) -> pd.DataFrame:
    return convert("flash", data / "training" / "flash_layer_train_time.csv.gz")


def rules(data: Path) -> dict[str, dict[str, float]]:
    """Rates that are computed from measurements, by profile and name of the figure [base units]."""
    latency = data / "latency"
    ncnn = pd.read_csv(latency / "ncnn_benchmark.csv")
    ncnn = ncnn[(ncnn.precision == "float") & (ncnn.macs >= 1e9) & (ncnn.model != "vision_transformer")]

    def heavy(device: str, threads: int) -> float:
        at = (
            ncnn.device.str.contains(device, regex=False)
            & (ncnn.num_threads == threads)
            & (ncnn.backend == "cpu")
        )
        return float((2e3 * ncnn.macs / ncnn.min_ms)[at].median())

    forward, backward = mnn_rates(data)
    ratio = heavy("SM8550", 4) / heavy("SM8150", 4)
    pagoda = pd.read_csv(latency / "pagoda_orin_agx.csv")
    large = (pagoda.model == "resnet50") & (pagoda.batch_size >= 16)
    share = float((pagoda.flops / pagoda.latency_ms)[large].median()) * 1e3 / 5325e9
    bytes_share = (
        float((pagoda.mem_bytes / pagoda.latency_ms)[pagoda.model == "yolov8n"].max()) * 1e3 / 204.8e9
    )
    specs = pd.read_csv(data / "device_specs.csv").set_index(["device", "figure"]).value
    nasbench = pd.read_parquet(latency / "nasbench201_pi5_pixel.parquet")
    nasbench = nasbench[(nasbench.device == "pi5") & (nasbench.framework == "torchmobile")]
    nasbench = nasbench[(nasbench.task == "cifar100") & (nasbench.macs_live >= 1e8)]
    pi5 = "Raspberry Pi 5 Broadcom BCM2712, Cortex"
    one_core = float((2e3 * nasbench.macs_live / nasbench.lat_ms_median).median())
    epochs = pd.read_csv(data / "training" / "jetson_training_epochs.csv")
    epochs = epochs[epochs.task == "classification"]
    costs = pd.read_csv(latency / "ncnn_model_costs.csv").set_index("model")
    seconds = (epochs.seconds_per_epoch_low + epochs.seconds_per_epoch_high) / 2
    nano = float((6 * float(costs.loc["resnet18", "macs"]) * epochs.images_per_epoch / seconds).mean())
    made = {
        "jetson-nano": {"forward_rate": nano},
        "raspberry-pi-5": {"forward_rate": one_core * heavy(pi5, 4) / heavy(pi5, 1)},
        "phone-midrange": {"forward_rate": forward, "backward_rate": backward},
        "phone-flagship": {"forward_rate": ratio * forward, "backward_rate": ratio * backward},
        "laptop-cpu": {"forward_rate": TRAINING * 2.63 * heavy("MacBook Pro (15-inch, 2019)", 1)},
    }
    for name, device in (
        ("jetson-agx-orin", "Jetson AGX Orin 64GB"),
        ("jetson-orin-nx", "Jetson Orin NX 16GB"),
        ("jetson-orin-nano", "Jetson Orin Nano 8GB"),
    ):
        made[name] = {
            "forward_rate": share * float(specs[device, "gpu_peak_fp32"]) * 1e9,
            "memory_rate": bytes_share * float(specs[device, "mem_bandwidth_peak"]) * 1e9,
        }
    return made


def mnn_rates(data: Path) -> tuple[float, float]:
    """Forward and backward rate of a Snapdragon 855 in MNN's training runtime [FLOP/s]."""
    rows = pd.read_csv(data / "training" / "mnn_phone_training.csv")
    rows = rows[(rows.batch_size >= 8) & (rows.model != "Lenet")]
    rows = rows[~((rows.model == "Squeezenet") & (rows.batch_size == 32))]
    flop = 2e3 * rows.macs_fwd_per_sample * rows.batch_size
    forward = (flop / rows.infer_expr_ms).groupby(rows.model).median().median()
    backward = (2 * flop / (rows.train_ms - rows.infer_expr_ms)).groupby(rows.model).median().median()
    return float(forward), float(backward)


def by_rule(name: str, values: dict[str, float]) -> Profile:
    """The profile with rates set to what the rules give, where they are more than 1 % apart (rounding)."""
    profile = load_profile(name)
    assert isinstance(profile.cost_model, Roofline)
    changed = {}
    for field, value in values.items():
        held = getattr(profile.cost_model, field)
        if abs(held.value / value - 1) > 0.01:
            changed[field] = replace(held, value=float(f"{value:.3g}"))
    return replace(profile, cost_model=replace(profile.cost_model, **changed)) if changed else profile


def derived(data: Path) -> dict[str, Profile]:
    """Every profile that public data change or check."""
    made = {name: board(name, short, data) for name, short in BOARDS.items()}
    made |= {name: phone(name, device, what, data) for name, (device, what) in PHONES.items()}
    return made | {name: by_rule(name, values) for name, values in rules(data).items()}


def main() -> int:
    """Compares or writes; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Makes the shipped hardware profiles again from the public data."
    )
    parser.add_argument("--data", type=Path, default=PROFILES.parent.parent / "shared" / "data")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    different = 0
    for name, profile in sorted(derived(options.data).items()):
        path = PROFILES / f"{name}.yaml"
        same = path.is_file() and load_profile(str(path)) == profile
        different += not same
        errors = profile.calibration.held_out if profile.calibration else ()
        print(
            f"{name}: {'same' if same else 'different'}",
            *(f"{e.group or 'all'} {100 * e.mape:.1f} %" for e in errors),
        )
        if options.write and not same:
            path.write_text(HEADER + profile_text(profile), encoding="utf-8")
    return 0 if options.write else int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
