"""Accuracy of every class, and what is said in its place, at the last evaluation; where `per_class` was recorded."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from gapslsim.results.drawing.drawing import Bar, Drawing, Mark, Panel, Part, Row, Scale
from gapslsim.results.report.data import Run, RunSet
from gapslsim.results.statistics import seeds_words

__all__ = ["class_figure"]

_MOST: Final = 20
"""Classes of which everything that is said is drawn."""


def class_figure(runs: RunSet) -> Drawing | None:
    """Accuracy of each class by series, and below it who is taken for what, in the view that is judged."""
    panels, matrices = [], []
    for panel in runs.panels:
        found = {
            group.series: pd.concat(counts)
            for group in runs.of_panel(panel)
            if (counts := [own for run in group.runs if len(own := _last(run, runs.view))])
        }
        if not found:
            continue
        classes = sorted({int(label) for own in found.values() for label in own["label"]})
        of_class = {series: _accuracies(own) for series, own in found.items()}
        parts: list[Part] = [
            Mark(100 * float(of[label]), row, runs.index(series))
            for series, of in of_class.items()
            for row, label in enumerate(classes)
            if label in of.index
        ]
        where = f", {panel}" if panel else ""
        along = Scale("accuracy [%]", -3.0, 103.0)
        panels.append(
            Panel(f"Each class{where}", along, Scale("class"), parts, [Row(str(k)) for k in classes])
        )
        for series, own in found.items():
            every = sorted({*classes, *(int(said) for said in own["predicted"])})
            if len(every) <= _MOST:
                matrices.append(_matrix(f"{series}{where}", runs.index(series), own, every))
    if not panels:
        return None
    about = f"{runs.view} view, at the last evaluation; counts are added over seeds and over the clients of a view."
    return Drawing(
        "Accuracy of each class",
        [*panels, *matrices],
        [
            seeds_words(runs.n_seeds),
            about,
            "Matrices: a row for the right class, a column for what is said [%].",
        ],
        name="classes",
        series=runs.series,
    )


def _last(run: Run, view: str) -> pd.DataFrame:
    table = run.table("confusion")
    table = table[table["view"] == view]
    return table[table["time_s"] == table["time_s"].max()]


def _accuracies(own: pd.DataFrame) -> pd.Series:
    """Share of the samples of each class that are classified rightly."""
    right = own["n_samples"].where(own["label"] == own["predicted"], 0)
    return right.groupby(own["label"]).sum() / own.groupby("label")["n_samples"].sum()


def _matrix(title: str, series: int, own: pd.DataFrame, classes: list[int]) -> Panel:
    counts = own.pivot_table("n_samples", "label", "predicted", "sum", fill_value=0)
    counts = counts.reindex(index=classes, columns=classes, fill_value=0)
    rows = counts.sum(axis=1).to_numpy()
    shares = counts.to_numpy() / np.maximum(rows, 1)[:, None]
    cells = [
        Bar(
            row, column, column + 1, series, shade=float(share),
            about=f"class {classes[row]}: {share:.0%} said {classes[column]}",
            text=f"{100 * share:.0f}" if len(classes) <= 10 and share > 0 else "",
        )
        for (row, column), share in np.ndenumerate(shares)
    ]  # fmt: skip
    names = [Row(str(k), str(n)) for k, n in zip(classes, rows.tolist(), strict=True)]
    return Panel(
        f"Said in place of what is right: {title}", Scale("said", 0, len(classes)), Scale("right"), cells, names,
        columns=[str(k) for k in classes], note_label="samples",
    )  # fmt: skip
