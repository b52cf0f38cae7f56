"""One round as a Gantt chart: what each device did and when, with the chain that set the pace outlined."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results import words
from gapslsim.results.categories import IN_VAIN, LABELS, Category, actor_order, category_of
from gapslsim.results.critical_path import critical_path
from gapslsim.results.drawing.drawing import Bar, Drawing, Panel, Part, Row, Scale, Span
from gapslsim.results.names import Names
from gapslsim.results.report.data import Run, RunSet

__all__ = ["gantt_figure"]

_MOST_ROWS: Final = 40
_FAINT: Final = 0.3
"""Of what was in vain."""
_AWAY: Final = "away"
_VAIN: Final = "in vain"
_SIGNS: Final = {_AWAY: "A thin line: away.", _VAIN: "Faint: in vain, as it was broken off, lost or damaged."}


def gantt_figure(runs: RunSet, round: int | None = None) -> Drawing | None:
    """The chosen round of the first run of each series in the first panel; all but the first are folded.

    Args:
        runs: of the page.
        round: which; by default the one whose duration is the median of the run.

    Raises:
        ResultsError: if a round is asked for that no run has.
    """
    found = (_of_run(group.runs[0], round) for group in runs.of_panel(runs.panels[0]))
    drawn = [drawing for drawing in found if drawing is not None]
    if not drawn:
        if round is not None:
            raise ResultsError(f"no run has a round {round}; choose another with --round")
        return None
    first, *rest = drawn
    where = f" ({runs.panels[0]})" if runs.panels[0] else ""
    how = "Outlined: the chain of work and transfers that set the pace."
    caption = [" ".join([how, *_signs(drawn)]), *first.caption]
    return replace(first, name="gantt", title=f"{first.title}{where}", caption=caption, more=rest)


def _signs(drawn: list[Drawing]) -> list[str]:
    """What is said of the signs that are in use."""
    parts = [part for drawing in drawn for panel in drawing.panels for part in panel.parts]
    used = {_AWAY for part in parts if isinstance(part, Span)}
    used |= {_VAIN for part in parts if isinstance(part, Bar) and part.shade < 1}
    return [said for sign, said in _SIGNS.items() if sign in used]


def _of_run(run: Run, wanted: int | None) -> Drawing | None:
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
    # A wait that lasts from one round into the next is written when it ends.
    spans = run.stored.lazily("spans").select(end_s=(start_s, math.inf), start_s=(-math.inf, end_s))
    spans = spans[(spans["end_s"] > start_s) & (spans["start_s"] < end_s)]
    path = critical_path(spans[spans["round"] == number], rounds[rounds["round"] == number])
    names = Names(run.table("clients"))
    panel = _panel(spans, path, start_s, end_s, names)
    caption = _caption(run, number, start_s, end_s, path, names)
    return Drawing(f"One round of {run.series}, seed {run.seed}", [panel], [caption])


def _panel(spans: pd.DataFrame, path: pd.DataFrame, start_s: float, end_s: float, names: Names) -> Panel:
    actors = sorted(spans["actor"].unique(), key=actor_order)[:_MOST_ROWS]
    place = {actor: row for row, actor in enumerate(actors)}
    unit, factor = ("ms", 1e3) if end_s - start_s < 2 else ("s", 1.0)
    parts: list[Part] = []
    for (actor, category, sign), (begin, end, told) in _pieces(spans, start_s, end_s):
        if actor not in place:
            continue
        row, where = place[actor], ((begin - start_s) * factor, (end - start_s) * factor)
        if sign == _AWAY:
            parts.append(Span(where, (row, row)))
        else:
            about, shade = f"{told}: {words.seconds(end - begin)}", _FAINT if sign == _VAIN else 1.0
            parts.append(Bar(row, *where, category, about, shade))
    parts += [
        Bar(place[link.actor], (link.start_s - start_s) * factor, (link.end_s - start_s) * factor, None)
        for link in path.itertuples(index=False) if link.actor in place
    ]  # fmt: skip
    along = Scale(f"simulated time since the round began [{unit}]", 0.0, (end_s - start_s) * factor)
    rows = [Row(actor, names.device_of(actor)) for actor in actors]
    return Panel("", along, Scale(), parts, rows, row_height=16, wide=True)


def _pieces(spans: pd.DataFrame, start_s: float, end_s: float) -> list[Any]:
    """Spans cut to the round; neighbours of one category and sign on one track become one piece."""
    pieces: list[Any] = []
    open_at: dict[str, int] = {}
    for row in spans.sort_values(["start_s", "end_s"], kind="stable").itertuples(index=False):
        category = category_of(row.phase, row.client)
        sign = _AWAY if row.phase == "away" else _VAIN if row.phase.startswith(IN_VAIN) else ""
        begin, end = max(row.start_s, start_s), min(row.end_s, end_s)
        last = open_at.get(row.actor)
        if last is not None:
            key, (first, until, told) = pieces[last]
            if key == (row.actor, category, sign) and begin - until < 1e-9:
                pieces[last] = (key, (first, end, told if told == row.phase else _label(category, sign)))
                continue
        open_at[row.actor] = len(pieces)
        pieces.append(((row.actor, category, sign), (begin, end, row.phase)))
    return pieces


def _label(category: Category, sign: str) -> str:
    return f"{LABELS[category]}, {sign}" if sign else LABELS[category]


def _caption(run: Run, number: int, start_s: float, end_s: float, path: pd.DataFrame, names: Names) -> str:
    links = [
        (f"{link.phase} of {names.actor(link.actor)}" if link.actor else "idle", link.end_s - link.start_s)
        for link in path.itertuples(index=False)
    ]
    steps = [(what, sum(s for _, s in own)) for what, own in groupby(links, itemgetter(0))]
    told = ", then ".join(f"{what} ({words.seconds(seconds)})" for what, seconds in steps[:6])
    rest = f", and {len(steps) - 6} further steps" if len(steps) > 6 else ""
    n_actors = len({a for p in run.stored.lazily("spans").pieces(["actor"]) for a in p["actor"].unique()})
    cut = f" The first {_MOST_ROWS} of {n_actors} tracks are drawn." if n_actors > _MOST_ROWS else ""
    return f"Round {number} of {run.series} took {words.seconds(end_s - start_s)}: {told}{rest}.{cut}"
