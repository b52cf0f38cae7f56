"""Predicts samples with a cost model, and says how wrong it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from gapslsim.calibration.samples import Samples
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.grouped import GroupedModel, pick_group
from gapslsim.hardware.profile import HeldOutError
from gapslsim.hardware.terms import Array
from gapslsim.work import LayerCost

__all__ = ["errors_by_group", "held_out", "predict"]


def predict(model: CostModel, samples: Samples) -> Array:
    """Seconds of each sample, by the same code that a simulation runs; overheads per call are not in them."""
    layers, columns = samples.layers, samples.columns()
    seconds = np.zeros(len(layers))
    if isinstance(model, GroupedModel):
        for (phase, kind), rows in layers.reset_index(drop=True).groupby(["phase", "kind"], sort=False):
            at = rows.index.to_numpy()
            # Group by group: one layer after the other would take far longer for a public data set.
            group = pick_group(model.groups, str(phase), str(kind))
            if group is not None and (group.phase == phase or group.phase == "" or phase == "training"):
                seconds[at] = group.seconds({name: column[at] for name, column in columns.items()})
            # A group of another phase stands in and scales, which only the model itself does right.
            elif group is not None:
                seconds[at] = _one_by_one(model, samples, at)
        return samples.total(seconds)
    return samples.total(_one_by_one(model, samples, np.arange(len(layers))))


def _one_by_one(model: CostModel, samples: Samples, at: Any) -> Array:
    columns = samples.columns()
    phases, kinds = samples.layers.phase.to_numpy()[at], samples.layers.kind.to_numpy()[at]
    picked = {name: column[at] for name, column in columns.items()}
    seconds = np.empty(len(at))
    for i, (phase, kind) in enumerate(zip(phases, kinds, strict=True)):
        training = phase == "training"
        # a whole step: three passes that each start, move their bytes and share the work
        layer = LayerCost(
            "",
            str(kind),
            cast("Any", "forward" if training else phase),
            picked["work_flop"][i] / (3 if training else 1),
            picked["moved_bytes"][i],
            int(picked["n_parameters"][i]),
            int(picked["n_activations"][i]),
            int(picked["batch_size"][i]),
        )
        seconds[i] = model.layer_s(layer) * (3 if training else 1)
    return seconds


def held_out(split: str, predicted: Array, measured: Array, group: str = "") -> HeldOutError:
    """Mean, median and 95th percentile of |predicted / measured - 1|."""
    error = np.abs(predicted / measured - 1)
    return HeldOutError(
        split=split,
        group=group,
        n_points=len(error),
        mape=_four(error.mean()),
        median=_four(np.median(error)),
        p95=_four(np.percentile(error, 95)),
    )


def errors_by_group(split: str, predicted: Array, samples: Samples) -> tuple[HeldOutError, ...]:
    """Errors over all samples, then by phase and kind of layer where samples are single layers."""
    made = [held_out(split, predicted, samples.seconds)]
    if samples.single:
        labels: Sequence[str] = (samples.layers.phase + " " + samples.layers.kind).tolist()
        groups = list(dict.fromkeys(labels))
        for label in groups if len(groups) > 1 else []:
            at = np.array([one == label for one in labels])
            made.append(held_out(split, predicted[at], samples.seconds[at], label))
    return tuple(made)


def _four(value: Any) -> float:
    return float(f"{float(value):.4g}")
