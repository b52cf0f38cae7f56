"""One tidy set of tables over all runs of a study, with the axes as columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import pandas as pd

from gapslsim.learning.metric import metrics
from gapslsim.results.axis_values import AxisValues, axis_values
from gapslsim.results.categories import CATEGORIES
from gapslsim.results.crossing import crossing_of
from gapslsim.results.frames import GEOMETRY
from gapslsim.results.frames import TABLES as TABLES_OF_RUNS
from gapslsim.results.measure import NUMBERS
from gapslsim.results.outputs import whole
from gapslsim.results.place import is_run
from gapslsim.results.store import PARQUET, load_results
from gapslsim.results.study import RUNS, RunRecord, StudyRecord
from gapslsim.results.summary import accuracy_curve
from gapslsim.scenario.limits import View
from gapslsim.tables.table import columns_of

__all__ = ["is_column", "write_tables"]


class DeviceTimeRow(NamedTuple):
    """Where the time of one class of devices went."""

    device: str
    n_clients: int
    category: str
    seconds: float


class TargetRow(NamedTuple):
    """When a run reached an accuracy. With draws, `low_s` and `high_s` besides."""

    target: float
    view: str
    time_s: float | None
    """Of the first evaluation at or above it; None where it was not reached."""
    after_s: float | None
    """Of the last one below."""
    ended_s: float


class BudgetRow(NamedTuple):
    """What a run had within a simulated time."""

    budget_s: float
    accuracy: float
    """Of the last evaluation within it; NaN where the run ended before."""
    ended_s: float


class CostRow(NamedTuple):
    """What a run took of the machine that it ran on."""

    wall_time_s: float
    started: str | None
    processor: str | None


_OF_RUNS: Final = ("evaluations", "rounds", "alignment", "uncertainty", "leakage", *GEOMETRY)
TABLES: Final = ("runs", *_OF_RUNS, "where_time_went", "targets", "budgets", "costs")
"""Files `<name>.parquet` in a study's directory. All but `costs` are the same on every machine and backend."""


def is_column(name: str) -> bool:
    """Whether a column of the tables, or of the numbers of a study's figure, is called so, in any case of letters."""
    return name.casefold() in _columns() or name.casefold() in metrics


@cache
def _columns() -> frozenset[str]:
    ends = {"low": 0.0, "high": 0.0}
    summary: Mapping[str, Any] = defaultdict(
        float,
        accuracy={view: dict.fromkeys(("last", "best", "min", "max")) for view in get_args(View)},
        energy_j=dict.fromkeys(("clients", "server", "total")),
        where_time_went_s=dict.fromkeys(CATEGORIES),
        uncertainty={"simulated_time_s": ends, "energy_j": ends},
    )
    rows = [DeviceTimeRow, TargetRow, BudgetRow, CostRow, *map(TABLES_OF_RUNS.__getitem__, _OF_RUNS)]
    return frozenset(
        {"run", "seed", "low_s", "high_s"}
        | {name for row in rows for name in columns_of(row)}
        | {*_run_row(RunRecord("", {}, 0, ""), summary), *NUMBERS}
    )


def write_tables(record: StudyRecord, out: Path) -> None:
    """Gathers all runs that have a directory, in the order of the study; a run without one is in `runs` alone.

    Raises:
        ResultsError: if they cannot be written.
    """
    axes = {name: axis_values(values) for name, values in record.axes.items()}
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for run in record.runs:
        for name, table in _of_run(record, run, out).items():
            parts[name].append(_keyed(axes, run, table))
    for name in TABLES:
        # Empty parts have columns without types, and would turn those of the others into objects.
        filled = [part for part in parts[name] if len(part)] or parts[name][:1]
        table = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame({"run": []})
        with whole(out / f"{name}.parquet") as unfinished:
            table.to_parquet(unfinished, **PARQUET)


def _keyed(axes: Mapping[str, AxisValues], run: RunRecord, table: pd.DataFrame) -> pd.DataFrame:
    """With columns run, axes and seed in front."""
    keys = {
        "run": pd.Series([run.label]),
        **{name: values.column([run.axes[name]]) for name, values in axes.items()},
        "seed": pd.Series([run.seed]),
    }
    front = pd.DataFrame(keys).loc[[0] * len(table)].reset_index(drop=True)
    return pd.concat([front, table.reset_index(drop=True)], axis=1)


def _of_run(record: StudyRecord, run: RunRecord, out: Path) -> dict[str, pd.DataFrame]:
    folder = out / RUNS / run.label
    # A directory may lie there from an earlier sweep whose run is planned anew.
    if not is_run(folder) or run.status == "planned" or not run.scenario_sha256:
        return {"runs": pd.DataFrame([{"status": run.status, "scenario_sha256": run.scenario_sha256}])}
    results = load_results(folder)
    summary = results.summary
    made = results.provenance
    view = record.target_view
    rows: dict[str, list[Any]] = {
        "runs": [_run_row(run, summary)],
        "where_time_went": [
            DeviceTimeRow(device, summary["clients_by_device"][device], category, float(seconds[category]))
            for device, seconds in summary["where_time_went_by_device_s"].items()
            for category in CATEGORIES
        ],
        "targets": [
            TargetRow(float(t), view, time_s, _after(summary, t), summary["simulated_time_s"])._asdict()
            | _ends(summary, t)
            for t, time_s in summary["time_to_accuracy_s"].items()
        ],
        "budgets": _budget_rows(record.budgets_s, accuracy_curve(results.evaluations, view), summary),
        "costs": [
            CostRow(summary["wall_time_s"], made.get("started"), made.get("machine", {}).get("processor"))
        ],
    }
    tables = {name: pd.DataFrame(of_run) for name, of_run in rows.items()}
    return tables | {name: getattr(results, name) for name in _OF_RUNS}


def _run_row(run: RunRecord, summary: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "status": run.status,
        "scenario_sha256": run.scenario_sha256,
        "framework_kind": summary["framework"],
        **{key: summary[key] for key in ("stopped_by", "rounds", "epochs", "simulated_time_s")},
    }
    for view, numbers in summary["accuracy"].items():
        row |= {f"accuracy_{view}_{key}": value for key, value in numbers.items()}
    row |= {key: summary[key] for key in ("bytes_up", "bytes_down")}
    row |= {f"energy_{who}_j": joules for who, joules in summary["energy_j"].items()}
    drawn = summary.get("uncertainty") or {}
    for name in ("simulated_time_s", "energy_j"):
        stem, unit = name.rsplit("_", 1)
        row |= {f"{stem}_{end}_{unit}": drawn[name][end] for end in ("low", "high") if drawn}
    row |= {f"{category}_s": summary["where_time_went_s"][category] for category in CATEGORIES}
    return row | {key: summary[key] for key in ("timeline_sha256", "learning_sha256")}


def _after(summary: Mapping[str, Any], target: str) -> float | None:
    """Of the last evaluation below a target [s]."""
    found = crossing_of(summary, target)
    return None if found is None else found.after


def _ends(summary: Mapping[str, Any], target: str) -> dict[str, float | None]:
    """Interval of the time to a target over draws; nothing without draws."""
    found = (summary.get("uncertainty") or {}).get("time_to_accuracy_s", {}).get(target)
    return {} if found is None else {f"{end}_s": found[end] for end in ("low", "high")}


def _budget_rows(
    budgets_s: Sequence[float], curve: pd.DataFrame, summary: Mapping[str, Any]
) -> list[BudgetRow]:
    """Accuracy of the last evaluation within each budget; missing where the run ended before."""
    rows = []
    for budget_s in budgets_s:
        within = curve[curve["time_s"] <= budget_s]
        is_known = len(within) > 0 and summary["simulated_time_s"] >= budget_s
        accuracy = float(within["accuracy"].iloc[-1]) if is_known else float("nan")
        rows.append(BudgetRow(budget_s, accuracy, summary["simulated_time_s"]))
    return rows
