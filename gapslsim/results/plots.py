"""Figures of runs: accuracy over time and rounds, where the time went, one round as a Gantt chart.

Each function returns a Figure that belongs to no window and to no global state; `save_figure` writes it. Colours are
seaborn's colour-blind-safe palette. Matplotlib and seaborn are imported when a figure is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from gapslsim.errors import ResultsError
from gapslsim.results.categories import CATEGORIES, LABELS, Category, category_of
from gapslsim.results.compare import labels_of
from gapslsim.results.far_apart import are_far_apart
from gapslsim.results.results import Results
from gapslsim.results.summary import accuracy_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SHAPES", "finish_axes", "new_figure", "palette", "plot_accuracy", "plot_comparison", "plot_round",
    "plot_where_time_went", "save_figure",
]  # fmt: skip

_TIME = "simulated time [s]"
SHAPES: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Marks of series, by number."""


def plot_accuracy(results: Results) -> Figure:
    """Accuracy of every view against simulated time and against rounds; bands span the clients.

    Raises:
        ResultsError: if the run has no evaluation.
    """
    views = list(results.evaluations["view"].unique())
    if not views:
        raise ResultsError(f"{results.label} has no evaluation to plot: it was dry or ended before the first")
    figure = new_figure(9.0, 3.6)
    by_time, by_round = figure.subplots(1, 2, sharey=True)
    for index, view in enumerate(views):
        curve = accuracy_curve(results.evaluations, view)
        spread = bool((results.evaluations.loc[results.evaluations["view"] == view, "client"] >= 0).any())
        for axes, column in ((by_time, "time_s"), (by_round, "round")):
            _draw_curve(axes, curve, column, view, index, spread)
    finish_axes(by_time, _TIME, "test accuracy")
    finish_axes(by_round, "round", "")
    by_time.set_ylim(bottom=0)
    by_round.legend(title="view", loc="best", fontsize="small")
    figure.suptitle(results.label)
    return figure


def plot_comparison(runs: Sequence[Results]) -> Figure:
    """Several runs: accuracy against simulated time, one panel per view, above where the time went.

    Raises:
        ResultsError: if no run is given.
    """
    if not runs:
        raise ResultsError("no run to plot; give at least one run directory")
    summaries = [run.summary for run in runs]
    labels = labels_of(summaries)
    views = list(dict.fromkeys(view for run in runs for view in run.evaluations["view"].unique()))
    bars_height = 1.3 + 0.32 * len(runs)
    if not views:
        return plot_where_time_went(summaries)
    figure = new_figure(max(6.4, 2.9 * len(views)), 3.2 + bars_height)
    above, below = figure.subfigures(2, 1, height_ratios=[3.2, bars_height], squeeze=False)[:, 0]
    panels = above.subplots(1, len(views), sharey=True, squeeze=False)[0]
    log = are_far_apart(summary["simulated_time_s"] for summary in summaries)
    time_label = f"{_TIME}, log scale" if log else _TIME
    for axes, view in zip(panels, views, strict=True):
        for index, (label, run) in enumerate(zip(labels, runs, strict=True)):
            curve = accuracy_curve(run.evaluations, view)
            curve = curve[curve["time_s"] > 0] if log else curve
            if len(curve):
                _draw_curve(axes, curve, "time_s", label, index, spread=False)
        axes.set_title(view)
        if log:
            axes.set_xscale("log")
        finish_axes(axes, time_label, "test accuracy" if axes is panels[0] else "")
    panels[0].set_ylim(bottom=0)
    panels[-1].legend(loc="best", fontsize="small")
    _draw_bars(below.subplots(), summaries, labels)
    return figure


def plot_where_time_went(summaries: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds per category, mean of clients, stacked to the simulated time; one bar per run."""
    figure = new_figure(8.0, 1.5 + 0.4 * len(summaries))
    _draw_bars(figure.subplots(), summaries, labels_of(summaries))
    return figure


def plot_round(results: Results, round: int = 1) -> Figure:
    """Gantt chart of one round: what each client and server did and when.

    Args:
        results: of a run, also a dry one.
        round: which, from 1.

    Raises:
        ResultsError: if there is no such round.
    """
    spans = results.spans[results.spans["round"] == round]
    if spans.empty:
        known = int(results.spans["round"].max()) if len(results.spans) else 0
        raise ResultsError(f"round {round} is not in {results.label}; it has rounds 1 to {known}")
    actors = sorted(spans["actor"].unique(), key=_actor_order)
    begin_s = float(spans["start_s"].min())
    figure = new_figure(9.0, 1.5 + 0.3 * len(actors))
    axes = figure.subplots()
    colours = _category_colours()
    of_server = spans["client"] < 0
    category = spans["phase"].map(category_of).where(~of_server, "server_compute")
    for name in CATEGORIES:
        own = spans[category == name]
        axes.barh(
            y=[actors.index(actor) for actor in own["actor"]],
            width=own["end_s"] - own["start_s"],
            left=own["start_s"] - begin_s,
            height=0.8,
            color=colours[name],
            edgecolor="white",
            linewidth=0.3,
            label=LABELS[name],
        )
    axes.set_yticks(range(len(actors)), actors)
    axes.invert_yaxis()
    finish_axes(axes, f"simulated time after {begin_s:.6g} s [s]", "")
    axes.set_title(f"{results.label}: round {round}")
    _legend_outside(axes)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Writes a figure; the ending of the name gives the format (png, svg, pdf).

    Raises:
        ResultsError: if the format is unknown or the file cannot be written.
    """
    target = Path(path)
    known = sorted(figure.canvas.get_supported_filetypes())
    if target.suffix.lstrip(".").lower() not in known:
        raise ResultsError(
            f"{target}: {target.suffix or 'no ending'} is no picture format; use {', '.join(known)}"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=150)
    except OSError as error:
        raise ResultsError(f"{target} could not be written: {error.strerror or error}") from error
    return target


def new_figure(width: float, height: float) -> Figure:
    """A figure outside pyplot: nothing global is touched and no window opens."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def palette(n: int) -> list[tuple[float, float, float]]:
    """So many colours that can be told apart without colour vision."""
    import seaborn as sns

    return [(float(r), float(g), float(b)) for r, g, b in sns.color_palette("colorblind", n)]


def _category_colours() -> dict[Category, tuple[float, float, float]]:
    """One colour per category; waiting is grey, so that what is done stands out."""
    colours = dict(zip(CATEGORIES, palette(len(CATEGORIES)), strict=True))
    colours["waiting"] = (0.85, 0.85, 0.85)
    return colours


def _draw_curve(axes: Axes, curve: pd.DataFrame, x: str, label: str, index: int, spread: bool) -> None:
    """A line with marks, which tell lines apart also without colour; a band from min to max if asked."""
    colour = palette(10)[index % 10]
    every = max(1, len(curve) // 8)
    axes.plot(
        curve[x],
        curve["accuracy"],
        label=label,
        color=colour,
        marker=SHAPES[index % len(SHAPES)],
        markevery=every,
        markersize=4,
        linewidth=1.5,
    )
    if spread:
        axes.fill_between(curve[x], curve["min"], curve["max"], color=colour, alpha=0.15, linewidth=0)


def _draw_bars(axes: Axes, summaries: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> None:
    colours = _category_colours()
    left = [0.0] * len(summaries)
    for category in CATEGORIES:
        widths = [float(summary["where_time_went_s"][category]) for summary in summaries]
        axes.barh(range(len(labels)), widths, left=left, color=colours[category], label=LABELS[category])
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    finish_axes(axes, f"{_TIME}, mean of clients", "")
    _legend_outside(axes)


def finish_axes(axes: Axes, x: str, y: str) -> None:
    """Labels, a faint grid, no frame on top and right."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend_outside(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize="small", frameon=False)


def _actor_order(actor: str) -> tuple[int, int, str]:
    """Servers first, then clients by number."""
    stem, _, number = actor.rpartition("-")
    return (1, int(number), actor) if stem == "client" and number.isdigit() else (0, 0, actor)
