"""Rows of a table as samples: what was timed together, with repeats joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.calibration._columns import COSTS, OVERHEADS
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
    below: tuple[str, ...] = ()
    """Computations whose times are all 0, below the timer's resolution; they are not among the samples."""

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
        return replace(self, layers=layers, seconds=self.seconds[wanted], names=names)

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """Phase and kind of each layer, as one text."""
        labels: NDArray[np.object_] = (self.layers.phase + " " + self.layers.kind).to_numpy(object)
        return labels

    @cached_property
    def phases(self) -> NDArray[np.object_]:
        """Phase of each sample; all its layers have it."""
        phases: NDArray[np.object_] = self.layers.groupby("sample").phase.first().to_numpy(object)
        return phases

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
        # Rows of links may leave the runtime or mode empty: then they are of all.
        held = [
            *dict.fromkeys([*compute[column].dropna(), *(one for one in links[column].dropna() if one != "")])
        ]
        if value is not None:
            compute = compute[compute[column] == value]
            if column != "threads":
                links = links[links[column].isin([value, ""])]
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
        compute = compute[(compute.kind == kind) | compute.kind.isin(("call", "idle", "load", *OVERHEADS))]
        if compute.empty:
            raise ComponentError(f"{table.source} has no rows of kind {kind!r}; it has: {known}.")
    return MeasurementTable(compute, links, table.source, table.dropped)


def samples_of(compute: pd.DataFrame) -> Samples:
    """Samples of the rows of computations, one device's. Kinds that are no layers are left out.

    A time of 0 is below the timer's resolution. Of repeats with such times the mean is taken, since a timer that
    counts ticks is right on average; a computation that is 0 each time is left out and named in `below`.
    """
    rows = compute[~compute.kind.isin(("call", "idle", "load", "whole", *OVERHEADS))]
    rows = rows.assign(phase=rows.phase.replace(_PHASE))
    alone, together = rows[rows["sample"] == ""], rows[rows["sample"] != ""]
    # Repeats are rows that agree in all but the time; what is missing in both agrees too.
    position = alone.groupby([*LAYER_COLUMNS, "name", "count"], sort=False, dropna=False).ngroup()
    first = alone[~position.duplicated()].set_index(position[~position.duplicated()])
    names = (first.phase + " " + first.kind + " " + first["name"]).str.rstrip()
    times = alone.time_s.groupby(position)
    ticked = times.min() == 0
    # A median: one repeat that the system interrupted must not set the time.
    seconds = times.median().where(~ticked, times.mean())
    repeated = times.size()[~ticked]
    logs = np.log(alone.time_s[alone.time_s > 0])
    n = position.map(repeated[repeated > 1]).reindex(logs.index)
    # Of n deviations from their own mean, each is too small by sqrt(1 - 1 / n).
    spread = ((logs - logs.groupby(position).transform("mean")) / np.sqrt(1 - 1 / n)).dropna()
    whole = together.groupby("sample", sort=False).time_s.first()
    kept, kept_whole = seconds.index[seconds > 0], whole.index[whole > 0]
    single = first.loc[kept]
    together = together[together["sample"].isin(kept_whole)]
    numbers = together.groupby("sample", sort=False).ngroup() + len(kept)
    layers = pd.concat([single.assign(sample=range(len(kept))), together.assign(sample=numbers)])
    return Samples(
        layers[["sample", *LAYER_COLUMNS, "count"]].reset_index(drop=True),
        np.concatenate([seconds[kept], whole[kept_whole]]).astype(np.float64),
        (*names[kept], *map(str, kept_whole)),
        spread.to_numpy(np.float64),
        int((repeated > 1).sum()),
        (*names[seconds == 0], *map(str, whole.index[whole == 0])),
    )
