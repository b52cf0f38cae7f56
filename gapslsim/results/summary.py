"""The summary of a run: plain numbers from its tables, as `summary.json` holds them."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import numpy as np
import pandas as pd

from gapslsim.results.categories import CATEGORIES, category_of, received, sent

__all__ = ["RunFacts", "accuracy_curve", "plain", "summarise"]

_PACKAGES: Final = ("gapslsim", "torch", "numpy", "simpy")
_TOLERANCE: Final = 1e-6
"""Relative; far above what rounding does to a sum of a million spans, far below any real gap."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a summary needs besides the tables; see `Results.from_rows`."""

    name: str
    framework: str
    seed: int
    status: str
    stopped_by: str
    dry: bool
    simulated_time_s: float
    wall_time_s: float
    timeline_sha256: str
    learning_sha256: str
    n_clients: int
    device_of_client: tuple[str, ...]
    targets: tuple[float, ...]
    target_view: str
    server_idle_w: Mapping[str, float]
    memory: Mapping[str, Any]
    extra: Mapping[str, Any]


def summarise(
    facts: RunFacts, spans: pd.DataFrame, rounds: pd.DataFrame, evaluations: pd.DataFrame
) -> dict[str, Any]:
    """The summary of a run; every number that does not exist is None, so that JSON can hold it.

    Raises:
        ValueError: if `extra` repeats an entry, or devices do not match the clients.
    """
    if len(facts.device_of_client) != facts.n_clients:
        raise ValueError(
            f"{len(facts.device_of_client)} devices for {facts.n_clients} clients; give one each"
        )
    of_clients = spans[spans["client"] >= 0]
    seconds = _seconds_per_client(of_clients, facts.n_clients)
    own: dict[str, Any] = {
        "name": facts.name,
        "framework": facts.framework,
        "seed": facts.seed,
        "status": facts.status,
        "stopped_by": facts.stopped_by,
        "dry": facts.dry,
        "rounds": len(rounds),
        "epochs": float(rounds["epoch"].iloc[-1]) if len(rounds) else 0.0,
        "simulated_time_s": facts.simulated_time_s,
        "wall_time_s": facts.wall_time_s,
        "accuracy": _accuracy(evaluations),
        "target_view": facts.target_view,
        "time_to_accuracy_s": _times_to_targets(evaluations, facts.target_view, facts.targets),
        "bytes_up": int(of_clients.loc[_which(of_clients, sent), "size_bytes"].sum()),
        "bytes_down": int(of_clients.loc[_which(of_clients, received), "size_bytes"].sum()),
        "energy_j": _energy(spans, facts),
        "where_time_went_s": seconds.mean().to_dict() if facts.n_clients else dict.fromkeys(CATEGORIES, 0.0),
        "where_time_went_by_device_s": _by_device(seconds, facts.device_of_client),
        "n_clients": facts.n_clients,
        "clients_by_device": dict(Counter(facts.device_of_client)),
        "memory": facts.memory,
        "timeline_sha256": facts.timeline_sha256,
        "learning_sha256": facts.learning_sha256,
        "warnings": _unaccounted(seconds, facts.simulated_time_s),
        "versions": _versions(),
    }
    twice = sorted(own.keys() & facts.extra.keys())
    if twice:
        raise ValueError(f"extra repeats entries of the summary: {', '.join(twice)}; name them otherwise")
    result = plain(own | dict(facts.extra))
    assert isinstance(result, dict)
    return result


def accuracy_curve(evaluations: pd.DataFrame, view: str) -> pd.DataFrame:
    """Accuracy of a view over time, one row per evaluation.

    Returns:
        Columns round, time_s, accuracy (mean over the clients where the view has one model per client), min, max.
    """
    of_view = evaluations[evaluations["view"] == view]
    grouped = of_view.groupby(["round", "time_s"], sort=True)["accuracy"].agg(["mean", "min", "max"])
    return grouped.rename(columns={"mean": "accuracy"}).reset_index()


def plain(value: Any) -> Any:
    """The same with nothing but what JSON knows; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _which(spans: pd.DataFrame, test: Any) -> pd.Series:
    """Rows whose phase passes the test."""
    return spans["phase"].isin([phase for phase in spans["phase"].unique() if test(phase)])


def _accuracy(evaluations: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Per view: at the last evaluation and the best of all.

    Views with one model per client give the mean over clients, and `min` and `max` over clients at the last one.
    """
    result: dict[str, dict[str, float]] = {}
    for view in evaluations["view"].unique():
        curve = accuracy_curve(evaluations, view)
        numbers = {"last": curve["accuracy"].iloc[-1], "best": curve["accuracy"].max()}
        if (evaluations.loc[evaluations["view"] == view, "client"] >= 0).any():
            numbers |= {"min": curve["min"].iloc[-1], "max": curve["max"].iloc[-1]}
        result[view] = {name: float(number) for name, number in numbers.items()}
    return result


def _times_to_targets(
    evaluations: pd.DataFrame, view: str, targets: Sequence[float]
) -> dict[str, float | None]:
    """Simulated time of the first evaluation at or above each target (no interpolation); None if there is none."""
    curve = accuracy_curve(evaluations, view)
    result: dict[str, float | None] = {}
    for target in targets:
        reached = curve.loc[curve["accuracy"] >= target, "time_s"]
        result[f"{target:g}"] = float(reached.iloc[0]) if len(reached) else None
    return result


def _energy(spans: pd.DataFrame, facts: RunFacts) -> dict[str, float]:
    """Clients: their spans, waiting included. Servers: their spans, and idle power whenever they do not compute."""
    of_client = spans["client"] >= 0
    clients = float(spans.loc[of_client, "energy_j"].sum())
    server = float(spans.loc[~of_client, "energy_j"].sum())
    for actor, idle_w in facts.server_idle_w.items():
        own = spans[(spans["actor"] == actor) & ~of_client]
        busy_s = float((own["end_s"] - own["start_s"]).sum())
        server += idle_w * max(0.0, facts.simulated_time_s - busy_s)
    return {"clients": clients, "server": server, "total": clients + server}


def _seconds_per_client(of_clients: pd.DataFrame, n_clients: int) -> pd.DataFrame:
    """Seconds in each category; one row per client, one column per category."""
    rows = pd.DataFrame(
        {
            "client": of_clients["client"],
            "category": of_clients["phase"].map({p: category_of(p) for p in of_clients["phase"].unique()}),
            "seconds": of_clients["end_s"] - of_clients["start_s"],
        }
    )
    wide = rows.pivot_table(index="client", columns="category", values="seconds", aggfunc="sum")
    wide = wide.reindex(index=range(n_clients), columns=list(CATEGORIES))
    return wide.astype("float64").fillna(0.0)


def _by_device(seconds: pd.DataFrame, devices: Sequence[str]) -> dict[str, dict[str, float]]:
    """Mean over the clients of each kind of device."""
    if not devices:
        return {}
    means = seconds.groupby(pd.Series(devices, index=seconds.index), sort=False).mean()
    return {str(device): row.to_dict() for device, row in means.iterrows()}


def _unaccounted(seconds: pd.DataFrame, elapsed_s: float) -> list[str]:
    """Says which clients' phases do not sum to the elapsed time: spans with a gap or an overlap."""
    sums = seconds.sum(axis=1)
    wrong = sums[(sums - elapsed_s).abs() > _TOLERANCE * max(elapsed_s, 1e-3)]
    if wrong.empty:
        return []
    client, sum_s = int(wrong.index[0]), float(wrong.iloc[0])
    return [
        f"the phases of {len(wrong)} of {len(seconds)} clients do not sum to the simulated time: "
        f"client {client} has {sum_s:.9g} s of {elapsed_s:.9g} s"
    ]


def _versions() -> dict[str, str]:
    """Versions of what the numbers depend on; nothing is imported."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            result[package] = "unknown"
    return result
