"""The page: one HTML file without scripts and without anything from the network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from gapslsim.results.drawing.drawing import Drawing
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.drawing.svg import patterns
from gapslsim.results.outputs import write_output
from gapslsim.results.report import _tables as tables
from gapslsim.results.report._accuracy import accuracy_figure, client_figure
from gapslsim.results.report._attendance import attendance_figure
from gapslsim.results.report._classes import class_figure
from gapslsim.results.report._costs import pareto_figure, where_figure
from gapslsim.results.report._gantt import gantt_figure
from gapslsim.results.report._html import figure_html, html_table
from gapslsim.results.report._leakage import leakage_figure
from gapslsim.results.report._metrics import metric_figure
from gapslsim.results.report._style import STYLE
from gapslsim.results.report._targets import target_figure
from gapslsim.results.report.answers import answers, basis
from gapslsim.results.report.data import RunSet, gather
from gapslsim.results.report.differences import rows_of
from gapslsim.results.report.geometry import geometry_figure
from gapslsim.results.report.likely import likely_section
from gapslsim.results.study import is_study, read_study
from gapslsim.results.study_figure import figure_of
from gapslsim.results.study_tables import has_tables, read_tables

__all__ = ["write_report"]

_COMMAND = ("gapslsim", "report")

_STYLE: Final = Markup(STYLE)
_POLICY: Final = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    f"{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""The page has a style of its own and links to its own data; a browser is told to run and to fetch nothing else."""


def write_report(
    paths: Iterable[Path], target: Path, *, round: int | None = None, command: Sequence[str] = ()
) -> RunSet:
    """Writes the page of some runs and studies.

    Args:
        paths: run and study directories.
        target: the HTML file.
        round: which round the Gantt chart shows; by default one of median duration.
        command: the command line, for the page's last section.

    Raises:
        ResultsError: if there is nothing to report on, no such round, or the file cannot be written.
    """
    runs = gather(paths)
    write_output(target, page(runs, round=round, command=command), tells=False)
    return runs


def _figures(runs: RunSet, round: int | None = None) -> list[Drawing]:
    """Every figure for which the runs have data, in order."""
    made = [
        accuracy_figure(runs, "time_s"),
        accuracy_figure(runs, "round"),
        metric_figure(runs),
        class_figure(runs),
        target_figure(runs),
        where_figure(runs),
        pareto_figure(runs),
        gantt_figure(runs, round),
        attendance_figure(runs),
        geometry_figure(runs),
        leakage_figure(runs),
        client_figure(runs),
    ]
    return [figure for figure in made if figure is not None]


def _of_studies(runs: RunSet) -> list[Drawing]:
    """The own figure of each study that asks for one and has its tables: what `gapslsim figure` draws."""
    made: list[Drawing] = []
    for path in runs.paths:
        wanted = figure_of(read_study(path)) if is_study(path) and has_tables(path) else None
        if wanted is not None:
            drawing = wanted.draw(read_tables(path))
            name = "study-figure" + (f"-{len(made) + 1}" if made else "")
            made.append(replace(drawing, name=name, title=f"Figure of the study: {drawing.title}"))
    return made


def page(runs: RunSet, *, round: int | None = None, command: Sequence[str] = ()) -> str:
    """The page as HTML text."""
    likely, gaps = likely_section(runs), _differences(runs)
    sections = [
        *map(_drawn, _of_studies(runs)),
        _section("settings", "Settings", tables.settings_table(runs)),
        *map(_drawn, _figures(runs, round)),
        _section("results", "Results in numbers", _results(runs)),
        *([_section("differences", "Which differences are real", gaps)] if gaps else []),
        *([_section("likely", "How sure times and energies are", likely)] if likely else []),
        _section("provenance", "Provenance", tables.provenance_table(runs)),
        _section("commands", "Commands that make this again", tables.commands(runs, command or _COMMAND)),
    ]
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in sections]
    body = [
        tag("h1", runs.title),
        tag("p", runs.question, class_="question") if runs.question else Markup(),
        _answers(runs),
        tables.without_whole_result(runs),
        tag("nav", tag("ul", *links), aria_label="Contents"),
        *(html for _, _, html in sections),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{runs.title} - gapslsim"),
        tag("style", _STYLE),
    ]
    main = tag("main", *(part for html in body if html for part in (html, "\n")))
    inside = joined([tag("head", *head), "\n", tag("body", patterns(), main)])
    return f"<!DOCTYPE html>\n{tag('html', inside, lang='en')}\n"


def _section(name: str, title: str, *html: str) -> tuple[str, str, Markup]:
    """Its name for links, its title, and the whole as HTML."""
    return name, title, tag("section", tag("h2", title), *html, id=name)


def _drawn(figure: Drawing) -> tuple[str, str, Markup]:
    return figure.name, figure.title, figure_html(figure)


def _answers(runs: RunSet) -> Markup:
    """The main findings in a few sentences."""
    said = tag("ul", *(tag("li", text) for text in answers(runs)), class_="answer")
    return joined([said, tag("p", basis(runs), class_="small")])


def _differences(runs: RunSet) -> Markup:
    """Paired differences; empty where nothing has two seeds."""
    rows = rows_of(runs)
    if not rows:
        return Markup()
    how = (
        "The best of each panel against each other series, by the seeds that both have: the mean difference with its "
        "95 % interval (Student's t; of times it holds wherever they lie between two evaluations), the probability "
        "that the order of the means is this, and whether it is decided at 5 %, corrected for all pairs of the same "
        "quantity (Holm). Seeds that would decide it do so with a power of 80 %, if mean and spread stay."
    )
    head = ["", "better", "than", "by", "in seeds", "probability", "order"]
    return joined([tag("p", how, class_="caption"), html_table(head, rows)])


def _results(runs: RunSet) -> Markup:
    how = "Mean ± standard deviation over seeds; below it the 95 % confidence interval of the mean (Student's t)."
    if runs.n_seeds < 2:
        how = "Each column is one run (one seed): no spread is known."
    return joined([tag("p", how, class_="caption"), tables.result_table(runs)])
