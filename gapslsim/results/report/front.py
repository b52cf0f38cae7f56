"""Runs and studies for scripts and notebooks: read, and side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gapslsim.results.compare import Comparison, labels_of
from gapslsim.results.compare import compare as compare_summaries
from gapslsim.results.crossing import at_one_evaluation
from gapslsim.results.report.answers import answers, basis
from gapslsim.results.report.data import gather
from gapslsim.results.report.study_table import difference_lines, study_table
from gapslsim.results.results import Results
from gapslsim.results.store import load_results
from gapslsim.results.study import is_study

__all__ = ["compare", "load_run"]


def load_run(directory: str | Path) -> Results:
    """Reads a run directory; `runs/LABEL` below a study's directory is one, too.

    Raises:
        ResultsError: if there is no run, or a file of it is missing, cut off or not what it should be.
    """
    return load_results(directory)


def compare(*runs: Results | str | Path, against: str = "") -> Comparison:
    """Runs or studies as a table that prints itself, with what is known of their differences as `notes`.

    Args:
        runs: results, or directories of runs or studies; results and studies do not go together.
        against: a series that all others are compared with over seeds; else the best is. For directories.

    Raises:
        ResultsError: if one cannot be read, or there is no such series.
    """
    paths = [Path(run) for run in runs if not isinstance(run, Results)]
    if len(paths) == len(runs) and any(map(is_study, paths)):
        found = gather(paths)
        notes = [found.question, *answers(found), basis(found), *difference_lines(found, against)]
        return replace(study_table(found), notes=tuple(filter(None, notes)))
    summaries = [run.summary if isinstance(run, Results) else load_run(run).summary for run in runs]
    told = zip(labels_of(summaries), map(at_one_evaluation, summaries), strict=True)
    notes = [f"{label}: {one}" for label, one in told if one]
    if len(paths) == len(runs):
        notes += difference_lines(gather(paths), against)
    return replace(compare_summaries(summaries), notes=tuple(notes))
