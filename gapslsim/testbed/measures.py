"""What a testbed measures, by the names of a table's columns, and the same of a simulated run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from gapslsim.results.results import Results

__all__ = ["OF_A_RUN", "Measure", "measure_of", "simulated"]

OF_A_RUN: Final = {
    "round": "s",
    "iteration": "s",
    "energy": "J",
    "iteration_energy": "J",
    "power": "W",
    "bytes_up": "B",
    "bytes_down": "B",
}
"""Base units.

`round`: duration of a round. `iteration`: a client's time in a round, without the exchange of whole models, per
mini-batch. `energy`: of all clients in a round. `iteration_energy`: of a client per mini-batch, `power`: its mean, both
over the time of `iteration`. `bytes_up`, `bytes_down`: of all clients in a round.
"""
_SUFFIXES: Final = {
    "s": ("s", "s"), "ms": ("s", "ms"), "us": ("s", "us"), "j": ("J", "J"), "mj": ("J", "mJ"), "kj": ("J", "kJ"),
    "w": ("W", "W"), "mw": ("W", "mW"), "bytes": ("B", "B"), "kb": ("B", "kB"), "mb": ("B", "MB"),
}  # fmt: skip
"""Base unit and unit by the end of a column's name."""
_EXCHANGE: Final = re.compile(r"^(?:cancelled_|lost_|corrupted_)?model_|^away$")
"""Phases that belong to no mini-batch."""
_LOCAL: Final = "local_training"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured quantity."""

    name: str
    """`round`, `iteration`, ... or the name of a phase such as `client_forward`: seconds of one of its spans."""
    base: str
    """s, J, W or B."""
    unit: str = ""
    """Of bare numbers in its column; empty where every cell has its own."""

    @property
    def of_phase(self) -> bool:
        """Whether it is the duration of a phase."""
        return self.name not in OF_A_RUN


def measure_of(column: str, phases: set[str]) -> Measure | None:
    """The measure that a column holds, by its name: `iteration_s`, `round_ms`, `uplink`; None if it is none.

    Args:
        column: the name.
        phases: of the scenario, which are measures too.
    """
    stem, _, suffix = column.rpartition("_")
    names = OF_A_RUN | dict.fromkeys(phases, "s")
    if column in names:
        return Measure(column, names[column], "B" if names[column] == "B" else "")
    base, unit = _SUFFIXES.get(suffix, ("", ""))
    if stem in names and names[stem] == base:
        return Measure(stem, base, unit)
    return None


def simulated(measure: Measure, results: Results, batch_sizes: tuple[int, ...], client: int | None) -> Any:
    """A measure of every round (of every span, for phases) of a run, as an array.

    Args:
        measure: what is wanted.
        results: of the run.
        batch_sizes: of each client.
        client: whose it is; None for the mean over all clients.
    """
    spans, rounds = results.spans, results.rounds
    spans = spans[spans["round"] > 0]
    own = spans if client is None else spans[spans["client"] == client]
    if measure.name == "round":
        return (rounds["end_s"] - rounds["start_s"]).to_numpy()
    if measure.name in ("bytes_up", "bytes_down"):
        return rounds[measure.name].to_numpy(float)
    if measure.name == "energy":
        return rounds["energy_j"].to_numpy(float)
    if measure.of_phase:
        of_phase = own[own["phase"] == measure.name]
        return (of_phase["end_s"] - of_phase["start_s"]).to_numpy()
    per_batch = _per_mini_batch(own[own["client"] >= 0], rounds, results, batch_sizes)
    if measure.name == "power":
        return (per_batch["energy_j"] / per_batch["seconds"]).to_numpy()
    return per_batch["seconds" if measure.name == "iteration" else "energy_j"].to_numpy()


def _per_mini_batch(
    spans: pd.DataFrame, rounds: pd.DataFrame, results: Results, batch_sizes: tuple[int, ...]
) -> pd.DataFrame:
    """Seconds and joules of a client per mini-batch, a row per round: the mean over clients."""
    if _LOCAL in set(spans["phase"]):
        # What a client does between rounds of local training waits for others.
        kept = spans["phase"].isin([_LOCAL, "loading"])
    else:
        kept = ~spans["phase"].str.contains(_EXCHANGE)
    spans = spans[kept]
    spans = spans.assign(seconds=spans["end_s"] - spans["start_s"] - spans["overlap_s"])
    of_clients = spans.groupby(["round", "client"])[["seconds", "energy_j"]].sum()
    means = of_clients.groupby("round").mean().reindex(rounds["round"])
    epochs = np.diff(rounds["epoch"].to_numpy(), prepend=0.0)
    samples = results.summary["samples"] * epochs / max(float(epochs.sum()), 1e-12)
    # Every participant has the same number of mini-batches of its own size.
    n_batches = samples / (float(np.mean(batch_sizes)) * rounds["n_participants"].to_numpy())
    return means.div(n_batches, axis=0)
