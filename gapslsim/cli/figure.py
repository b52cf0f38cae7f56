"""`gapslsim figure`: a study's own figure or table, the numbers behind it, and tables small enough to keep."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from gapslsim.cli.say import say
from gapslsim.csv_text import csv_of
from gapslsim.errors import ResultsError
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.results.drawing.drawing import Drawing
    from gapslsim.results.drawing.matplotlib_printer import Print
    from gapslsim.results.study import StudyRecord

__all__ = ["draw_study", "figure_command"]


def figure_command(
    directory: Annotated[
        Path, typer.Argument(metavar="STUDY_DIR", help="Directory of a study that was swept.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Picture to write: png, svg or pdf [default: STUDY_DIR/figure.png]."
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV of the numbers that are drawn [default: beside the picture].")
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw as this study file says; it must have the same axes."),
    ] = None,
    width: Annotated[
        str | None, typer.Option(help="Of the picture, for a paper's column: 3.5in, 89mm, 8.9cm.")
    ] = None,
    font: Annotated[
        str | None, typer.Option(help="Family of its letters, for instance serif or 'DejaVu Serif'.")
    ] = None,
    no_title: Annotated[bool, typer.Option("--no-title", help="Leave out its heading and caption.")] = False,
    dpi: Annotated[float, typer.Option(min=10, max=2400, help="Dots per inch of PNG.")] = 150,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write DIR/NAME.csv (runs) and DIR/NAME_evaluations.csv."),
    ] = None,
) -> None:
    """Draw the figure or table that a study file asks for under 'figure'."""
    from gapslsim.results.study_figure import figure_of
    from gapslsim.results.study_tables import read_tables

    tables = read_tables(directory)
    if study is not None:
        tables = replace(tables, record=replace(tables.record, figure=_figure_from(study, tables.record)))
    wanted = figure_of(tables.record)
    if wanted is None and export is None:
        raise ResultsError(
            f"the study in {directory} asks for no figure; add a section 'figure' to its file and give it with --study"
        )
    from gapslsim.results.drawing.matplotlib_printer import Print

    how = Print(None if width is None else _inches(width), font, not no_title, dpi)
    if wanted is not None:
        drawing = wanted.draw(tables)
        picture = out if out is not None else directory / "figure.png"
        _print(drawing)
        for file in _write(drawing, picture, table, how):
            say(f"Written to {file}")
    if export is not None:
        from gapslsim.results.export import export as export_tables

        for file in export_tables(tables, export):
            say(f"Written to {file}")


def draw_study(directory: Path) -> list[Path]:
    """Writes the figure of a study that has just been swept, if it asks for one, and its numbers.

    Raises:
        ResultsError: if its tables do not hold what the figure shows.
    """
    from gapslsim.results.study_figure import figure_of
    from gapslsim.results.study_tables import read_tables

    tables = read_tables(directory)
    wanted = figure_of(tables.record)
    return _write(wanted.draw(tables), directory / "figure.png", None, None) if wanted is not None else []


def _figure_from(file: str, record: StudyRecord) -> dict[str, object] | None:
    """Settings of the figure in another version of the study's file.

    Raises:
        ResultsError: if that study has other axes.
    """
    from gapslsim.studies.plan import load_study

    other = load_study(file).record
    if other.axes != record.axes:
        raise ResultsError(
            f"{file} has other axes than the study that was swept: {_told(other)}, but here {_told(record)}; give the "
            "file that it was swept from, with nothing changed but 'figure'"
        )
    if other.figure is None:
        raise ResultsError(f"{file} has no section 'figure'; add one, see docs/studies.md")
    return other.figure


def _told(record: StudyRecord) -> str:
    return "; ".join(f"{axis}: {', '.join(values)}" for axis, values in record.axes.items()) or "none"


def _inches(text: str) -> float:
    """A width on paper."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(in|cm|mm)", text.strip())
    width = float(match[1]) / {"in": 1.0, "cm": 2.54, "mm": 25.4}[match[2]] if match else 0.0
    if not 1 <= width <= 40:
        raise typer.BadParameter(
            f"--width {text}: write 1 to 40 inches with a unit, for instance 3.5in, 89mm or 8.9cm"
        )
    return width


def _write(drawing: Drawing, picture: Path, table: Path | None, how: Print | None) -> list[Path]:
    from gapslsim.results.drawing.matplotlib_printer import Print, save
    from gapslsim.results.export import write_csv
    from gapslsim.results.outputs import check_replaces

    numbers = table if table is not None else picture.with_suffix(".csv")
    check_replaces(numbers, csv_of(drawing.numbers))
    return [save(drawing, picture, how or Print()), write_csv(drawing.numbers, numbers)]


def _print(drawing: Drawing) -> None:
    shown = Table(title=drawing.title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, name in enumerate(drawing.table.head):
        shown.add_column(Text(name), justify="left" if number == 0 else "right", overflow="fold")
    for row in drawing.table.rows:
        shown.add_row(*map(Text, row))
    console = Terminal()
    console.print(shown)
    console.print(" ".join(drawing.caption))
