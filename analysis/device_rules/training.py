"""Cost models of CPUs from training: per-layer times of VGG-19 in PyTorch (`testbed/split_layer_times.csv`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from device_rules import checks
from device_rules.parts import figure
from device_rules.public import Public
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import HeldOutError
from gapslsim.models.cost import split_cost
from gapslsim.models.zoo.torchvision import Torchvision
from gapslsim.work import LayerCost

__all__ = [
    "LAYERS",
    "Passes",
    "block_ratios",
    "cpu_model",
    "fitted_passes",
    "held_out_layers",
    "passes_of",
    "times",
    "update_rate",
]

LAYERS = "jtirana98/SFL-workflow-optimization@62f7332a real_data/, VGG-19 at batch 128 in PyTorch"
BATCH = 128
N_ROWS = 25
Phase = Literal["forward", "backward"]
PHASES: tuple[Phase, ...] = ("forward", "backward")
_KINDS = ("conv2d", "activation", "norm", "pool", "linear", "attention", "depthwise", "other")
_NAMES = ("rate", "linear", "memory", "pool", "weights", "layer_s")


@dataclass(frozen=True)
class Passes:
    """Figures of one phase on one machine."""

    rate: float
    """Of convolutions [FLOP/s]."""
    linear: float
    """Of linear layers over that of convolutions."""
    memory: float
    """[B/s]"""
    pool: float
    """Memory rate of pooling over that of other layers."""
    weights: float
    """Rate at which convolutions go through their weights, once per sample [B/s]."""
    layer_s: float
    """Of each layer [s]."""

    def times(self, rates: float, memory: float, layer_s: float) -> Passes:
        """With arithmetic, memory and overheads so many times as fast."""
        return replace(
            self,
            rate=self.rate * rates,
            weights=self.weights * rates,
            memory=self.memory * memory,
            layer_s=self.layer_s / layer_s,
        )

    def seconds(self, layers: Sequence[LayerCost]) -> float:
        """Of layers in a row."""
        return sum(self._layer_s(layer) for layer in layers)

    def _layer_s(self, layer: LayerCost) -> float:
        rate = self.rate * (self.linear if layer.kind == "linear" else 1.0)
        memory = self.memory * (self.pool if layer.kind == "pool" else 1.0)
        weights = 4.0 * layer.batch_size * layer.n_parameters if layer.kind == "conv2d" else 0.0
        return self.layer_s + max(layer.work_flop / rate, layer.moved_bytes / memory, weights / self.weights)


@cache
def rows_of(phase: Phase) -> tuple[tuple[LayerCost, ...], ...]:
    """The layers behind each of the source's 25 rows: what follows a convolution or a linear layer is with it."""
    sides = split_cost(Torchvision(arch="vgg19", cut=1), (3, 32, 32), 10, BATCH)
    forward = [layer for side in (sides.client, sides.server) for layer, _ in side.forward.flat()]
    names: list[list[str]] = []
    for layer in forward:
        if layer.kind in ("conv2d", "pool", "linear"):
            names.append([])
        if "loss" not in layer.kind:
            names[-1].append(layer.name)
    costs = [getattr(side, phase) for side in (sides.client, sides.server)]
    by_name = {layer.name: layer for cost in costs for layer, _ in cost.flat()}
    return tuple(tuple(by_name[name] for name in row if name in by_name) for row in names)


def times(public: Public, device: str, dataset: str = "cifar") -> pd.DataFrame:
    """Seconds of each row: columns forward, backward, update; 0 where the source has none."""
    table = pd.read_csv(public.folder / "testbed" / "split_layer_times.csv")
    own = table[(table.device == device) & (table.dataset == dataset)].sort_values("layer")
    columns = {f"{name}_ms": name for name in ("forward", "backward", "update")}
    return own.rename(columns=columns)[[*columns.values()]].reset_index(drop=True) / 1e3


def passes_of(measured: np.ndarray, phase: Phase, used: Sequence[int] | None = None) -> Passes:
    """Fitted figures of one phase: least squares on logarithms, rows weighted by the root of their share of the time.

    Args:
        measured: seconds of the source's rows.
        phase: which pass.
        used: rows to fit to; all that were measured unless given.
    """
    rows = rows_of(phase)
    chosen = [i for i in (range(N_ROWS) if used is None else used) if measured[i] > 0]
    wanted = measured[chosen]
    weight = np.sqrt(wanted / wanted.sum()) + 0.02
    # Where rows say nothing of a figure, it stays where all of the time would be its own.
    flop, moved = (
        sum(getattr(layer, what) for i in chosen for layer in rows[i])
        for what in ("work_flop", "moved_bytes")
    )
    usual = np.log([flop / wanted.sum(), 1.0, 5 * moved / wanted.sum(), 1.0, 2 * moved / wanted.sum(), 1e-4])
    spread = np.array([3.0, 0.7, 3.0, 1.0, 3.0, 0.5])

    def misses(x: np.ndarray) -> np.ndarray:
        made = Passes(*np.exp(x))
        found = np.array([made.seconds(rows[i]) for i in chosen])
        return np.concatenate([weight * np.log(found / wanted), 0.02 * (x - usual) / spread])

    starts = [
        usual + np.log([by, 1.0, memory, 1.0, 1.0, 1.0])
        for by in (0.7, 1.0, 2.0)
        for memory in (0.1, 0.3, 1.0)
    ]
    fits = [least_squares(misses, start, loss="soft_l1", f_scale=0.2) for start in starts]
    return Passes(*map(float, np.exp(min(fits, key=lambda fit: fit.cost).x)))


def cpu_model(
    passes: dict[Phase, Passes], update_rate: float, source: str, per_call: Figure[float],
    kinds: dict[str, float] | None = None, status: Any = "fitted", per_layer: Figure[float] | None = None,
) -> Roofline:  # fmt: skip
    """A roofline with these figures.

    Args:
        passes: of both phases.
        update_rate: memory rate of optimizer steps [B/s].
        source: what the figures say of themselves.
        per_call: of each pass.
        kinds: rate of further kinds of layers over that of convolutions.
        status: of the figures.
        per_layer: overhead of each layer; that of the passes unless given.
    """

    def fitted(value: float) -> Figure[float]:
        return figure(value, status, source)

    forward, backward = passes["forward"], passes["backward"]
    efficiency = {f"{phase} linear": fitted(passes[phase].linear) for phase in PHASES}
    efficiency |= {
        kind: figure(ratio, "assumed", "over convolutions as in inference with ncnn, " + source)
        for kind, ratio in (kinds or {}).items()
    }
    memory = {"pool": fitted(forward.pool)}
    memory |= {
        f"backward {kind}": fitted(
            backward.memory / forward.memory * (backward.pool if kind == "pool" else 1.0)
        )
        for kind in _KINDS
    }
    memory["update"] = fitted(update_rate / forward.memory)
    return Roofline(
        forward_rate=fitted(forward.rate),
        backward_rate=fitted(backward.rate),
        memory_rate=fitted(forward.memory),
        overhead_per_layer=per_layer or fitted((forward.layer_s + backward.layer_s) / 2),
        overhead_per_call=per_call,
        forward_weight_rate=fitted(forward.weights),
        backward_weight_rate=fitted(backward.weights),
        efficiency=efficiency,
        memory_efficiency=memory,
    )


def fitted_passes(public: Public, device: str) -> dict[Phase, Passes]:
    """Both phases of a machine of the source."""
    measured = times(public, device)
    return {phase: passes_of(measured[phase].to_numpy(), phase) for phase in PHASES}


def update_rate(public: Public, device: str) -> float:
    """Memory rate of optimizer steps, taken to be plain SGD: 12 B per parameter [B/s]."""
    n_parameters = sum(layer.n_parameters for row in rows_of("forward") for layer in row)
    return 12.0 * n_parameters / float(times(public, device)["update"].sum())


def held_out_layers(public: Public, device: str) -> tuple[HeldOutError, ...]:
    """Each group of convolutions between two poolings from all other layers."""
    measured = times(public, device)
    stages = [range(0, 3), range(3, 6), range(6, 11), range(11, 16), range(16, 21), range(21, 25)]
    found, wanted = [], []
    for stage in stages[1:-1]:
        for phase in PHASES:
            rest = [i for i in range(N_ROWS) if i not in stage]
            made = passes_of(measured[phase].to_numpy(), phase, rest)
            found.append(sum(made.seconds(rows_of(phase)[i]) for i in stage))
            wanted.append(float(measured[phase][list(stage)].sum()))
    errors = [
        checks.error(
            "leave one group of convolutions out", pd.Series(found), pd.Series(wanted),
            "forward and backward of VGG-19, four groups",
        )
    ]  # fmt: skip
    return tuple(errors)


def block_ratios(public: Public, slow: str, fast: str) -> dict[Phase, list[float]]:
    """How much longer the blocks take that the slow machine timed.

    The last block with CIFAR-10 is left out: its backward pass takes a quarter of the fast machine's, so that it cannot
    be the block that its forward pass is.
    """
    # Rows in which the source put the time of a block, with the block's first row.
    blocks = {"cifar": {2: 0, 9: 3, 23: 23}, "mnist": {4: 0, 6: 5}}
    found: dict[Phase, list[float]] = {"forward": [], "backward": []}
    for dataset, ends in blocks.items():
        of_slow, of_fast = (times(public, device, dataset) for device in (slow, fast))
        for last, first in ends.items():
            for phase in PHASES:
                found[phase].append(float(of_slow[phase][last] / of_fast[phase][first : last + 1].sum()))
    return found
