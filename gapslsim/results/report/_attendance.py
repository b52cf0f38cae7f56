"""Who was there, how stale gradients were, and how much was in vain: for runs in which there is something to tell."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd

from gapslsim.results import words
from gapslsim.results._attendance import often_and_seldom, participation
from gapslsim.results.drawing.drawing import Bar, Drawing, Panel, Row, Scale, TextTable
from gapslsim.results.names import Names
from gapslsim.results.report.data import Run, RunSet

__all__ = ["attendance_figure"]

_MOST_ROWS: Final = 40
_MOST_STALE: Final = 10
_HEAD: Final = (
    "run", "came", "late", "used stale", "lost", "away (mean)", "mean staleness", "in vain: time", "bytes", "energy",
    "often / seldom away",
)  # fmt: skip


def attendance_figure(runs: RunSet) -> Drawing | None:
    """Presence over time and staleness of the first run of each series in the first panel, and numbers of all.

    None if everybody was there and waited for.
    """
    told = [run for run in runs.runs if _has_something(run)]
    if not told:
        return None
    first = [group.runs[0] for group in runs.of_panel(runs.panels[0]) if _has_something(group.runs[0])]
    panels = [panel for run in first for panel in _panels(run, runs)]
    table = TextTable(_HEAD, [_numbers(run) for run in told])
    caption = _caption(told)
    return Drawing(
        "Who was there", panels, caption, name="attendance", series=runs.series, table=table, n_columns=2
    )


def _caption(told: list[Run]) -> list[str]:
    """How to read what these runs show."""
    said = []
    if any(len(run.table("presence")) for run in told):
        said.append("Rows are clients, filled while they were there; beside them the share of time away.")
    if any(len(run.table("attendance")) for run in told):
        said.append("Rounds taken part in: those in which what the client sent was used, on time or stale.")
    if any(len(run.table("staleness")) for run in told):
        how = "Staleness: updates of the server between a mini-batch's forward pass and the step that took it; share "
        said.append(how + "of all mini-batches, dropped ones among them; the mean is over those taken.")
    vain = "In vain: what was cancelled, lost or damaged, with its share of all work; the end of a run cuts off what "
    said.append(vain + "is under way.")
    if any((run.summary.get("fairness") or {}).get("view") for run in told):
        how = "Often / seldom away: last accuracy, mean of the half of the clients that was away longest, and of the "
        said.append(how + "others.")
    return said


def _has_something(run: Run) -> bool:
    names = ("attendance", "presence", "staleness")
    return any(len(run.table(name)) for name in names) or bool((run.summary.get("wasted") or {}).get("spans"))


def _panels(run: Run, runs: RunSet) -> list[Panel]:
    made, series = [], runs.index(run.series)
    presence, staleness = run.table("presence"), run.table("staleness")
    if len(presence):
        made.append(_presence(presence, run, series))
    if len(run.table("attendance")):
        made.append(_rounds(run, series))
    if len(staleness):
        made.append(_staleness(staleness, run, series))
    return made


def _presence(presence: pd.DataFrame, run: Run, series: int) -> Panel:
    """Stays of each client, and of the server if it crashed."""
    end_s, n_clients = float(run.summary["simulated_time_s"]), int(run.summary["n_clients"])
    actors = [*([-1] if (presence["client"] < 0).any() else []), *range(n_clients)][:_MOST_ROWS]
    bars, rows, names = [], [], Names(run.table("clients"))
    for row, client in enumerate(actors):
        own = presence[presence["client"] == client].sort_values("left_s")
        actor = "server" if client < 0 else f"client-{client}"
        name = names.actor(actor)
        since_s = away_s = 0.0
        for left_s, back_s in zip(own["left_s"], own["back_s"].fillna(end_s), strict=True):
            if left_s > since_s:
                bars.append(
                    Bar(row, since_s, left_s, series, f"{name} there: {words.seconds(left_s - since_s)}")
                )
            away_s += min(back_s, end_s) - left_s
            since_s = back_s
        if end_s > since_s:
            bars.append(Bar(row, since_s, end_s, series, f"{name} there: {words.seconds(end_s - since_s)}"))
        rows.append(Row(actor, words.share(away_s, end_s)))
    along = Scale("simulated time [s]", 0.0, end_s or 1.0)
    title = f"{run.series}: who was there{_cut(n_clients)}"
    return Panel(title, along, Scale(), bars, rows, row_height=16, note_label="away")


def _rounds(run: Run, series: int) -> Panel:
    """In how many of the rounds each client's part was used."""
    n_clients = int(run.summary["n_clients"])
    shares = participation(run.stored.lazily("attendance"), n_clients, len(run.table("rounds")))[:_MOST_ROWS]
    bars, rows, names = [], [], Names(run.table("clients"))
    for client, share in enumerate(shares.tolist()):
        said = words.share(share, 1.0)
        rows.append(Row(f"client-{client}", said))
        bars.append(Bar(client, 0.0, 100 * share, series, f"{names.client(client)}: {said}"))
    along, title = Scale("share of rounds [%]", 0.0, 100.0), f"{run.series}: rounds taken part in"
    return Panel(f"{title}{_cut(n_clients)}", along, Scale(), bars, rows, row_height=16)


def _cut(n_clients: int) -> str:
    return f" (the first {_MOST_ROWS})" if n_clients > _MOST_ROWS else ""


def _staleness(staleness: pd.DataFrame, run: Run, series: int) -> Panel:
    """A histogram; what is staler than the last row is in it."""
    clipped = staleness["staleness"].clip(upper=_MOST_STALE)
    counts = clipped.value_counts(normalize=True).sort_index()
    last = int(counts.index.max())
    rows, bars = [], []
    for row, value in enumerate(range(last + 1)):
        share = 100 * float(counts.get(value, 0.0))
        more = value == _MOST_STALE and bool((staleness["staleness"] > value).any())
        name = f"{value} or more" if more else str(value)
        rows.append(Row(name, f"{share:.1f} %"))
        bars.append(Bar(row, 0.0, share, series, f"staleness {name}: {share:.1f} %"))
    along = Scale("share of mini-batches [%]", 0.0, math.ceil(100 * float(counts.max()) / 10) * 10.0)
    return Panel(f"{run.series}: staleness", along, Scale("staleness"), bars, rows, row_height=16)


def _numbers(run: Run) -> list[str]:
    summary: dict[str, Any] = run.summary
    attendance, vain = summary.get("attendance") or {}, summary.get("wasted") or {}
    stale, away = summary.get("mean_staleness"), summary.get("away_s")
    shares = (
        ("time_s", words.seconds, "time"),
        ("bytes", words.size, "bytes"),
        ("energy_j", words.energy, "energy"),
    )
    return [
        f"{run.series}, seed {run.seed}",
        *(str(attendance[name]) if attendance else "-" for name in ("came", "late", "stale", "lost")),
        words.seconds(away["mean"]) if away else "-",
        f"{stale:.2f}" if stale is not None else "-",
        *(
            f"{say(vain[key])}\n{_share(vain[f'share_of_{name}'])}" if vain else "-"
            for key, say, name in shares
        ),
        often_and_seldom(summary) or words.MISSING,
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2g} %"
