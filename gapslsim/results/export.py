"""A study's tables as small CSV files that can be kept beside the code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from gapslsim.csv_text import csv_of
from gapslsim.results.outputs import write_output
from gapslsim.results.study_tables import StudyTables

__all__ = ["export", "write_csv"]

_DIGITS: Final = "%.9g"


def export(study: StudyTables, folder: Path) -> list[Path]:
    """Writes `NAME.csv`, a row per run, and `NAME_evaluations.csv`, a row per run, evaluation and view.

    Nothing in them depends on the machine's speed. Where a view has one model per client, the clients' mean, least and
    greatest accuracy stand for them. Numbers have nine significant digits.

    Raises:
        ResultsError: if the tables cannot be read, or the files not be written.
    """
    name = "".join(sign if sign.isalnum() or sign in "-.+" else "_" for sign in study.record.name)
    axes = list(study.record.axes)
    rows = study.table("evaluations")
    grouped = rows.groupby(
        ["run", *axes, "seed", "round", "time_s", "view"], sort=False, dropna=False, observed=True
    )
    evaluations = grouped.agg(
        accuracy=("accuracy", "mean"),
        least=("accuracy", "min"),
        greatest=("accuracy", "max"),
        loss=("loss", "mean"),
    ).reset_index()
    return [
        write_csv(study.table("runs"), folder / f"{name}.csv"),
        write_csv(evaluations, folder / f"{name}_evaluations.csv"),
    ]


def write_csv(table: pd.DataFrame, file: Path) -> Path:
    """Writes a table, whole or not at all, and never over another file.

    Raises:
        ResultsError: if another file is there, or it cannot be written.
    """
    write_output(file, csv_of(table, float_format=_DIGITS, lineterminator="\n"))
    return file
