"""How wrong the rules are: each is asked for something that was measured and that it was not told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from device_rules.public import Public, mnn_ratio
from gapslsim.calibration._prediction import held_out
from gapslsim.hardware.profile import HeldOutError


def error(split: str, predicted: pd.Series, measured: pd.Series, group: str) -> HeldOutError:
    """Mean, median and 95th percentile."""
    return held_out(split, np.asarray(predicted, float), np.asarray(measured, float), group)


def left_out(
    groups: pd.Series, rows: pd.DataFrame, predict: Callable[[pd.DataFrame, pd.DataFrame], pd.Series]
) -> pd.Series:
    """Predictions of each group's rows from the rows of all other groups."""
    return pd.concat([predict(rows[groups != one], rows[groups == one]) for one in groups.unique()]).reindex(
        rows.index
    )


def nano_epochs(public: Public) -> HeldOutError:
    """Time of one published epoch from the rate that the other shows."""
    rows = public.epochs[public.epochs.task == "classification"]
    rate = rows.images_per_epoch / rows.seconds
    predicted = left_out(
        pd.Series(rows.index, rows.index),
        rows,
        lambda fit, held: held.images_per_epoch / rate[fit.index].mean(),
    )
    return error("leave one published epoch out", predicted, rows.seconds, "ResNet-18 training, 2 epochs")


def ssd_training(public: Public, seconds_per_image: Callable[[pd.DataFrame], float]) -> HeldOutError:
    """SSD-Mobilenet training on Jetson Nano, which its profile does not use; 300 x 300 pixels are assumed."""
    rows = public.ncnn_layers
    network = rows[(rows.device == "jetson-nano") & rows["sample"].str.startswith("mobilenet_ssd ")]
    network = network[network["sample"] == network["sample"].iloc[0]]
    at = public.epochs[(public.epochs.task == "detection") & (public.epochs.device == "Jetson Nano")]
    return error(
        "predict a network that was not used",
        pd.Series([seconds_per_image(network)]),
        1 / at.images_per_s,
        "SSD-Mobilenet-v1 training, batch 4, 300 x 300 assumed",
    )


def xavier_by_peak(public: Public) -> HeldOutError:
    """Training rate of Xavier NX from that of Nano by the ratio of FP32 peaks."""
    rows = public.epochs[public.epochs.task == "detection"].set_index("device").images_per_s
    ratio = _peaks(public, "Jetson Xavier NX 8GB", "Jetson Nano 4GB")
    return error(
        "share of FP32 peak: one Jetson from another",
        pd.Series([1 / (rows["Jetson Nano"] * ratio)]),
        pd.Series([1 / rows["Jetson Xavier NX"]]),
        "Nano to Xavier NX, SSD-Mobilenet-v1 training in PyTorch",
    )


def opencv_by_peak(public: Public) -> HeldOutError:
    """Times of networks on Orin Nano from those on Nano by the ratio of FP32 peaks (OpenCV, CUDA, FP32)."""
    rows = public.opencv_zoo[public.opencv_zoo["mode"] == "GPU (CUDA-FP32)"]
    key = ["model", "files", "input_w", "input_h"]
    rows = rows.assign(key=rows[key].astype(str).agg(" ".join, axis=1))
    rows = rows.pivot_table(index="key", columns="device", values="median_ms").dropna()
    ratio = _peaks(public, "Jetson Orin Nano 8GB", "Jetson Nano 4GB")
    return error(
        "share of FP32 peak: one Jetson from another",
        rows["Jetson Nano B01"] / ratio,
        rows["Jetson Nano Orin"],
        "Nano to Orin Nano, inference in OpenCV, CUDA, FP32, batch 1",
    )


def orin_by_peak(public: Public) -> HeldOutError:
    """Times of heavy networks on Orin Nano from those on AGX Orin by the ratio of FP32 peaks (ncnn, Vulkan)."""
    there, here = (
        public.ncnn_rows(board, 1, "vulkan").set_index("model").min_ms
        for board in ("jetson-agx-orin", "jetson-orin-nano")
    )
    both = there.index.intersection(here.index)
    ratio = _peaks(public, "Jetson Orin Nano 8GB", "Jetson AGX Orin 64GB")
    return error(
        "share of FP32 peak: one Orin from another",
        there[both] / ratio,
        here[both],
        "AGX Orin to Orin Nano, inference in ncnn, Vulkan, networks of 1 GMAC or more, batch 1 (other versions "
        "of ncnn)",
    )


def _peaks(public: Public, over: str, under: str) -> float:
    return public.spec(over, "gpu_peak_fp32") / public.spec(under, "gpu_peak_fp32")


def agx_others(public: Public, rate: float, byte_rate: float, call_s: float) -> HeldOutError:
    """Inference of networks on AGX Orin that its rates were not taken from, from their FLOP and traffic."""
    rows = public.pagoda[(public.pagoda.model != "resnet50") & (public.pagoda.batch_size >= 16)]
    rows = rows[~((rows.model == "yolov8n") & (rows.batch_size == 32))]
    predicted = call_s + np.maximum(rows.flops / rate, rows.mem_bytes / byte_rate)
    return error(
        "predict networks that were not used",
        predicted,
        rows.latency_ms / 1e3,
        "lstm, mobnet, yolov8n, bert-large at batch 16 and more, inference; overheads of layers left out",
    )


def training_from_inference(public: Public) -> HeldOutError:
    """Training steps in MNN from its inference rates; the two ratios are those of the other networks."""
    rows = public.mnn.dropna(subset=["session"])

    def predict(fit: pd.DataFrame, held: pd.DataFrame) -> pd.Series:
        forward = mnn_ratio(fit, "forward", "session") * held.session
        return held.flop / forward * (1 + 2 / mnn_ratio(fit, "backward", "forward"))

    return error(
        "training from inference rate: leave one network out",
        left_out(rows.model, rows, predict),
        rows.train_ms / 1e3,
        "whole training steps in MNN, Snapdragon 855, batch 8 and more",
    )


def phone_networks(public: Public) -> HeldOutError:
    """Training steps in MNN from the forward and backward rates of the other networks."""
    rows = public.mnn

    def predict(fit: pd.DataFrame, held: pd.DataFrame) -> pd.Series:
        rates = fit.groupby("model")[["forward", "backward"]].median().median()
        return held.flop * (1 / rates.forward + 2 / rates.backward)

    return error(
        "leave one network out", left_out(rows.model, rows, predict), rows.train_ms / 1e3,
        "whole training steps in MNN, batch 8 and more",
    )  # fmt: skip


def heavy_networks(public: Public, device: str, threads: int, group: str) -> HeldOutError:
    """Inference in ncnn of one heavy network from the median rate of the others."""
    rows = public.ncnn_rows(device, threads)
    predicted = left_out(rows.model, rows, lambda fit, held: held.macs * 2 / 1e6 / fit.gflops.median())
    return error("leave one network out, inference before the training factor", predicted, rows.min_ms, group)


def phone_ratio(public: Public) -> HeldOutError:
    """Inference in ncnn on one phone from the other's time of the same network; the ratio is of other networks."""
    slow, fast = (public.ncnn_rows(phone, 4).set_index("model") for phone in ("SM8150", "SM8550"))
    rows = fast.assign(other_ms=slow.min_ms, other=slow.gflops).dropna(subset=["other_ms"])
    names = pd.Series(rows.index, rows.index)
    predicted = left_out(
        names, rows, lambda fit, held: held.other_ms * fit.other.median() / fit.gflops.median()
    )
    return error(
        "ratio of two phones: leave one network out", predicted, rows.min_ms,
        "Snapdragon 855+ to 8 Gen 2, inference in ncnn, four threads",
    )  # fmt: skip


def speed_up(public: Public) -> HeldOutError:
    """Time with four threads from the speed-up of the other devices."""
    rows = public.speed_ups
    predicted = pd.Series({one: 1 / rows.drop(one).median() for one in rows.index})
    return error(
        "speed-up of four threads: leave one device out", predicted, 1 / rows,
        "heavy networks in ncnn, devices that give one and four threads",
    )  # fmt: skip


def clock_ratio(public: Public) -> HeldOutError:
    """Times on an overclocked Raspberry Pi 5 by the ratio of clocks; no GPU was measured at two clocks."""
    here, there = (
        public.ncnn_rows(board, 4).drop_duplicates("model").set_index("model").min_ms
        for board in ("rpi5", "rpi5-oc")
    )
    both = here.index.intersection(there.index)
    return error(
        "rate by the ratio of clocks", here[both] * 2.4 / 2.9, there[both],
        "Raspberry Pi 5 at 2.4 to 2.9 GHz, inference in ncnn, four threads (no GPU was measured at two clocks)",
    )  # fmt: skip


def pi5_architectures(public: Public) -> tuple[HeldOutError, ...]:
    """One core of Raspberry Pi 5: the median rate of 100 architectures predicts the others."""
    made = []
    drawn = None
    for task in ("cifar100", "ninapro", "darcy"):
        rows = public.pi5[(public.pi5.task == task)].sort_values("arch_idx")
        live = rows[[column for column in rows if str(column).startswith("live_nor") or column in
                     ("live_avg_pool_3x3", "live_skip_connect")]].sum(axis=1) > 0  # fmt: skip
        rows = rows[live.to_numpy()].reset_index(drop=True)
        flop, seconds = 2.0 * rows.macs_live, rows.lat_ms_median / 1e3
        if drawn is None:
            drawn = np.random.default_rng(0).permutation(len(rows))[:100]
            large = [i for i in drawn if rows.macs_live[i] >= 1e8]
            rate = float((flop / seconds)[large].median())
            rest = rows.index.difference(drawn)
        else:
            rest = rows.index
        made.append(
            error(
                "rate of 100 architectures (cifar100), predict the others, one core, inference",
                flop[rest] / rate, seconds[rest], f"Torch Mobile, {task}",
            )
        )  # fmt: skip
    return tuple(made)
