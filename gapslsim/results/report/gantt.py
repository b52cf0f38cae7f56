"""One round as a Gantt chart: what each device did and when, with the chain that set the pace outlined."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results import words
from gapslsim.results.categories import LABELS, actor_order, category_of
from gapslsim.results.critical_path import critical_path
from gapslsim.results.report.costs import category_legend
from gapslsim.results.report.data import Run, RunSet
from gapslsim.results.report.figure import Figure, Panel
from gapslsim.results.report.svg import Plot, Scale, tag

__all__ = ["gantt_figure"]

_WIDTH: Final = 760.0
_MOST_ROWS: Final = 40
_LEAST: Final = 0.25
"""Narrower pieces are not drawn [units]."""


def gantt_figure(runs: RunSet, round: int | None = None) -> Figure | None:
    """The chosen round of the first run of each series in the first panel; all but the first are folded.

    Args:
        runs: of the page.
        round: which; by default the one whose duration is the median of the run.

    Raises:
        ResultsError: if a round is asked for that no run has.
    """
    drawn: list[tuple[str, Panel, str]] = []
    for group in runs.of_panel(runs.panels[0]):
        found = _of_run(group.runs[0], round)
        if found is not None:
            drawn.append((f"{group.series}, seed {group.runs[0].seed}", *found))
    if not drawn:
        if round is not None:
            raise ResultsError(f"no run has a round {round}; choose another with --round")
        return None
    (name, first, caption), *rest = drawn
    where = f" ({runs.panels[0]})" if runs.panels[0] else ""
    return Figure(
        "gantt",
        f"One round of {name}{where}",
        [first],
        ["Outlined: the chain of work and transfers that set the pace.", caption],
        category_legend(),
        [(f"One round of {other}", [panel], [about]) for other, panel, about in rest],
    )


def _of_run(run: Run, wanted: int | None) -> tuple[Panel, str] | None:
    rounds = run.table("rounds")
    if rounds.empty:
        return None
    if wanted is None:
        durations = (rounds["end_s"] - rounds["start_s"]).sort_values(kind="stable")
        chosen: Any = rounds.loc[durations.index[len(durations) // 2]]
    else:
        found = rounds[rounds["round"] == wanted]
        if found.empty:
            return None
        chosen = found.iloc[0]
    number, start_s, end_s = int(chosen["round"]), float(chosen["start_s"]), float(chosen["end_s"])
    spans = run.table("spans")
    # A wait that lasts from one round into the next is written when it ends.
    spans = spans[(spans["end_s"] > start_s) & (spans["start_s"] < end_s)]
    path = critical_path(spans[spans["round"] == number], rounds[rounds["round"] == number])
    svg = _draw(spans, path, start_s, end_s)
    return Panel("", svg, wide=True), _caption(run, number, start_s, end_s, path)


def _draw(spans: pd.DataFrame, path: pd.DataFrame, start_s: float, end_s: float) -> str:
    actors = sorted(spans["actor"].unique(), key=actor_order)[:_MOST_ROWS]
    unit, factor = ("ms", 1e3) if end_s - start_s < 2 else ("s", 1.0)
    row, left = 16.0, 116.0
    scale = Scale(0.0, (end_s - start_s) * factor, n_ticks=8)
    plot = Plot(scale, Scale(0, 1), height=50 + row * len(actors), left=left, top=4, right=12, width=_WIDTH)
    plot.axes(f"simulated time since the round began [{unit}]", y_ticks=False)
    place = {actor: plot.top + 2 + row * index for index, actor in enumerate(actors)}
    for actor, y in place.items():
        plot.text(left - 6, y + 11, actor, anchor="end")
    for (actor, category), (begin, end, told) in _pieces(spans, start_s, end_s):
        x, width = _extent(plot, begin, end, start_s, factor)
        if actor in place and width >= _LEAST:
            about = tag("title", f"{told}: {words.seconds(end - begin)}")
            fill = f"url(#p-{category})"
            y = place[actor]
            plot.add(tag("rect", about, x=x, y=y, width=width, height=row - 3, fill=fill, class_="bar"))
    for link in path.itertuples(index=False):
        x, width = _extent(plot, link.start_s, link.end_s, start_s, factor)
        if link.actor in place:
            y = place[link.actor]
            plot.add(tag("rect", x=x, y=y, width=max(width, 0.5), height=row - 3, class_="chain"))
    return plot.svg("one round as a Gantt chart")


def _extent(plot: Plot, begin: float, end: float, start_s: float, factor: float) -> tuple[float, float]:
    x = plot.at_x((begin - start_s) * factor)
    return x, plot.at_x((end - start_s) * factor) - x


def _pieces(spans: pd.DataFrame, start_s: float, end_s: float) -> list[Any]:
    """Spans cut to the round; neighbours of one category on one track become one piece."""
    pieces: list[Any] = []
    open_at: dict[str, int] = {}
    for row in spans.sort_values(["start_s", "end_s"], kind="stable").itertuples(index=False):
        category = category_of(row.phase, row.client)
        begin, end = max(row.start_s, start_s), min(row.end_s, end_s)
        last = open_at.get(row.actor)
        if last is not None:
            key, (first, until, told) = pieces[last]
            if key == (row.actor, category) and begin - until < 1e-9:
                pieces[last] = (key, (first, end, told if told == row.phase else LABELS[category]))
                continue
        open_at[row.actor] = len(pieces)
        pieces.append(((row.actor, category), (begin, end, row.phase)))
    return pieces


def _caption(run: Run, number: int, start_s: float, end_s: float, path: pd.DataFrame) -> str:
    steps: list[list[Any]] = []
    for link in path.itertuples(index=False):
        seconds = link.end_s - link.start_s
        what = f"{link.phase} of {link.actor}" if link.actor else "idle"
        if steps and steps[-1][0] == what:
            steps[-1][1] += seconds
        else:
            steps.append([what, seconds])
    told = ", then ".join(f"{what} ({words.seconds(seconds)})" for what, seconds in steps[:6])
    rest = f", and {len(steps) - 6} further steps" if len(steps) > 6 else ""
    n_actors = run.table("spans")["actor"].nunique()
    cut = f" The first {_MOST_ROWS} of {n_actors} tracks are drawn." if n_actors > _MOST_ROWS else ""
    return f"Round {number} of {run.series} took {words.seconds(end_s - start_s)}: {told}{rest}.{cut}"
