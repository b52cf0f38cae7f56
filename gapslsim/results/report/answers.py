"""The main findings of some runs in a few sentences, each with how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

from gapslsim.results import words
from gapslsim.results.report._targets import reached, spread_of
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.report.differences import differences, quantities, verdict
from gapslsim.results.report.likely import series_name
from gapslsim.results.significance import Difference
from gapslsim.results.statistics import ends_highest, spread
from gapslsim.results.words import percent

__all__ = ["answers", "basis"]


def answers(runs: RunSet) -> list[str]:
    """A sentence per panel: who reaches each target first, who ends highest, and whether the seeds decide it."""
    known = {quantity.name: differences(runs, quantity) for quantity in quantities(runs)}
    said = []
    for panel in runs.panels:
        groups = runs.of_panel(panel)
        parts = [
            _first(runs, groups, target, known.get(f"time to {percent(target)}", ()))
            for target in runs.targets
        ]
        ends = {
            series_name(runs, g): spread(g.accuracies(runs.view)).mean
            for g in groups
            if g.accuracies(runs.view)
        }
        if ends:
            best = max(ends, key=ends.__getitem__)
            sure = (
                verdict(known["accuracy"], best, panel)
                if ends_highest(ends) == f"{best} ends highest"
                else ""
            )
            parts.append(f"{ends_highest(ends)} ({words.accuracy(ends[best])}){_so(sure)}")
        if parts:
            said.append(f"{f'On {panel}: ' if panel else ''}{'; '.join(parts)}.")
    return said


def _first(runs: RunSet, groups: Sequence[Group], target: float, known: Sequence[Difference]) -> str:
    found = [(series_name(runs, g), *reached(g, target, runs.view)) for g in groups]
    times = {name: spread_of(times) for name, times, lasted in found if times and not lasted}
    if not times:
        return f"nothing reaches {percent(target)} with every seed"
    first = min(times, key=lambda name: times[name].mean)
    sure = verdict(known, first, groups[0].panel)
    return f"{first} reaches {percent(target)} first ({times[first].within(words.seconds)}){_so(sure)}"


def _so(verdict: str) -> str:
    return f", {verdict}" if verdict else ""


def basis(runs: RunSet) -> str:
    """What the sentences rest on."""
    if not runs.views:
        tested = "No accuracy: nothing was tested, or numbers were."
        return tested if runs.has_evaluations else "Dry runs: no accuracy."
    told = f"Accuracies in the {runs.view} view, means over up to {runs.n_seeds} seeds, simulated time."
    if runs.n_seeds < 2:
        told = "One seed: no spread is known, so nothing is decided."
        told = f"Accuracies in the {runs.view} view, simulated time. {told}"
    if runs.stopped:
        told += f" {len(runs.stopped)} runs of settings that were stopped early are not among them."
    return told
