"""The summary of a run: plain numbers from its tables, as `summary.json` holds them."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.records import EvaluationRow
from gapslsim.results._attendance import attendance_summary, wasted
from gapslsim.results.categories import CATEGORIES, category_of, received, relayed, sent
from gapslsim.results.crossing import Crossing, crossing
from gapslsim.tables.span_sums import SpanSums
from gapslsim.tables.table import Table

__all__ = ["RunFacts", "accuracy_curve", "energy_of", "plain", "summarise"]

_PACKAGES: Final = ("gapslsim", "torch", "numpy", "simpy")
_TOLERANCE: Final = 1e-11
"""Relative; above what rounding does to sums of a hundred million spans, and 10 us in a run of a million seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run knows of itself besides its tables."""

    name: str
    """Of the scenario."""
    framework: str
    """Its kind."""
    seed: int
    status: str
    """`completed`, `interrupted`, `stalled: ...` or `failed: ...`."""
    stopped_by: str
    """The stop condition that held, in words; empty if none did."""
    dry: bool
    """Whether it was timing only."""
    simulated_time_s: float
    wall_time_s: float
    timeline_sha256: str
    """Hash of all spans."""
    learning_sha256: str
    """Hash of every loss and metric."""
    device_of_client: Sequence[str]
    """Name of each client's kind of device, also of clients that never took part."""
    targets: Sequence[float] = ()
    """Accuracies in [0, 1] whose time is reported."""
    target_view: str = "global"
    """View in which they are looked for."""
    server_idle_w: Mapping[str, float] = field(default_factory=dict)
    """Idle power of each server that counts [W]; drawn whenever it is not computing."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """Needs and limits of memory [bytes], as the caller has them."""
    samples: float = 0.0
    """Trained on, over all clients."""
    computed_on: Mapping[str, Any] | None = None
    """What computed the tensors, and how; None for timing alone."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of the summary."""


def summarise(facts: RunFacts, sums: SpanSums, tables: Mapping[str, Table]) -> dict[str, Any]:
    """The summary of a run; every number that does not exist is None, so that JSON can hold it.

    Args:
        facts: what the run knows of itself.
        sums: of the spans.
        tables: of the run.

    Raises:
        ValueError: if `extra` repeats an entry.
    """
    rounds, evaluations = (tables[name].frame() for name in ("rounds", "evaluations"))
    n_clients = len(facts.device_of_client)
    seconds = _seconds_per_client(sums, n_clients)
    reached = _times_to_targets(accuracy_curve(evaluations, facts.target_view), facts.targets)
    own: dict[str, Any] = {
        **_of(facts, "name", "framework", "seed", "status", "stopped_by", "dry"),
        "rounds": len(rounds),
        "epochs": float(rounds["epoch"].iloc[-1]) if len(rounds) else 0.0,
        **_of(facts, "samples", "simulated_time_s", "wall_time_s"),
        "accuracy": _accuracy(evaluations),
        **_last_metrics(evaluations),
        "target_view": facts.target_view,
        "time_to_accuracy_s": {target: found and found.by for target, found in reached.items()},
        "time_to_accuracy_within_s": {target: found and found._asdict() for target, found in reached.items()},
        "bytes_up": sums.total(lambda actor, phase: not actor and sent(phase)).bytes,
        "bytes_down": sums.total(lambda actor, phase: not actor and received(phase)).bytes,
        **_between(sums),
        "energy_j": energy_of(sums, facts.server_idle_w, facts.simulated_time_s),
        "cancelled": asdict(sums.total(lambda _, phase: phase.startswith("cancelled_"))),
        "wasted": wasted(sums),
        **attendance_summary(tables, n_clients, facts.simulated_time_s),
        "where_time_went_s": _means(seconds),
        "where_time_went_by_device_s": _by_device(seconds, facts.device_of_client),
        "n_clients": n_clients,
        "clients_by_device": dict(Counter(facts.device_of_client)),
        **_of(facts, "memory", "timeline_sha256", "learning_sha256"),
        "warnings": _unaccounted(seconds, facts.simulated_time_s),
        **_of(facts, "computed_on"),
        "versions": dict(_versions()),
    }
    twice = sorted(own.keys() & facts.extra.keys())
    if twice:
        raise ValueError(f"extra repeats entries of the summary: {', '.join(twice)}; name them otherwise")
    result: dict[str, Any] = plain(own | dict(facts.extra))
    return result


def _between(sums: SpanSums) -> dict[str, int]:
    """Bytes of messages between machines of which none is a client, where there are any."""
    n = sums.total(lambda actor, phase: bool(actor) and relayed(phase)).bytes
    return {"bytes_between": n} if n else {}


def _of(facts: RunFacts, *names: str) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in names}


def accuracy_curve(evaluations: pd.DataFrame, view: str) -> pd.DataFrame:
    """Accuracy of a view over time, one row per evaluation.

    Returns:
        Columns round, time_s, accuracy (mean over the clients where the view has one model per client), min, max.
        Clients whose classes the test set has nothing of have no accuracy, and are left out.
    """
    own = evaluations[(evaluations["view"] == view) & evaluations["accuracy"].notna()]
    found: dict[tuple[int, float], list[float]] = {}
    for *at, accuracy in zip(*(own[name].tolist() for name in ("round", "time_s", "accuracy")), strict=True):
        found.setdefault(tuple(at), []).append(accuracy)
    # An exact sum, so that the mean does not depend on the order of the clients.
    points = [(*at, math.fsum(own) / len(own), min(own), max(own)) for at, own in sorted(found.items())]
    table = pd.DataFrame(points, columns=["round", "time_s", "accuracy", "min", "max"])
    return table.astype({"round": "int64"} | dict.fromkeys(("time_s", "accuracy", "min", "max"), "float64"))


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


def _accuracy(evaluations: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """Per view: at the last evaluation and the best of all.

    Views with one model per client give the mean over clients, and `min` and `max` over clients at the last one.
    None where the test set has nothing to judge by.
    """
    of_many = set(evaluations["view"][evaluations["client"] >= 0])
    result: dict[str, dict[str, float | None]] = {}
    for view in evaluations["view"].unique():
        curve = accuracy_curve(evaluations, view)
        if curve.empty:
            result[view] = {"last": None, "best": None}
            continue
        last = curve.iloc[-1]
        result[view] = {"last": last["accuracy"], "best": curve["accuracy"].max()}
        if view in of_many:
            result[view] |= {"min": last["min"], "max": last["max"]}
    return result


def _last_metrics(evaluations: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Entry `metrics`: those of each view at the last evaluation, the mean over its clients; empty without any.

    Where there is no accuracy, as of numbers, the loss is one of them.
    """
    names = [name for name in evaluations.columns if name not in EvaluationRow._fields]
    if evaluations["accuracy"].isna().all() and evaluations["loss"].notna().any():
        names = ["loss", *names]
    if not names or evaluations.empty:
        return {}
    is_last = (evaluations[["round", "time_s"]] == evaluations[["round", "time_s"]].iloc[-1]).all(axis=1)
    means = evaluations[is_last].groupby("view", sort=False)[names].mean()
    return {"metrics": {str(view): row.to_dict() for view, row in means.iterrows()}}


def _times_to_targets(curve: pd.DataFrame, targets: Sequence[float]) -> dict[str, Crossing | None]:
    """When each target was reached [s]; None if it was not."""
    times, accuracies = curve["time_s"].tolist(), curve["accuracy"].tolist()
    return {f"{target:g}": crossing(times, accuracies, target) for target in targets}


def energy_of(sums: SpanSums, server_idle_w: Mapping[str, float], elapsed_s: float) -> dict[str, float]:
    """Clients: their spans, waiting included. Servers: their spans, and idle power whenever they do not compute [J]."""
    clients = sums.total(lambda actor, _: not actor).energy_j
    server = sums.total(lambda actor, _: bool(actor)).energy_j
    for name, idle_w in server_idle_w.items():
        busy_s = sum(u.time_s for who, phase, u in sums.items() if who == name and not relayed(phase))
        server += idle_w * max(0.0, elapsed_s - busy_s)
    return {"clients": clients, "server": server, "total": clients + server}


def _seconds_per_client(sums: SpanSums, n_clients: int) -> NDArray[np.float64]:
    """Seconds in each category, which sum to a client's time; one row per client, one column per category."""
    seconds = np.zeros((n_clients, len(CATEGORIES)))
    for phase, own in sums.seconds(n_clients):
        seconds[:, CATEGORIES.index(category_of(phase))] += own
    return seconds


def _means(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Mean over clients, by category."""
    means = seconds.mean(axis=0).tolist() if len(seconds) else [0.0] * len(CATEGORIES)
    return dict(zip(CATEGORIES, means, strict=True))


def _by_device(seconds: NDArray[np.float64], devices: Sequence[str]) -> dict[str, dict[str, float]]:
    """Mean over the clients of each kind of device."""
    kinds = np.array(devices, dtype=object)
    return {device: _means(seconds[kinds == device]) for device in dict.fromkeys(devices)}


def _unaccounted(seconds: NDArray[np.float64], elapsed_s: float) -> list[str]:
    """Says which clients' phases do not sum to the elapsed time: spans with a gap or an overlap."""
    sums = seconds.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - elapsed_s) > _TOLERANCE * max(elapsed_s, 1.0))
    if not len(wrong):
        return []
    return [
        f"the phases of {len(wrong)} of {len(seconds)} clients do not sum to the simulated time: "
        f"client {wrong[0]} has {sums[wrong[0]]:.9g} s of {elapsed_s:.9g} s"
    ]


@cache
def _versions() -> dict[str, str]:
    """Versions of what the numbers depend on; nothing is imported."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            result[package] = "unknown"
    return result
