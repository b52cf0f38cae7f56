"""Gradient geometry over rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

import pandas as pd
from pydantic import Field

from gapslsim.errors import ResultsError
from gapslsim.registry import component
from gapslsim.results._binning import binned, line_over_seeds
from gapslsim.results.drawing.drawing import Curve, Drawing, Panel, Scale, TextTable
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, words_on_runs
from gapslsim.results.study_tables import Cell, StudyTables, place_name

__all__ = ["Geometry"]

_Quantity = Literal[
    "score_rad", "dispersion_rad", "selection_ratio", "in_leader_set", "angle_to_leader_rad", "threshold_rad",
    "admitted", "gradient_norm", "loss",
]  # fmt: skip


_AXES: Final[dict[_Quantity, tuple[str, bool]]] = {
    "score_rad": ("angle to other clients [rad]", False),
    "dispersion_rad": ("dispersion of the scores [rad]", True),
    "selection_ratio": ("selection ratio", True),
    "in_leader_set": ("share in leader set", True),
    "angle_to_leader_rad": ("angle to leader [rad]", False),
    "threshold_rad": ("threshold [rad]", False),
    "admitted": ("share admitted", True),
    "gradient_norm": ("norm of gradient", True),
    "loss": ("training loss", True),
}
"""Label of the axis, and whether it begins at 0."""


@figures.register
@component
class Geometry(StudyFigure):
    """Angles, dispersion, selection ratio, threshold and admission over rounds, means over clients."""

    PLACES: ClassVar = ("series", "panel")
    kind: Literal["geometry"] = "geometry"
    y: Annotated[tuple[_Quantity, ...], Field(min_length=1)]
    """Columns of the table `alignment`; each gets panels of its own."""
    band: Literal["seeds", "clients"] = "seeds"
    """What the bands span: the means of the seeds, or the clients (means over seeds of the least and greatest). Shares
    of clients have bands over seeds in either case."""
    series: AxisNames | None = None
    """Axes whose values are lines; those that change the framework unless given."""
    panel: AxisNames | None = None
    """Axes whose values are panels; those that are left over unless given."""

    def draw(self, study: StudyTables) -> Drawing:
        """Where there are more rounds than can be told apart, means over as many rounds as it takes."""
        axes = self.lay_out(study.record)
        cells = study.cells((*axes["panel"], *axes["series"]))
        series = list(dict.fromkeys(place_name(cell.axes, axes["series"]) for cell in cells))
        blind = [cell for cell in cells if not any(len(run.alignment) for run in cell.runs)]
        places = list(dict.fromkeys(place_name(c.axes, axes["panel"]) for c in cells if c not in blind))
        panels, numbers, rows = [], [], []
        width = 1
        for quantity in self.y:
            label, zero = _AXES[quantity]
            found: dict[str, list[Curve]] = {place: [] for place in places}
            for cell in cells:
                line, width = _line(cell, quantity, self.band)
                if line.empty:
                    continue
                number = series.index(place_name(cell.axes, axes["series"]))
                found[place_name(cell.axes, axes["panel"])].append(Curve(number, line))
                numbers.append(cell.keyed(line.rename(columns={"x": "round"}), quantity=quantity))
                first, last = line["mean"].iloc[0], line["mean"].iloc[-1]
                rows.append(
                    [*cell.axes.values(), label]
                    + [f"{value:.3g}" for value in (first, line["mean"].mean(), last)]
                )
            curves = [curve.points for lines in found.values() for curve in lines]
            along = Scale.along((points["x"] for points in curves), "round")
            values = [y for points in curves for key in ("low", "high") for y in points[key]]
            high = Scale.over(values, label, zero=zero)
            panels += [Panel(place, along, high, lines) for place, lines in found.items() if lines]
        if not numbers:
            raise ResultsError(
                f"{study.folder} holds no gradient geometry: none of its frameworks looks at angles. Take a framework "
                "with leader gradients (gapsl, fixed_ratio, ...), or another kind of figure"
            )
        return Drawing(
            title=self.heading(study.record),
            question=study.record.question,
            caption=self._caption(study, cells, blind, width),
            table=TextTable([*axes["panel"], *axes["series"], "", "first", "mean", "last"], rows),
            numbers=study.typed(pd.concat(numbers, ignore_index=True)),
            panels=panels,
            series=series,
            n_columns=len(places) if len(places) > 1 else 3,
        )

    def _caption(
        self, study: StudyTables, cells: Sequence[Cell], blind: Sequence[Cell], width: int
    ) -> list[str]:
        said = words_on_runs(study, cells)
        if self.band == "clients":
            said[0] = (
                "Lines are means over clients and seeds; bands reach from the least to the greatest client."
            )
        if blind:
            names = dict.fromkeys(place_name(cell.axes, list(cell.axes)) for cell in blind)
            said.append(f"No geometry is recorded for: {'; '.join(names)}.")
        return said + ([f"Each point is a mean over {width} rounds."] if width > 1 else [])


def _line(cell: Cell, quantity: _Quantity, band: Literal["seeds", "clients"]) -> tuple[pd.DataFrame, int]:
    """Columns x (round), mean, low, high; and how many rounds are in a point."""
    of_seed = [run.alignment.groupby("round")[quantity] for run in cell.runs if len(run.alignment)]
    if not of_seed:
        return pd.DataFrame(), 1
    means = pd.concat([grouped.mean() for grouped in of_seed], axis=1).astype(float).dropna(how="all")
    if means.empty:
        return pd.DataFrame(), 1
    line, width = line_over_seeds(means)
    if band == "clients" and quantity not in ("in_leader_set", "admitted"):
        lows = pd.concat([grouped.min() for grouped in of_seed], axis=1).astype(float).reindex(means.index)
        highs = pd.concat([grouped.max() for grouped in of_seed], axis=1).astype(float).reindex(means.index)
        ends = {key: binned(of)[0].mean(axis=1).to_numpy() for key, of in (("low", lows), ("high", highs))}
        line = line.assign(**ends)
    return line, width
