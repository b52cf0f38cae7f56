"""Predicts samples with a cost model, and says how wrong it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gapslsim.calibration.samples import Samples
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.grouped import GroupedModel, pick_group
from gapslsim.hardware.profile import HeldOutError
from gapslsim.hardware.terms import Array
from gapslsim.work import LayerCost

__all__ = ["errors_by_group", "held_out", "predict", "time_weighted", "weighted"]


def predict(model: CostModel, samples: Samples) -> Array:
    """Seconds of each sample, by the same code that a simulation runs; overheads per call are not in them."""
    layers, columns = samples.layers.reset_index(drop=True), samples.columns()
    if not isinstance(model, GroupedModel):
        return samples.total(_one_by_one(model, layers))
    seconds = np.zeros(len(layers))
    # Group by group: one layer after the other would take far longer for a public data set.
    for (phase, kind), rows in layers.groupby(["phase", "kind"], sort=False):
        at = rows.index.to_numpy()
        group = pick_group(model.groups, str(phase), str(kind))
        if group is None:
            continue
        if group.phase in (phase, "") or phase == "training":
            seconds[at] = group.seconds({name: column[at] for name, column in columns.items()})
        # A group of another phase stands in and scales, which only the model itself does right.
        else:
            seconds[at] = _one_by_one(model, rows)
    return samples.total(seconds)


def _one_by_one(model: CostModel, layers: pd.DataFrame) -> Array:
    seconds = np.empty(len(layers))
    for i, row in enumerate(layers.itertuples(index=False)):
        # A whole step: three passes that each start, move their bytes and share the work.
        passes = 3 if row.phase == "training" else 1
        counts = map(int, (row.n_parameters, row.n_activations, row.batch_size))
        phase: Any = "forward" if row.phase == "training" else row.phase
        layer = LayerCost("", row.kind, phase, row.work_flop / passes, row.moved_bytes, *counts)
        seconds[i] = model.layer_s(layer) * passes
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


def weighted(split: str, predicted: Array, measured: Array, group: str = "") -> HeldOutError:
    """The same with errors weighted by time: for computations that make up a whole, as layers do a step."""
    return replace(
        held_out(split, predicted, measured, group),
        time_weighted=_four(time_weighted(predicted, measured)),
        bias=_four(predicted.sum() / measured.sum() - 1),
    )


def time_weighted(predicted: Array, measured: Array) -> float:
    """Sum of absolute errors over the sum of measured times: what a step, the sum of its layers, is off by at most."""
    return float(np.abs(predicted - measured).sum() / measured.sum())


def errors_by_group(split: str, predicted: Array, samples: Samples) -> tuple[HeldOutError, ...]:
    """Errors over all samples, by phase, then by phase and kind of layer where samples are single layers."""
    made = [weighted(split, predicted, samples.seconds)]
    labels = [samples.phases, samples.labels] if samples.single else [samples.phases]
    for groups in labels:
        for label in dict.fromkeys(groups) if len(set(groups)) > 1 else ():
            at = groups == label
            made.append(weighted(split, predicted[at], samples.seconds[at], label))
    return tuple(made)


def _four(value: Any) -> float:
    return float(f"{float(value):.4g}")
