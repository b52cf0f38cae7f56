"""A study cut into shards: parts of about the same forecast work, so that what is trained alike stays together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gapslsim.documents import yaml_data
from gapslsim.errors import ResultsError
from gapslsim.studies._order import training_and_timing
from gapslsim.studies.plan import PlannedRun
from gapslsim.units import whole_number

__all__ = ["Shard", "cut"]

_RATE_FLOP_PER_S: Final = 5e9
"""Of a machine that is nobody's: all machines must cut alike, and only ratios count."""
_TRAINED_BY: Final = ("data", "model", "training", "framework", "seed")
"""Sections that say what is trained, but for how long; runs that differ in none of them share a journal's records."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `number` parts, counted from 1."""

    index: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Reads `2/4`.

        Raises:
            ResultsError: if it is none.
        """
        index, number = (whole_number(part) or 0 for part in text.partition("/")[::2])
        if 1 <= index <= number:
            return cls(index, number)
        raise ResultsError(
            f"--shard: found {text!r}; write the shard and how many there are, from 1/4 to 4/4"
        )

    def __str__(self) -> str:
        return f"{self.index}/{self.number}"


@dataclass(frozen=True, slots=True)
class Part:
    """What one shard does."""

    labels: list[str]
    share: float
    """Of the forecast work of the study."""


def cut(runs: Sequence[PlannedRun], number: int) -> list[Part]:
    """Cuts a study; the same on every machine.

    Runs of the same data, model, settings of training, framework and seed are a chain: one trains, the others find all
    or a part of that in the journal. Chains stay whole. The longest go first, each to the shard with the least work.

    Args:
        runs: all that are possible.
        number: of shards; those beyond the number of chains get nothing.
    """
    chains: dict[str, list[PlannedRun]] = {}
    for run in runs:
        chains.setdefault(_trained_by(run), []).append(run)
    work = _work(runs)
    sums = {name: math.fsum(work[run.record.label] for run in chain) for name, chain in chains.items()}
    total = math.fsum(sums.values()) or 1.0
    loads, mine = [0.0] * number, [set[str]() for _ in range(number)]
    # Sorting is stable: of equal ones the first in the study.
    for name, chain in sorted(chains.items(), key=lambda item: -sums[item[0]]):
        least = min(range(number), key=lambda shard: (loads[shard], len(mine[shard])))
        loads[least] += sums[name]
        mine[least] |= {run.record.label for run in chain}
    ordered = [run.record.label for run in runs]
    return [
        Part([label for label in ordered if label in labels], load / total)
        for labels, load in zip(mine, loads, strict=True)
    ]


def _trained_by(run: PlannedRun, *leave_out: str) -> str:
    tree = yaml_data(run.yaml)
    clients = sum(group["count"] for group in tree["clients"])
    wanted = [tree.get(name) for name in _TRAINED_BY if name not in leave_out]
    return json.dumps([*wanted, clients], sort_keys=True, default=str)


def _work(runs: Iterable[PlannedRun]) -> dict[str, float]:
    """Forecast of each run; a run that only times again what another one trains costs next to nothing."""
    from gapslsim.studies.estimate import estimate

    trains = {run.record.label for run in training_and_timing(list(runs))[0]}
    known: dict[str, tuple[float, float]] = {}
    found: dict[str, float] = {}
    for run in runs:
        tree = yaml_data(run.yaml)
        alike = json.dumps([_trained_by(run, "seed"), tree["stop"], tree["evaluation"]], default=str)
        if alike not in known and run.scenario is not None:
            cost = estimate(run.scenario, _RATE_FLOP_PER_S, with_memory=False)
            known[alike] = cost.wall_time_s, cost.retimed_s
        found[run.record.label] = known[alike][run.record.label not in trains]
    finite = [value for value in found.values() if math.isfinite(value)]
    # Only an accuracy ends it, or it cannot be run: as much as the others.
    usual = math.fsum(finite) / len(finite) if finite else 1.0
    return {label: value if math.isfinite(value) else usual for label, value in found.items()}
