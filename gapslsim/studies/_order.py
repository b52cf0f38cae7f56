"""In which order runs are carried out: what trains before what only times again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from gapslsim.documents import yaml_data
from gapslsim.studies.plan import PlannedRun

__all__ = ["training_and_timing"]

_TIMING_ONLY: Final = ("name", "network")
"""Sections that training does not depend on, unless the clock decides who is in time."""


def training_and_timing(
    to_do: Sequence[PlannedRun], done: Iterable[PlannedRun] = ()
) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Runs that train, and runs that find their training in the journal after these; each in the order of the study.

    Runs that start together cannot use what another one of them trains. So of the runs that differ in network, links
    or devices alone, the first goes into the first group and the others into the second: they find their training in
    the journal. It is a matter of speed only; a run whose training differs after all trains in the second group.

    Args:
        to_do: runs to be.
        done: runs whose training is in the journal already.
    """
    known = {_training(run) for run in done}
    trains: list[PlannedRun] = []
    timed_again: list[PlannedRun] = []
    for run in to_do:
        training = _training(run)
        (timed_again if training in known else trains).append(run)
        known.add(training)
    return trains, timed_again


def _training(run: PlannedRun) -> str:
    """The resolved scenario without what only its clock depends on."""
    tree: dict[str, Any] = yaml_data(run.yaml)
    for section in _TIMING_ONLY:
        tree.pop(section, None)
    scenario = run.scenario
    if scenario is not None and (scenario.is_hazardous or scenario.framework.trains_by_the_clock):
        return json.dumps([tree, yaml_data(run.yaml)["network"]], sort_keys=True, default=str)
    # Devices change times and nothing else.
    tree["server"] = None
    # How many there are, where each is cut and how it trains is all that training knows of clients.
    each = groupby(tree["clients"], lambda group: (group.get("cut"), group.get("training")))
    tree["clients"] = [[*own, sum(group["count"] for group in alike)] for own, alike in each]
    return json.dumps(tree, sort_keys=True, default=str)
