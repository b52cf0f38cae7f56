"""What set the pace of a run, and what it would save to make one thing faster: shadow prices by re-timing.

The chain of work and transfers that ends when a round ends says what was waited for. It does not say what a faster link
would bring: behind it another chain may be as long. So the run is timed again with one resource made faster at a time,
in the same event loop, without tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from gapslsim.answers._subject import Subject, subject_of
from gapslsim.answers.resources import Resource, resources
from gapslsim.errors import ResultsError
from gapslsim.results import words
from gapslsim.results.critical_path import chain_by_group
from gapslsim.results.drawing.drawing import Bar, Drawing, Panel, Row, Scale
from gapslsim.results.names import Names
from gapslsim.results.results import Results
from gapslsim.results.summary import plain

if TYPE_CHECKING:
    from gapslsim.uncertainty.play import Played

__all__ = ["Explanation", "explain"]

_ON_CHAIN: Final = {
    "compute": "client_compute", "uplink": "uplink", "downlink": "downlink", "overheads": "", "latency": "",
}  # fmt: skip
"""Category of the chain that a resource of a group stands behind; a latency is in both links."""
_ROUNDING: Final = 1e-9
"""Of what a saving must be above to be one, relative to the time of the run."""
_MOST_TOLD: Final = 3
_MOST_DRAWN: Final = 20


@dataclass(frozen=True, eq=False)
class Explanation:
    """What set the pace of a run."""

    label: str
    """Of the run."""
    rounds: int
    """How many were timed."""
    time_s: float
    """Simulated time of these."""
    factor: float
    """How many times as fast each resource was made."""
    table: pd.DataFrame = field(repr=False)
    """One row per resource, the largest saving first: `name`, `who` (client group, server, network), `what`, `path` in
    the scenario, `share` of the chain that set the pace (NaN where the chain does not tell), `time_s` with it faster,
    `saved_s`, `saved_share`, `saved_j` (energy of all nodes)."""
    chain: pd.DataFrame = field(repr=False)
    """The chain by client group: columns who, what, seconds, share."""
    notes: tuple[str, ...] = ()
    """What to know of the figures."""

    def __str__(self) -> str:
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """The causes with the largest savings in words, then the notes."""
        told = [self._told(row) for row in self.table.head(_MOST_TOLD).itertuples() if row.saved_s > 0]
        if not told:
            told = [f"Nothing that is made {self._times} as fast by itself ends the run sooner."]
        return [*told, *self.notes]

    @property
    def _times(self) -> str:
        return f"{self.factor:g} times"

    def _told(self, row: Any) -> str:
        how = {(True, 2.0): "doubled", (False, 2.0): "halved"}.get((row.is_rate, self.factor))
        how = how or (f"{self._times} as fast" if row.is_rate else f"divided by {self.factor:g}")
        share = "" if math.isnan(row.share) else f" is {words.share(row.share, 1.0)} of the chain"
        name = f"the {row.name}" if row.who == "network" and not row.name.startswith("the ") else row.name
        begin = f"{name[:1].upper()}{name[1:]}{share}; {how}" if share else f"With {name} {how}"
        ends, saved = words.seconds(row.saved_s), words.share(row.saved_s, self.time_s)
        return f"{begin}, the run takes {ends} ({saved}) less."

    def drawing(self) -> Drawing:
        """Shares of the chain beside savings, as a picture."""
        shown = self.table.head(_MOST_DRAWN)
        rows = [Row(name) for name in shown["name"]]
        panels = []
        for number, (column, label) in enumerate(
            (("share", "share of the chain [%]"), ("saved_share", f"time saved, {self._times} as fast [%]"))
        ):
            shares = shown[column].clip(lower=0.0).fillna(0.0).tolist()
            bars = [
                Bar(i, 0.0, 100 * share, number, f"{row.name}: {words.share(share, 1.0)}")
                for i, (share, row) in enumerate(zip(shares, rows, strict=True))
            ]
            panels.append(Panel("", Scale(label, 0.0, 105 * max(shares, default=0.0)), Scale(), bars, rows))
        return Drawing(
            f"What set the pace of {self.label}", panels, self.sentences,
            series=("on the chain that set the pace", "saved if made faster alone"), numbers=self.table, n_columns=2,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        told = {"run": self.label, "rounds": self.rounds, "time_s": self.time_s, "factor": self.factor}
        rows = {"causes": self.table.to_dict("records"), "chain": self.chain.to_dict("records")}
        made: dict[str, Any] = plain(told | rows | {"sentences": self.sentences})
        return made


def explain(run: str | Path | Results, factor: float = 2.0) -> Explanation:
    """What set the pace of a run, with the exact time that each resource would save if it were faster alone.

    Args:
        run: a run directory, results, or a scenario (its file or name), which is simulated first without tensors.
        factor: how many times as fast each resource is made; below 1 it is made slower, and savings are losses.

    Raises:
        ResultsError: if the run has no round, or the factor is not above 0.
        ScenarioError: if the scenario cannot be run.
    """
    if not 0 < factor < math.inf:
        raise ResultsError(f"found a factor of {factor:g}; write a number above 0, for instance 2")
    subject = subject_of(run)
    results, scenario = subject.results, subject.scenario
    n_rounds = len(results.rounds)
    from gapslsim.uncertainty.play import play

    told = play(scenario, n_rounds, subject.parts)
    names = Names(results.clients)
    chain = chain_by_group(results.table("spans"), results.rounds, names)
    shares = {(row.who, row.what): row.share for row in chain.itertuples()}
    used = _used(results)
    rows = [
        _row(one, shares, told, _timed(subject, one, factor, n_rounds)) for one in resources(scenario, used)
    ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    kept = (table["saved_s"].abs() > _ROUNDING * told.ends_s[-1]) | (table["share"] > 0)
    table = table[kept].sort_values("saved_s", ascending=False, kind="stable", ignore_index=True)
    time_s = float(told.ends_s[-1])
    return Explanation(results.label, n_rounds, time_s, factor, table, chain, tuple(_notes(subject, time_s)))


_COLUMNS: Final = [
    "name", "who", "what", "path", "is_rate", "share", "time_s", "saved_s", "saved_share", "saved_j",
]  # fmt: skip


def _used(results: Results) -> set[str] | None:
    """Names of servers and links that did anything; None where links were not recorded."""
    links, spans = results.table("links"), results.table("spans")
    if not len(links):
        return None
    carried = (
        piece["link"][piece["rate_bit_per_s"] > 0] for piece in links.pieces(["link", "rate_bit_per_s"])
    )
    did = (piece["actor"] for piece in spans.pieces(["actor"]))
    return {name for names in (*carried, *did) for name in names.unique()}


def _timed(subject: Subject, resource: Resource, factor: float, n_rounds: int) -> Played:
    from gapslsim.uncertainty.play import play

    changed = resource.changed(factor)
    return play(changed.scenario, n_rounds, subject.parts, changed.device)


def _row(
    resource: Resource, shares: dict[tuple[str, str], float], told: Played, now: Played
) -> tuple[Any, ...]:
    saved_s = float(told.ends_s[-1] - now.ends_s[-1])
    category = _ON_CHAIN.get(resource.what, "")
    if resource.who in ("server", "parameter-server") or (resource.is_between and resource.what == "compute"):
        category = "server_compute"
    share = shares.get((resource.who, category), 0.0) if category else math.nan
    return (
        resource.name, resource.who, resource.what, resource.path, resource.is_rate, share, float(now.ends_s[-1]),
        saved_s, saved_s / told.ends_s[-1], told.energy_j - now.energy_j,
    )  # fmt: skip


def _notes(subject: Subject, time_s: float) -> Iterator[str]:
    if subject.scenario.time_decides_training:
        yield (
            "Time decides here what is trained, so faster parts would train otherwise: savings are for the same "
            "number of rounds, `gapslsim whatif` trains again."
        )
    was_s = float(subject.results.rounds["end_s"].iloc[-1])
    if not math.isclose(time_s, was_s, rel_tol=1e-9):
        yield (
            f"Profiles or code have changed since the run, which took {was_s:.9g} s, now {time_s:.9g} s; run it again."
        )
