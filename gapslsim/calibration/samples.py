"""Rows of a table as samples: what was timed together, with repeats joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.calibration._columns import COSTS
from gapslsim.calibration.table import MeasurementTable
from gapslsim.errors import ComponentError
from gapslsim.hardware.terms import Array

__all__ = ["LAYER_COLUMNS", "Samples", "samples_of", "select_rows"]

LAYER_COLUMNS = ("phase", "kind", *COSTS, "batch_size")
"""What tells the rows of one layer, measured again, from those of another."""
_PHASE = {"step": "update"}


@dataclass(frozen=True)
class Samples:
    """Timed computations of one device. A sample is one layer, or layers that were timed together."""

    layers: pd.DataFrame
    """One row per layer: sample (position), phase, kind, costs, batch_size, count."""
    seconds: Array
    """Time of each sample: the median of its repeats, shape (n,) [s]."""
    names: tuple[str, ...]
    spread: Array
    """Deviations of the logarithm of single times from their sample's mean, of samples with repeats."""
    n_repeated: int
    """Samples with repeats."""

    def __len__(self) -> int:
        return len(self.seconds)

    @cached_property
    def single(self) -> bool:
        """Whether every sample is one execution of one layer."""
        return len(self.layers) == len(self) and bool((self.layers["count"] == 1).all())

    def take(self, positions: NDArray[np.int64] | Sequence[int]) -> Samples:
        """The samples at these positions, in order."""
        wanted = np.asarray(positions)
        # From old to new positions; -1 for samples that are not taken.
        new = np.full(len(self), -1)
        new[wanted] = np.arange(len(wanted))
        at = new[self.layers["sample"].to_numpy()]
        layers = self.layers[at >= 0].assign(sample=at[at >= 0])
        layers = layers.sort_values("sample", kind="stable", ignore_index=True)
        names = tuple(self.names[i] for i in wanted)
        return Samples(layers, self.seconds[wanted], names, self.spread, self.n_repeated)

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """Phase and kind of each layer, as one text."""
        labels: NDArray[np.object_] = (self.layers.phase + " " + self.layers.kind).to_numpy(object)
        return labels

    def columns(self) -> dict[str, Array]:
        """Costs of the layers, as terms take them."""
        return {name: self.layers[name].to_numpy(np.float64) for name in (*COSTS, "batch_size")}

    def total(self, per_layer: Array) -> Array:
        """Sum over the layers of each sample, each times its count; shape (n,) or (n, k)."""
        count = self.layers["count"].to_numpy(np.float64)
        weighted = per_layer * (count if per_layer.ndim == 1 else count[:, None])
        out = np.zeros((len(self), *per_layer.shape[1:]))
        np.add.at(out, self.layers["sample"].to_numpy(), weighted)
        return out


def select_rows(
    table: MeasurementTable,
    device: str | None = None,
    runtime: str | None = None,
    power_mode: str | None = None,
    threads: int | None = None,
    kind: str | None = None,
    several_modes: bool = False,
) -> MeasurementTable:
    """The rows of one device, runtime, power mode and number of threads; of all power modes with `several_modes`.

    Raises:
        ComponentError: if the table holds several of one and none is chosen, or has no such rows.
    """
    compute, links = table.compute, table.links
    chosen = {"device": device, "runtime": runtime, "power_mode": power_mode, "threads": threads}
    for column, value in chosen.items():
        flag = f"--{column.replace('_', '-')}"
        held = compute[column].dropna().unique().tolist()
        if value is not None:
            compute = compute[compute[column] == value]
            if column != "threads":
                links = links[links[column] == value]
            if compute.empty and links.empty:
                known = ", ".join(str(one) for one in held)
                raise ComponentError(f"{table.source} has no rows with {column} {value!r}; it has: {known}.")
        elif len(held) > 1 and not (column == "power_mode" and several_modes):
            known = ", ".join(repr(one if column != "threads" else int(one)) for one in held)
            raise ComponentError(
                f"{table.source} has rows of several: {column} {known}. A profile is of one; choose it with {flag}."
            )
    if kind is not None:
        known = ", ".join(map(str, compute.kind.unique()))
        compute = compute[(compute.kind == kind) | compute.kind.isin(("call", "idle", "load"))]
        if compute.empty:
            raise ComponentError(f"{table.source} has no rows of kind {kind!r}; it has: {known}.")
    return MeasurementTable(compute, links, table.source, table.dropped)


def samples_of(compute: pd.DataFrame) -> Samples:
    """Samples of the rows of computations, one device's. Kinds that are no layers are left out."""
    rows = compute[~compute.kind.isin(("call", "idle", "load", "whole"))]
    rows = rows.assign(phase=rows.phase.replace(_PHASE))
    alone, together = rows[rows["sample"] == ""], rows[rows["sample"] != ""]
    # Repeats are rows that agree in all but the time; what is missing in both agrees too.
    repeats = alone.groupby([*LAYER_COLUMNS, "name", "count"], sort=False, dropna=False)
    position = repeats.ngroup().to_numpy()
    # A median: one repeat that the system interrupted must not set the time.
    seconds = alone.time_s.groupby(position).median()
    first = alone[~pd.Series(position).duplicated().to_numpy()]
    names = (first.phase + " " + first.kind + " " + first["name"]).str.rstrip()
    logs, sizes = np.log(alone.time_s.to_numpy(np.float64)), np.bincount(position)
    centre = np.bincount(position, logs) / np.maximum(sizes, 1)
    n = sizes[position]
    # Of n deviations from their own mean, each is too small by sqrt(1 - 1 / n).
    spread = (logs - centre[position])[n > 1] / np.sqrt(1 - 1 / n[n > 1])
    times = together.groupby("sample", sort=False).time_s.first()
    numbers = together.groupby("sample", sort=False).ngroup() + len(first)
    layers = pd.concat([first.assign(sample=range(len(first))), together.assign(sample=numbers)])
    return Samples(
        layers[["sample", *LAYER_COLUMNS, "count"]].reset_index(drop=True),
        np.concatenate([seconds, times]).astype(np.float64),
        (*names, *map(str, times.index)),
        spread,
        int((sizes > 1).sum()),
    )
