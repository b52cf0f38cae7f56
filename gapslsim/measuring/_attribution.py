"""From the times of passes to rows of layers and calls that add up to them.

A pass takes longer than its layers together: the module is entered, tensors are put in place, the gradient
engine starts. Over all passes of a phase, what is left is split by least squares (relative to the pass, not negative)
into a part per call and a part per layer. The latter is added to every layer's time.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gapslsim.measuring.passes import SideTimes
from gapslsim.measuring.table import Machine, Measurement, compute_row
from gapslsim.stages.clock import keep, quantiles
from gapslsim.work import Cost, LayerCost, Phase

__all__ = ["Rest", "call_s", "rows_of_passes", "split_rest"]

_PHASES: tuple[Phase, ...] = ("forward", "backward")


@dataclass(frozen=True)
class Rest:
    """What passes take beside their layers [s]."""

    per_call_s: float
    per_layer_s: float


def split_rest(n_layers: Sequence[int], rest_s: Sequence[float], whole_s: Sequence[float]) -> Rest:
    """Least squares of rest = call + n layer, each pass weighing 1 / whole, both parts 0 or more.

    Args:
        n_layers: of each pass.
        rest_s: time of each pass less that of its layers.
        whole_s: time of each pass.
    """
    weight = 1.0 / np.asarray(whole_s, dtype=float)
    counts = np.asarray(n_layers, dtype=float)
    columns = np.stack([weight, counts * weight], axis=1)
    (per_call, per_layer), _ = nnls(columns, np.asarray(rest_s, dtype=float) * weight)
    return Rest(float(per_call), float(per_layer))


def rows_of_passes(machine: Machine, passes: Sequence[SideTimes], repeats: int) -> list[Measurement]:
    """Rows of layers, calls and whole sides.

    Args:
        machine: what was measured.
        passes: times of sides.
        repeats: rows per layer at most.
    """
    rows: list[Measurement] = []
    for phase in _PHASES:
        timed = [_Timed(side, phase) for side in passes if side.whole_s.get(phase)]
        timed = [one for one in timed if one.layers]
        if not timed:
            continue
        rest = split_rest(
            [len(one.layers) for one in timed],
            [one.rest_s for one in timed],
            [one.whole_s for one in timed],
        )
        middle_s = statistics.median(one.whole_s for one in timed)
        for one in timed:
            rows += one.rows(machine, rest.per_layer_s, repeats)
            if one.whole_s <= middle_s:  # in a long pass what is left is lost in the noise
                left_s = one.rest_s - len(one.layers) * rest.per_layer_s
                call = LayerCost(one.side.name, "call", phase, 0.0, 0.0, batch_size=one.side.batch_size)
                rows.append(compute_row(machine, call, max(left_s, 1e-9)))
    return rows


def call_s(rows: Sequence[Measurement]) -> float:
    """Median time of a call over forward and backward passes [s]; 0 if none was measured."""
    found = [row.time_s for row in rows if row.kind == "call" and row.time_s is not None]
    return statistics.median(found) if found else 0.0


class _Timed:
    """One phase of one side: kept samples per layer, and what is left of the whole."""

    def __init__(self, side: SideTimes, phase: Phase) -> None:
        self.side = side
        self.phase = phase
        self.cost: Cost = side.cost.forward if phase == "forward" else side.cost.backward
        self.layers = [layer for layer in self.cost.layers if (phase, layer.name) in side.layers_s]
        self._kept = {layer.name: keep(side.layers_s[phase, layer.name]) for layer in self.layers}
        self._whole = keep(side.whole_s[phase])
        self.whole_s = self._whole.median_s
        parts_s = sum(samples.median_s for samples in self._kept.values())
        self._scale = min(1.0, self.whole_s / parts_s) if parts_s > 0 else 1.0
        self.rest_s = self.whole_s - self._scale * parts_s

    def rows(self, machine: Machine, per_layer_s: float, repeats: int) -> list[Measurement]:
        """Rows of the layers and of the whole."""
        rows: list[Measurement] = []
        for layer in self.layers:
            kept = self._kept[layer.name]
            note = f"{self.side.name}; of {len(kept.seconds)} kept, {kept.n_outliers} slow ones left out"
            if self._scale < 1:
                note += f", scaled by {self._scale:.3f} to the whole pass"
            for sample in quantiles(kept.seconds, repeats):
                rows.append(compute_row(machine, layer, sample * self._scale + per_layer_s, note))
        whole = LayerCost(
            self.side.name, "whole", self.phase, self.cost.work_flop, self.cost.moved_bytes,
            self.side.cost.n_parameters, batch_size=self.side.batch_size,
        )  # fmt: skip
        note = f"{len(self._whole.seconds)} kept, {self._whole.n_outliers} slow ones left out"
        return rows + [
            compute_row(machine, whole, sample, note) for sample in quantiles(self._whole.seconds, repeats)
        ]
