"""`gapslsim import`: another tool's log as a trace, a measurement table or power."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapslsim.cli.say import say
from gapslsim.csv_text import csv_lines, neutral
from gapslsim.regular_files import read_text

if TYPE_CHECKING:
    from gapslsim.importing.importer import Imported

__all__ = ["import_command"]

_OWNERS = ("device", "runtime", "power_mode")
"""Columns that say whose a row is."""


def import_command(
    form: Annotated[
        str, typer.Argument(metavar="FORMAT", help="Tool that wrote it; see gapslsim list importer.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its log or export.")],
    output: Annotated[Path, typer.Option("--out", "-o", "--output", help="Table to write (.csv).")],
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of the importer; see gapslsim show importer FORMAT."
        ),
    ] = None,
    append: Annotated[
        bool,
        typer.Option(
            "--append", help="Add the rows to a measurement table that is there, under its device's name."
        ),
    ] = False,
    components: Annotated[
        list[str] | None, typer.Option(help="Python file with an importer of your own.")
    ] = None,
) -> None:
    """Turns another tool's log into what scenarios and `gapslsim calibrate` take."""
    from gapslsim.importing.importer import read_with
    from gapslsim.own_components import load_components

    for each in components or ():
        load_components(each)
    made = read_with(_importer(form, set or []), file)
    n_rows = _appended(made, output) if append else _written(made, output)
    say(f"{n_rows} rows of {form} in {output}")
    for note in made.notes:
        say(f"Note: {note}.")
    say(f"Next: {made.use.replace('{file}', str(output))}")


def _importer(form: str, changes: list[str]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    from gapslsim.documents import DocumentError, yaml_data
    from gapslsim.importing.importer import importers
    from gapslsim.units import STRICT_UNITS

    if form not in importers:
        from gapslsim.errors import unknown

        raise typer.BadParameter(f"FORMAT: {unknown('importer', form, importers)}")
    settings: dict[str, Any] = {"kind": form}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise typer.BadParameter(
                f"--set: found {change!r}; write KEY=VALUE, for instance interval='0.2 s'."
            )
        try:
            settings[key] = yaml_data(text)
        except DocumentError as error:
            raise typer.BadParameter(f"--set {key}: {error}.") from error
    try:
        return TypeAdapter(Annotated[Any, importers]).validate_python(settings, context=STRICT_UNITS)
    except ValidationError as error:
        known = ", ".join(importers[form].__pydantic_fields__)  # type: ignore[attr-defined]
        told = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        raise typer.BadParameter(f"--set: {told}. Settings of {form}: {known}.") from error


def _written(made: Imported, output: Path) -> int:
    if not output.parent.is_dir():
        raise typer.BadParameter(f"--out: there is no folder {output.parent}; make it first.")
    from gapslsim.results.outputs import write_output

    write_output(output, csv_lines([made.columns, *(map(_cell, row) for row in made.rows)]))
    return len(made.rows)


def _appended(made: Imported, output: Path) -> int:
    """Adds rows to a measurement table; they take its device, runtime and power mode where it has one of each."""
    if not made.is_measurements:
        raise typer.BadParameter("--append: this becomes no measurement table; leave it out.")
    if not output.is_file():
        raise typer.BadParameter(f"--append: there is no table {output}; leave it out to write a new one.")
    try:
        table = csv.DictReader(io.StringIO(read_text(output, encoding="utf-8-sig")))
        header, there = list(table.fieldnames or ()), list(table)
    except (OSError, ValueError, csv.Error) as error:
        raise typer.BadParameter(f"--append: {output} is no table that can be read ({error}).") from error
    needed = (
        "device",
        "phase",
        "kind",
        "time_s",
        "power_w",
        *(made.columns[-1:] if "sample" in made.columns else ()),
    )
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise typer.BadParameter(
            f"--append: {output} has no column {', '.join(lacking)}; add it to its header."
        )
    held = {column: {row[column] for row in there} for column in _OWNERS if column in header}
    one = {column: values.pop() for column, values in held.items() if len(values) == 1}
    added = io.StringIO()
    writer = csv.DictWriter(added, header, extrasaction="ignore", lineterminator="\n")
    writer.writerows(
        dict(zip(made.columns, map(neutral, map(_cell, row)), strict=True)) | one for row in made.rows
    )
    from gapslsim.whole_files import whole_file

    # Anew rather than at its end: a table that a full disk cuts off in a row would be no table any more.
    before = output.read_bytes()
    with whole_file(output) as file:
        file.write(before + (b"" if before.endswith(b"\n") else b"\n") + added.getvalue().encode())
    return len(made.rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
