"""What a study's figure is: which axes go where, and from the study's tables to a drawing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from gapslsim.errors import ResultsError, did_you_mean
from gapslsim.registry import Family, component
from gapslsim.results import words
from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.study import StudyRecord
from gapslsim.results.study_tables import Cell, StudyTables

__all__ = ["AxisNames", "StudyFigure", "figure_of", "figures", "several", "words_on_runs"]


def several(value: Any) -> Any:
    """A name as one of several."""
    return (value,) if isinstance(value, str) else value


AxisNames = Annotated[tuple[str, ...], BeforeValidator(several, json_schema_input_type=str | tuple[str, ...])]
"""One axis or several, named as in the study's tables: `partition` for `data.partition`."""


@component
class StudyFigure(ABC):
    """Settings of a figure; a pydantic component.

    Every axis of the study has a place in it, so that nothing is averaged but seeds: axes with several values that the
    settings leave out are put in the last of `PLACES`.
    """

    PLACES: ClassVar[tuple[str, ...]]
    """The settings that name axes."""

    kind: str
    """Name in study files; each figure fixes its own."""
    title: str = ""
    """Heading; the study's name unless given."""
    view: str | None = None
    """View in which accuracies are shown; that of the study's targets unless given."""

    @property
    def places(self) -> Mapping[str, tuple[str, ...] | None]:
        """Each setting that names axes; None where it is left to the study."""
        return {place: getattr(self, place) for place in self.PLACES}

    @abstractmethod
    def draw(self, study: StudyTables) -> Drawing:
        """The figure from the study's tables.

        Raises:
            ResultsError: if the tables do not hold what it shows.
        """

    def problems(self, axes: Mapping[str, Sequence[str]], views: Collection[str]) -> dict[str, str]:
        """What is wrong with it for a study, by setting.

        Args:
            axes: of the study, with the names of their values.
            views: that its runs evaluate.
        """
        found: dict[str, str] = {}
        seen: dict[str, str] = {}
        for setting, names in self.places.items():
            for name in names or ():
                if name not in axes:
                    known = ", ".join(axes) or "none"
                    found[setting] = (
                        f"there is no axis {name!r}; axes of this study: {known}.{did_you_mean(name, axes)}"
                    )
                elif name in seen:
                    found[setting] = f"the axis {name!r} is in {seen[name]!r} already; name it once."
                else:
                    seen[name] = setting
        if self.view is not None and self.view not in views:
            hint = did_you_mean(self.view, views)
            found["view"] = (
                f"the runs do not evaluate the view {self.view!r}; they evaluate: {', '.join(sorted(views))}."
                f"{hint} Add it to 'evaluation.views' under 'set', or take another."
            )
        return found

    def lay_out(self, record: StudyRecord) -> dict[str, tuple[str, ...]]:
        """Axes of each place: those named; then the study's own series; then the rest in the last place."""
        placed = {name for names in self.places.values() for name in names or ()}
        free = [name for name, values in record.axes.items() if len(values) > 1 and name not in placed]
        result: dict[str, tuple[str, ...]] = {}
        for place, names in self.places.items():
            own = tuple(name for name in free if name in record.series) if place == "series" else ()
            result[place] = own if names is None else names
            free = [name for name in free if name not in result[place]]
        result[self.PLACES[-1]] += tuple(free)
        return result

    def view_of(self, record: StudyRecord) -> str:
        """The view that is shown."""
        return self.view or record.target_view

    def heading(self, record: StudyRecord) -> str:
        """Its own title, or the study's name in words."""
        return self.title or words.titled(record.name)


figures: Family[StudyFigure] = Family("figure", "gapslsim.results.figures")


def figure_of(record: StudyRecord) -> StudyFigure | None:
    """The figure that a study asks for; None if it asks for none.

    Raises:
        ResultsError: if this version cannot read it, or it does not fit the study's axes.
    """
    if record.figure is None:
        return None
    try:
        figure: StudyFigure = TypeAdapter(Annotated[StudyFigure, figures]).validate_python(record.figure)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ResultsError(
            f"the figure of {record.name} cannot be read ({first['msg']}); give the study file with --study"
        ) from None
    for setting, text in figure.problems(record.axes, {figure.view_of(record)}).items():
        raise ResultsError(f"the figure of {record.name}: {setting}: {text}")
    return figure


def words_on_runs(
    study: StudyTables, cells: Iterable[Cell], numbers: pd.DataFrame | None = None, bound: str = ""
) -> list[str]:
    """What lines and bars are over seeds, what is a lower bound, and what is missing.

    Args:
        study: with its runs.
        cells: that are shown.
        numbers: rows of `measure_row`; None where no measure is shown.
        bound: what tells a lower bound: a sign, a mark.
    """
    n_seeds = max((len(cell.runs) for cell in cells), default=0)
    if n_seeds > 1:
        said = [f"Means over {n_seeds} seeds; bars and bands reach from the lowest to the highest seed."]
    else:
        said = ["One seed: no spread is known."]
    if numbers is not None and (numbers["n_reached"] < numbers["n_seeds"]).any():
        said.append(
            f"{bound} is a lower bound: not every seed got there before it ended, and one that did not counts with "
            "all that it spent."
        )
    if numbers is not None and "mean_after" in numbers:
        said.append("A number as 4.1 .. 4.7 lies between two evaluations: nobody looked in between.")
    stopped = [run.record.label for run in study.runs if run.record.is_stopped]
    if stopped:
        said.append(
            f"{len(stopped)} runs were stopped early by the study: their lines end there, and what they would "
            "have come to is not known."
        )
    if study.missing:
        labels = ", ".join(run.label for run in study.missing[:3])
        more = f" and {len(study.missing) - 3} more" if len(study.missing) > 3 else ""
        said.append(f"Without a result: {labels}{more}.")
    return said
