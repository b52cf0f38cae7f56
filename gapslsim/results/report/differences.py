"""Which series is better than which, over the seeds that both have: every pair of a panel, for each quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from gapslsim.results import words
from gapslsim.results.crossing import crossing
from gapslsim.results.report.data import Group, Run, RunSet
from gapslsim.results.report.likely import series_name
from gapslsim.results.significance import Difference, Ends, Pair, corrected, difference
from gapslsim.results.words import percent

__all__ = ["Quantity", "Row", "differences", "quantities", "rows_of", "verdict"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """What series are compared by."""

    name: str
    less: bool
    """Whether less is better."""
    say: Callable[[float], str]
    """Writes a difference."""
    of_run: Callable[[Run], Ends | None]
    """Of one run; None where it has none, as of a target that it never reached."""


def quantities(runs: RunSet) -> list[Quantity]:
    """Accuracy at the end, time to each target, simulated time and energy, as far as runs have them."""
    found = []
    if runs.views:
        found = [
            Quantity(
                "accuracy", False, lambda gap: f"{100 * gap:.1f} points", lambda run: _last(run, runs.view)
            )
        ]
        for target in runs.targets:
            reached = partial(_reached, target=target, view=runs.view)
            found.append(Quantity(f"time to {percent(target)}", True, words.seconds, reached))
    return [
        *found,
        Quantity(
            "simulated time", True, words.seconds, lambda run: (float(run.summary["simulated_time_s"]),) * 2
        ),
        Quantity("energy", True, words.energy, lambda run: (float(run.summary["energy_j"]["total"]),) * 2),
    ]


def _last(run: Run, view: str) -> Ends | None:
    found = run.summary["accuracy"].get(view, {}).get("last")
    return None if found is None else (float(found),) * 2


def _reached(run: Run, *, target: float, view: str) -> Ends | None:
    curve = run.curve(view)
    found = crossing(curve["time_s"].tolist(), curve["accuracy"].tolist(), target)
    return None if found is None else (found.after, found.by)


def differences(runs: RunSet, quantity: Quantity, against: str = "") -> list[Difference]:
    """Every pair of series in every panel; p is corrected for all of them (Holm).

    Args:
        runs: with their seeds.
        quantity: by which they are compared.
        against: only pairs with this series.
    """
    found = []
    for panel in runs.panels:
        groups = runs.of_panel(panel)
        known = {series_name(runs, group): _by_seed(group, quantity) for group in groups}
        for one, other in combinations([name for name, of in known.items() if of], 2):
            if against in ("", one, other):
                pair = Pair(one, other, quantity.name, panel)
                made = difference(known[one], known[other], pair, less=quantity.less)
                found += [] if made is None else [made]
    return corrected(found)


def _by_seed(group: Group, quantity: Quantity) -> Mapping[int, Ends]:
    """Of each seed; empty where any has none, as those that are left would be the lucky ones."""
    found = {run.seed: quantity.of_run(run) for run in group.runs}
    return {} if None in found.values() else {seed: ends for seed, ends in found.items() if ends is not None}


Row = tuple[str, str, str, str, str, str, str]


def rows_of(runs: RunSet, against: str = "", nearest: bool = False) -> list[Row]:
    """What is compared where, who is better, than whom, by how much, in how many seeds, how probably, and the verdict.

    Without `against`, the best of each panel stands against each other series. Nothing where all have one seed.

    Args:
        runs: with their seeds.
        against: only pairs with this series.
        nearest: of each panel and quantity only the pair whose means are nearest: the best and the second.
    """
    rows: list[Row] = []
    for quantity in quantities(runs):
        known = [one for one in differences(runs, quantity, against) if one.n > 1 and not one.is_nothing]
        found = list(known if against else _of_the_best(known))
        if nearest:
            panels = dict.fromkeys(one.pair.where for one in found)
            found = [
                min((o for o in found if o.pair.where == panel), key=lambda o: sum(o.mean))
                for panel in panels
            ]
        for one in found:
            pair = one.pair
            where = f"{pair.of}, {pair.where}" if pair.where else pair.of
            wins = f"{one.wins} of {one.n}"
            gap = one.words(quantity.say)
            rows.append(
                (where, pair.first, pair.second, gap, wins, words.share(one.probability, 1.0), one.verdict)
            )
    return rows


def _of_the_best(found: Sequence[Difference]) -> Iterable[Difference]:
    """Those whose first series is never the second one within its panel."""
    worse = {(one.pair.where, one.pair.second) for one in found}
    return (one for one in found if (one.pair.where, one.pair.first) not in worse)


def verdict(found: Sequence[Difference], name: str, panel: str) -> str:
    """Whether one series is known to be better than all others of its panel; empty where one seed tells nothing."""
    own = [one for one in found if one.pair.where == panel and name in one.pair[:2] and one.n > 1]
    if not own:
        return ""
    doubtful = [one for one in own if not (one.is_decided and one.pair.first == name)]
    if not doubtful:
        return f"decided (p {words.at_most(max(one.p for one in own))})"
    worst = max(doubtful, key=lambda one: one.p)
    (other,) = {*worst.pair[:2]} - {name}
    return f"against {other} {worst.verdict}"
