"""Several runs side by side: framework by accuracy per view, simulated time, time to target, bytes, energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from textwrap import fill
from typing import Any, Final

from rich.table import Table

from gapslsim.plain_text import markdown
from gapslsim.results import words
from gapslsim.results._attendance import often_and_seldom
from gapslsim.results.crossing import crossing_of
from gapslsim.results.drawing.markup import joined, tag
from gapslsim.results.latex import booktabs
from gapslsim.results.place import told_apart
from gapslsim.results.tables import titled_table
from gapslsim.terminal import Terminal

__all__ = ["Comparison", "compare", "labels_of"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table of texts, ready to print."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences on what it shows."""

    def __str__(self) -> str:
        return _text_of(self)

    def _repr_html_(self) -> str:
        head = tag("tr", *(tag("th", *_broken(cell)) for cell in self.columns))
        rows = [tag("tr", *(tag("td", *_broken(cell)) for cell in row)) for row in self.rows]
        table = tag("table", tag("thead", head), tag("tbody", *rows))
        return joined([table, *(tag("p", note) for note in self.notes)])

    def table(self, width: int = 80) -> Table:
        """For a terminal of so many columns: a row per run, or a column per run where that is too wide.

        Where both are, runs are numbered above, and tables of as many figures as fit stand below one another.
        """
        lines = [self.columns, *self.rows]
        turned = list(zip(*lines, strict=True))
        for each in (lines, turned):
            if _width(each) <= width:
                return _table_of(each)
        numbers = [str(n) for n in range(1, len(lines))]
        below = Table.grid()
        below.add_row("\n".join(f"{n:>3}  {row[0]}" for n, row in zip(numbers, self.rows, strict=True)))
        short = [("", *numbers), *turned[1:]]
        for block in [short] if _width(short) <= width else _blocks(short, width):
            below.add_row(_table_of(block))
        return below

    def brief(self) -> Comparison:
        """The first line of each cell alone: means and deviations without their intervals."""
        return replace(self, rows=tuple(tuple(cell.partition("\n")[0] for cell in row) for row in self.rows))

    def latex(self) -> str:
        """For papers, with the rules of `booktabs`; a column per run where there are fewer runs than figures."""
        lines = [self.columns, *self.rows]
        head, *rows = zip(*lines, strict=True) if len(self.columns) > len(lines) else lines
        return booktabs(head, rows)

    def markdown(self) -> str:
        """For documents; ends with a line break."""
        align = ["---"] + ["---:"] * (len(self.columns) - 1)
        lines = [self.columns, tuple(align), *self.rows]
        return "".join(f"| {' | '.join(map(markdown, line))} |\n" for line in lines)


def compare(
    summaries: Sequence[Mapping[str, Any]], *, spread: bool = False, scenarios: Sequence[str] = ()
) -> Comparison:
    """One row per run, in the order given.

    Args:
        summaries: as `summary.json` holds them.
        scenarios: of the same runs, see `labels_of`.
        spread: for views with one model per client, add the least and the greatest at the last evaluation.
    """
    views = list(dict.fromkeys(view for summary in summaries for view in summary["accuracy"]))
    targets = sorted(
        {(s["target_view"], target) for s in summaries for target in s["time_to_accuracy_s"]},
        key=lambda found: (found[0], float(found[1])),
    )
    told = {name: say for name, say in _TOLD.items() if any(say(summary) for summary in summaries)}
    metrics = list(dict.fromkeys((s["target_view"], name) for s in summaries for name in _metrics(s)))
    columns = [
        "run", *views, *(f"{name} {view}" for view, name in metrics), "simulated time",
        *(f"time to {words.accuracy(float(target))} {view}" for view, target in targets),
        "up", "down", "energy", *told,
    ]  # fmt: skip
    rows = []
    for label, summary in zip(labels_of(summaries, scenarios), summaries, strict=True):
        drawn = summary.get("uncertainty") or {}
        reached = {target: crossing_of(summary, target) for target in summary["time_to_accuracy_s"]}
        rows.append(
            (
                label,
                *(_accuracy(summary["accuracy"].get(view), spread) for view in views),
                *(
                    words.number(_metrics(summary).get(name) if summary["target_view"] == view else None)
                    for view, name in metrics
                ),
                words.plain_seconds(summary["simulated_time_s"])
                + _within(drawn.get("simulated_time_s"), words.plain_seconds),
                *(
                    (found.words(words.plain_seconds) if (found := reached.get(target)) else words.MISSING)
                    + _within(drawn.get("time_to_accuracy_s", {}).get(target), words.plain_seconds)
                    if summary["target_view"] == view
                    else words.MISSING
                    for view, target in targets
                ),
                words.size(summary["bytes_up"]),
                words.size(summary["bytes_down"]),
                words.energy(summary["energy_j"]["total"]) + _within(drawn.get("energy_j"), words.energy),
                *(say(summary) or words.MISSING for say in told.values()),
            )
        )
    return Comparison(tuple(columns), tuple(rows))


def _text_of(found: Comparison) -> str:
    """The table for 100 columns, and its notes."""
    out = StringIO()
    console = Terminal(file=out, width=100)
    console.print(found.table(100))
    return "\n".join(line.rstrip() for line in [*out.getvalue().strip("\n").splitlines(), *found.notes])


def _metrics(summary: Mapping[str, Any]) -> Mapping[str, float | None]:
    """Those at the last evaluation, in the view that is judged."""
    found: Mapping[str, float | None] = (summary.get("metrics") or {}).get(summary["target_view"], {})
    return found


def _in_vain(summary: Mapping[str, Any]) -> str:
    vain = summary.get("wasted") or {}
    return words.share(vain.get("share_of_time"), 1.0) if vain.get("spans") else ""


def _away(summary: Mapping[str, Any]) -> str:
    away = summary.get("away_s")
    return "" if away is None else words.share(away["mean"], summary["simulated_time_s"])


def _participation(summary: Mapping[str, Any]) -> str:
    found = summary.get("participation")
    return "" if found is None else " .. ".join(words.share(found[key], 1.0) for key in ("min", "max"))


def _staleness(summary: Mapping[str, Any]) -> str:
    stale = summary.get("mean_staleness")
    return "" if stale is None else f"{stale:.2f}"


_TOLD: Final = {
    "work in vain": _in_vain,
    "staleness": _staleness,
    "away": _away,
    "rounds per client": _participation,
    "often / seldom away": often_and_seldom,
}
"""Columns where any run has something to tell: share of the time of all work; mean; share of the time, mean of the
clients; least and most of the clients; last accuracy of the half of the clients that was away longest, and of the
others."""


def labels_of(summaries: Sequence[Mapping[str, Any]], scenarios: Sequence[str] = ()) -> list[str]:
    """The shortest texts that tell runs apart: framework, then with name, seed, what differs, a number if need be.

    Args:
        summaries: as `summary.json` holds them.
        scenarios: of the same runs, resolved; without, what differs in them cannot be told.

    A run that did not complete, or that was dry, says so.
    """
    texts = [str(summary["framework"]) for summary in summaries]
    names = [str(summary["name"]) for summary in summaries]
    seeds = [f"seed {summary['seed']}" for summary in summaries]
    for more in (names, seeds):
        if len(set(texts)) < len(texts) and len(set(more)) > 1:
            texts = [f"{text}, {addition}" for text, addition in zip(texts, more, strict=True)]
    if len(set(texts)) < len(texts) and scenarios:
        texts = [
            f"{text}, {own}" if own else text for text, own in zip(texts, told_apart(scenarios), strict=True)
        ]
    if len(set(texts)) < len(texts):
        texts = [f"{text} #{index}" for index, text in enumerate(texts, 1)]
    return [text + _caveat(summary) for text, summary in zip(texts, summaries, strict=True)]


def _caveat(summary: Mapping[str, Any]) -> str:
    notes = [] if summary["status"] == "completed" else [str(summary["status"]).partition(":")[0]]
    notes += ["dry"] if summary["dry"] else []
    return f" ({', '.join(notes)})" if notes else ""


def _accuracy(numbers: Mapping[str, float | None] | None, spread: bool) -> str:
    if numbers is None:
        return words.MISSING
    text = words.accuracy(numbers["last"])
    if spread and "min" in numbers:
        text += f" ({words.accuracy(numbers['min'])} .. {words.accuracy(numbers['max'])})"
    return text


def _within(interval: Mapping[str, float | None] | None, say: Callable[[float | None], str]) -> str:
    """The interval over draws, behind the number that was told."""
    text = words.between(interval, say)
    return f" ({text})" if text else ""


def _width(lines: Sequence[Sequence[str]]) -> int:
    """Characters that a table of these lines takes without wrapping."""
    return (
        sum(
            max(len(line) for cell in column for line in cell.split("\n")) + 2
            for column in zip(*lines, strict=True)
        )
        - 2
    )


def _table_of(lines: Sequence[Sequence[str]]) -> Table:
    table = titled_table(None, *lines[0])
    for row in lines[1:]:
        table.add_row(*row)
    return table


def _blocks(columns: Sequence[Sequence[str]], width: int) -> Iterator[list[Sequence[str]]]:
    """Tables no wider than that, each with the first column and as many others as fit; heads are broken at blanks."""
    first, *others = columns
    block = [first]
    for head, *cells in others:
        widest = max(len(line) for cell in cells for line in cell.split("\n"))
        column = [fill(head, max(widest, 9), break_long_words=False), *cells]
        if len(block) > 1 and _width(list(zip(*block, column, strict=True))) > width:
            yield list(zip(*block, strict=True))
            block = [first]
        block.append(column)
    yield list(zip(*block, strict=True))


def _broken(cell: str) -> list[str]:
    first, *rest = cell.split("\n")
    return [first, *(part for line in rest for part in (tag("br"), line))]
