"""How far simulated cells lie from measured ones: errors of median and p90, and whether the order is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from gapslsim.testbed.simulation import Setting, Told
from gapslsim.testbed.table import TestbedTable

_QUANTITY = r"^[0-9.eE+-]+ *[A-Za-z/]+$"

__all__ = ["Agreement", "compare_cells", "errors_over_all", "rank_agreement"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the values of one column are ordered as they were measured, all else being equal."""

    measure: str
    column: str
    among: str
    """What the compared cells have in common."""
    tau: float
    """Kendall's tau-b: 1 for the same order, -1 for the reverse one."""
    best_measured: str
    best_simulated: str

    @property
    def names_the_best(self) -> bool:
        """Whether the smallest is the same."""
        return self.best_measured == self.best_simulated


def compare_cells(
    table: TestbedTable,
    settings: Sequence[Setting],
    told: Sequence[Told],
    by: Sequence[str],
) -> pd.DataFrame:
    """One row per measure and group of cells: medians and p90, measured and simulated, with relative errors.

    Args:
        table: what was measured.
        settings: its cells with their scenarios.
        told: what is simulated of each.
        by: columns that tell groups apart; cells that differ in other columns alone are put together, each simulated as
            often as it was measured.

    Returns:
        Columns measure, cell, the names in `by`, n, measured_median, measured_p90, simulated_median, simulated_p90,
        error_median, error_p90 (NaN for a single measurement); with draws also low, high, and whether they cover the
        measured median (NaN for phases and power, which are not drawn).
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, setting in enumerate(settings):
        key = tuple(setting.cell[column] for column in by)
        groups.setdefault((*key, str(setting.cell.client)), []).append(number)
    rows = []
    for measure in table.measures:
        for key, members in groups.items():
            own = [n for n in members if measure.name in settings[n].cell.measured]
            if not own:
                continue
            measured = np.concatenate([settings[n].cell.measured[measure.name] for n in own])
            simulated = np.concatenate(
                [
                    np.tile(told[n].times[measure.name], len(settings[n].cell.measured[measure.name]))
                    for n in own
                ]
            )
            row: dict[str, object] = {"measure": measure.name, "unit": measure.base}
            row |= dict(zip(by, key, strict=False))
            client = settings[own[0]].cell.client
            row["client"] = "" if client is None else str(client)
            row["n"] = len(measured)
            for name, values in (("measured", measured), ("simulated", simulated)):
                row[f"{name}_median"] = float(np.median(values)) if len(values) else np.nan
                row[f"{name}_p90"] = float(np.quantile(values, 0.9)) if len(measured) > 1 else np.nan
            for name in ("median", "p90"):
                row[f"error_{name}"] = float(row[f"simulated_{name}"]) / float(row[f"measured_{name}"]) - 1  # type: ignore[arg-type]
            ends = None if measure.of_phase else told[own[0]].interval.get(measure.base)
            if ends is not None:
                row["low"], row["high"] = (end * row["simulated_median"] for end in ends)  # type: ignore[operator]
                row["covered"] = row["low"] <= row["measured_median"] <= row["high"]  # type: ignore[operator]
            rows.append(row)
    compared = pd.DataFrame(rows)
    compared.insert(0, "cell", _names(compared, by))
    return compared


def _names(compared: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """What tells each cell from the others: `device=jetson-nano, cut=2`."""
    columns = [*_factors(compared, by), *(["client"] if compared["client"].nunique() > 1 else [])]
    ends = [column.rpartition(".")[2] for column in columns]
    short = [end if ends.count(end) == 1 else column for end, column in zip(ends, columns, strict=True)]
    texts = compared[columns].itertuples(index=False, name=None)
    made = [", ".join(f"{n}={t}" for n, t in zip(short, row, strict=True) if t) for row in texts]
    return [name or "the scenario" for name in made]


def errors_over_all(compared: pd.DataFrame) -> pd.DataFrame:
    """One row per measure: median, largest and mean absolute error of medians and p90, and the bias."""
    rows = []
    for measure, part in compared.groupby("measure", sort=False):
        off, tail = part["error_median"].abs(), part["error_p90"].abs()
        rows.append(
            {
                "measure": measure,
                "cells": len(part),
                "median_error": off.median(),
                "mean_error": off.mean(),
                "worst_error": off.max(),
                "bias": part["error_median"].median(),
                "median_error_p90": tail.median(),
                "worst_error_p90": tail.max(),
                "worst_cell": part.loc[off.idxmax(), "cell"] if off.notna().any() else "",
            }
        )
    return pd.DataFrame(rows)


def rank_agreement(compared: pd.DataFrame, by: Sequence[str], labels: Sequence[str]) -> list[Agreement]:
    """For each measure of time or energy and each setting with several values: is the order as measured?"""
    found = []
    for (measure, unit), part in compared.groupby(["measure", "unit"], sort=False):
        if unit == "B":
            continue
        keys = _factors(part, by)
        for column in (key for key in keys if key not in labels):
            others = [c for c in keys if c != column]
            for key, group in part.groupby(others, sort=False) if others else [((), part)]:
                group = group[group[column] != ""].drop_duplicates(column)
                if len(group) < 2:
                    continue
                tau = stats.kendalltau(group["measured_median"], group["simulated_median"]).statistic
                if np.isnan(tau):  # They are all the same.
                    continue
                among = ", ".join(f"{c}={v}" for c, v in zip(others, key, strict=True) if v)
                best = [
                    str(group[column][group[f"{name}_median"].idxmin()]) for name in ("measured", "simulated")
                ]
                found.append(Agreement(str(measure), column, among, float(tau), *best))
    return found


def _factors(part: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """The columns that were varied.

    A quantity that follows from the others, such as the rate that a network had with each cut, is a circumstance.
    """
    several = [column for column in by if part[column].nunique() > 1]
    quantities = [column for column in several if part[column].str.contains(_QUANTITY).any()]
    rest = [column for column in several if column not in quantities]
    if not rest:
        return several
    varied = [column for column in quantities if part.groupby(rest)[column].nunique().max() > 1]
    return rest + varied
