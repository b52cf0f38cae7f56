"""`gapslsim trace`: a run for Perfetto, or which client and phase set the pace of each round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from gapslsim.cli.say import say
from gapslsim.results import words
from gapslsim.results.tables import titled_table
from gapslsim.terminal import Terminal
from gapslsim.units import whole_number

if TYPE_CHECKING:
    from gapslsim.results.results import Results

__all__ = ["trace_command"]

_MOST_SPANS = 500_000
"""Without --rounds; a trace of them has some 200 MB."""


def trace_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Trace file to write [default: RUN/trace.json].")
    ] = None,
    rounds: Annotated[
        str | None, typer.Option(help="Only these, for instance 5 or 1-10 [default: all].")
    ] = None,
    critical_path: Annotated[
        bool, typer.Option("--critical-path", help="Print what set the pace of each round; write no trace.")
    ] = False,
) -> None:
    """Write a run as a trace for ui.perfetto.dev, or print what set its pace."""
    from gapslsim.results.store import load_results

    results = load_results(run)
    chosen = _rounds(rounds) or _first(results)
    if critical_path:
        _print_pace(results, chosen)
        return
    from gapslsim.results.trace import write_trace

    target = out if out is not None else run / "trace.json"
    n_events = write_trace(results, target, chosen)
    say(f"{n_events} events written to {target}; open it at https://ui.perfetto.dev (it stays local)")


def _rounds(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, dash, last = text.partition("-")
    begin, end = whole_number(first), whole_number(last if dash else first)
    if begin is None or end is None or end < begin:
        raise typer.BadParameter(f"found {text!r}; write a round or a range, for instance 5 or 1-10")
    return begin, end


def _first(results: Results) -> tuple[int, int] | None:
    """The first rounds of a run whose trace no viewer would open; None for all of it."""
    n_spans, rounds = len(results.table("spans")), results.rounds["round"]
    n_rounds = len(rounds) * _MOST_SPANS // max(n_spans, 1)
    if n_rounds >= len(rounds):
        return None
    last = int(rounds.iloc[max(n_rounds, 1) - 1])
    say(
        f"Note: {results.label} has {n_spans:,} spans in {len(rounds):,} rounds; these are rounds 1 to {last}. Choose "
        "others by --rounds.", err=True,
    )  # fmt: skip
    return 0, last


def _print_pace(results: Results, chosen: tuple[int, int] | None) -> None:
    from gapslsim.results.categories import LABELS
    from gapslsim.results.critical_path import by_group, critical_path, describe, pace
    from gapslsim.results.names import Names

    rounds = results.rounds
    if chosen is not None:
        rounds = rounds[rounds["round"].between(*chosen)]
    spans = results.table("spans").select(**{} if chosen is None else {"round": chosen})
    path = critical_path(spans, rounds)
    paced, names = pace(path, rounds), Names(results.clients)
    table = Table(title=f"What set the pace: {results.label}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("round", "took", "client", "on the chain", "longest part", "took"):
        table.add_column(name, justify="left" if name in ("client", "longest part") else "right")
    for row in paced.itertuples(index=False):
        client = names.client(row.client) if row.client >= 0 else words.MISSING
        share = words.share(row.client_s, row.duration_s)
        part = f"{row.phase} ({row.actor})" if row.actor else str(row.phase)
        table.add_row(
            str(row.round), words.seconds(row.duration_s), client, share, part, words.seconds(row.phase_s)
        )
    console = Terminal()
    console.print(table)
    causes = titled_table("By client group", "who", "what", "on the chain", "share")
    for row in by_group(path, names).itertuples(index=False):
        what = LABELS.get(row.what, row.what)
        causes.add_row(row.who, what, words.seconds(row.seconds), words.share(row.share, 1.0))
    console.print(causes)
    console.print(describe(path, paced, names))
