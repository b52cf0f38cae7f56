"""Public data sets as measurement tables: FLASH, ncnn, NAS-Bench-201 on Raspberry Pi 5 and Pixel.

Each function reads a file of the public data as published (with costs added; see the data's README) and gives
a table in the documented schema, so that a device of these sets goes through the same commands as one's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from gapslsim.errors import ComponentError, unknown
from gapslsim.regular_files import is_file

__all__ = ["convert"]

_VIEWS = {"Input", "Split", "Flatten", "Reshape", "MemoryData", "Noop", "PriorBox", "Slice", "Crop"}
"""Layers of ncnn that move nothing or next to nothing."""
_KINDS = {
    "ConvolutionDepthWise": "depthwise", "DeconvolutionDepthWise": "depthwise", "InnerProduct": "linear",
    "Gemm": "attention", "MultiHeadAttention": "attention", "Pooling": "pool",
}  # fmt: skip
_BYTES = 4.0


def flash(path: Path) -> pd.DataFrame:
    """FLASH: training steps of one layer on phones (DL4J), `flash_layer_train_time.csv.gz`.

    A step is forward, backward and update, timed as one: phase `training`, three times the FLOP of the forward pass.
    Inputs are batch x sequence x in_size numbers, or batch x sequence indices for an embedding.
    """
    data = pd.read_csv(path)
    steps = data.batch_size * data.seq_len
    inputs = np.where(data.layer == "embedding", steps, steps * data.in_size)
    outputs = steps * data.out_size
    return pd.DataFrame(
        {
            "device": data.device,
            "runtime": "DL4J",
            "phase": "training",
            "kind": data.layer,
            "name": data.layer + " " + data.in_size.astype(str) + "-" + data.out_size.astype(str)
            + " x" + data.seq_len.astype(str),
            "work_flop": 3 * 2 * data.macs_fwd,
            "moved_bytes": _BYTES * (inputs + outputs + data.params),
            "n_parameters": data.params,
            "n_activations": outputs,
            "batch_size": data.batch_size,
            "time_s": data.train_time_s,
        }
    )  # fmt: skip


def ncnn(path: Path) -> pd.DataFrame:
    """Ncnn's benchmark: whole networks, batch 1, `ncnn_benchmark.csv` with `ncnn_model_layers.csv` beside it.

    One sample per network in floating point; its layers are its rows, so that kinds of layers can be told apart.
    Times are the smallest of the runs. Device is the board's short name (or its heading), power mode is the backend.
    """
    data = pd.read_csv(path)
    layers = _ncnn_layers(path.with_name("ncnn_model_layers.csv"))
    data = data[(data.precision == "float") & data.model.isin(layers.model)]
    data = data.assign(device=data.board.fillna(data.device))
    data["sample"] = data.model + " " + data.block.astype(str) + " " + data.index.astype(str)
    rows = data[["device", "backend", "num_threads", "model", "sample", "min_ms"]].merge(layers, on="model")
    # The time is the whole network's, so that one row of it carries it.
    first = ~rows["sample"].duplicated()
    return pd.DataFrame(
        {
            "device": rows.device,
            "runtime": "ncnn",
            "phase": "forward",
            "kind": rows.kind,
            "name": rows["name"],
            "work_flop": 2.0 * rows.macs,
            "moved_bytes": _BYTES * (rows.in_elems + rows.out_elems + rows.params),
            "n_parameters": rows.params,
            "n_activations": rows.out_elems,
            "batch_size": 1,
            "threads": rows.num_threads,
            "power_mode": rows.backend,
            "sample": rows["sample"],
            "time_s": (rows.min_ms * 1e-3).where(first),
        }
    )


def _ncnn_layers(path: Path) -> pd.DataFrame:
    layers = pd.read_csv(path)
    layers = layers[~layers.type.isin(_VIEWS)]
    conv = layers.type.isin(["Convolution", "Deconvolution"])
    kind = layers.type.map(_KINDS).fillna("elementwise")
    # From the general to the special: later masks overwrite.
    kind = kind.mask(conv, "conv2d/other")
    kind = kind.mask(conv & (layers.kernel == 1), "conv2d/1x1")
    kind = kind.mask(conv & (layers.kernel == 3) & (layers.stride == 1), "conv2d/3x3")
    return layers.assign(kind=kind)


def nasbench(path: Path) -> pd.DataFrame:
    """NAS-Bench-201 networks, batch 1, `nasbench201_pi5_pixel.parquet`.

    One sample per network. Its rows are the operations on a path from input to output (15 cells, each with these) and
    the fixed rest of the network. Networks without any such operation are left out. Runtime is `framework task`.
    """
    data = pd.read_parquet(path).astype({"device": str, "framework": str, "task": str})
    operations = ["nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect"]
    live = data[[f"live_{name}" for name in operations]].to_numpy(float)
    data, live = data[live.sum(axis=1) > 0], live[live.sum(axis=1) > 0]
    per_3x3 = {}
    for task, part in data.groupby("task"):
        # The data give the sum of multiply-accumulates alone; the intercept is the fixed rest of the network.
        design = np.c_[np.ones(len(part)), part.live_nor_conv_3x3, part.live_nor_conv_1x1]
        per_3x3[task] = np.linalg.lstsq(design, part.macs_live, rcond=None)[0]
    fixed, conv3, conv1 = (data.task.map({task: made[i] for task, made in per_3x3.items()}) for i in range(3))
    # mean over three stages of 16, 32 and 64 channels, the image halved each time
    pixels = conv3 / 15 / (9 * 256)
    outputs = pixels * 28 / 3
    weights = (256 + 1024 + 4096) / 3
    specs = {
        "conv2d": (np.ones(len(data)), 2 * fixed, 108000.0, 6 * outputs),
        "conv2d/3x3": (live[:, 0] * 15, 2 * conv3 / 15, 9 * weights, outputs),
        "conv2d/1x1": (live[:, 1] * 15, 2 * conv1 / 15, weights, outputs),
        "pool": (live[:, 2] * 15, 9 * outputs, 0.0, outputs),
        "elementwise": (live[:, 3] * 15, outputs, 0.0, outputs),
    }
    parts = []
    for kind, (count, flop, parameters, activations) in specs.items():
        parts.append(
            pd.DataFrame(
                {
                    "device": data.device,
                    "runtime": data.framework + " " + data.task,
                    "phase": "forward",
                    "kind": kind,
                    "work_flop": np.round(flop),
                    "moved_bytes": np.round(_BYTES * (2 * activations + parameters)),
                    "n_parameters": np.round(parameters),
                    "n_activations": np.round(activations),
                    "batch_size": 1,
                    "count": count,
                    "sample": data.arch_idx.astype(str) + " " + data.framework + " " + data.task,
                    "time_s": data.lat_ms_median * 1e-3 if kind == "conv2d" else np.nan,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    return table[table["count"] > 0].reset_index(drop=True)


PUBLIC: dict[str, Callable[[Path], pd.DataFrame]] = {"flash": flash, "ncnn": ncnn, "nasbench": nasbench}
"""Converters by name."""


def convert(name: str, path: Path) -> pd.DataFrame:
    """A public data set as a measurement table.

    Raises:
        ComponentError: if there is no such converter or file.
    """
    if name not in PUBLIC:
        raise ComponentError(unknown("data set", name, PUBLIC))
    if not is_file(path):
        raise ComponentError(f"There is no file {path}; give the path of the data set's file.")
    try:
        return PUBLIC[name](path)
    except (AttributeError, KeyError, ValueError, OSError) as error:
        raise ComponentError(f"{path} is not the file of data set {name!r}: {error}.") from error
