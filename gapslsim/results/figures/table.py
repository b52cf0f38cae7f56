"""Measures of whole runs as a table."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pandas as pd

from gapslsim.registry import component
from gapslsim.results.drawing.drawing import Drawing, TextTable
from gapslsim.results.measure import MeasureList, measure_row, over_seeds
from gapslsim.results.study_figure import AxisNames, StudyFigure, figures, words_on_runs
from gapslsim.results.study_tables import StudyTables, place_name

__all__ = ["Table"]


@figures.register
@component
class Table(StudyFigure):
    """A table: a row per framework, say, and columns of measures per setting; means and deviations over seeds."""

    PLACES: ClassVar = ("rows", "columns")
    kind: Literal["table"] = "table"
    rows: AxisNames
    """Axes whose values are rows."""
    columns: AxisNames = ()
    """Axes whose values are columns; those that are left over join them."""
    cells: MeasureList
    """What is measured; each measure is a column within each of the columns."""

    def draw(self, study: StudyTables) -> Drawing:
        """Mean ± sample standard deviation over seeds."""
        axes = self.lay_out(study.record)
        view = self.view_of(study.record)
        cells = study.cells((*axes["rows"], *axes["columns"]))
        rows: list[dict[str, Any]] = []
        texts: dict[str, dict[str, str]] = {}
        for cell in cells:
            row = texts.setdefault(place_name(cell.axes, axes["rows"]), {})
            for measure in self.cells:
                over = over_seeds(measure, cell.runs, view)
                rows.append(measure_row(cell, measure, over))
                heading = ", ".join(filter(None, [place_name(cell.axes, axes["columns"]), measure.label]))
                row[heading] = over.words(measure.unit.factor)
        head = ["", *dict.fromkeys(heading for row in texts.values() for heading in row)]
        numbers = study.typed(pd.DataFrame(rows))
        said = words_on_runs(study, cells, numbers, "A number with ≥")
        if len(study.record.seeds) > 1:
            said[0] = said[0].partition(";")[0] + " ± sample standard deviation."
        return Drawing(
            title=self.heading(study.record),
            question=study.record.question,
            caption=[f"Accuracies in the {view} view.", *said],
            table=TextTable(head, [[name, *row.values()] for name, row in texts.items()]),
            numbers=numbers,
        )
