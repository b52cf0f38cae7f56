"""Checks across sections: those on settings alone, and those that read labels and build the model's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapslsim.errors import GapslsimError, Problem
from gapslsim.rng import stream
from gapslsim.scenario.problems import dotted, pointed_at
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData
    from gapslsim.frameworks.framework import Framework
    from gapslsim.network.topology import Topology

__all__ = ["Finding", "check", "check_deep", "deep_problems"]

Finding = tuple[Path, str]
"""Where in the scenario, and what."""


def check(scenario: Scenario) -> list[Finding]:
    """What does not fit together, as far as settings tell; cheap."""
    found: list[Finding] = []
    for name in ("framework", "network"):
        section: Framework | Topology = getattr(scenario, name)
        for text in section.problems(scenario.n_clients):
            found.append(((name, *pointed_at(type(section), text)), text))
    return found


def check_deep(scenario: Scenario) -> list[Finding]:
    """What does not fit the data and the model: reads labels, no images, and makes layers without weights."""
    from gapslsim.data.source import public_data_folder

    try:
        loaded = scenario.data.load(public_data_folder(), scenario.seed)
        n_train = len(loaded.train)
    except GapslsimError as error:
        return [(("data",), str(error))]
    except ValueError as error:
        return [(("data",), str(error))]
    return [*_check_samples(scenario, loaded, n_train), *_check_cut(scenario, loaded)]


def _check_samples(scenario: Scenario, loaded: LoadedData, n_train: int) -> list[Finding]:
    n_clients, batch_size = scenario.n_clients, scenario.training.batch_size
    if n_clients > n_train:
        fix = "lower the counts or use more data"
        return [(("clients",), f"{n_clients} clients share {n_train} training samples; {fix}.")]
    found: list[Finding] = []
    if batch_size > n_train:
        rule = f"found {batch_size}, but the data has {n_train} training samples; write {n_train} or fewer."
        found.append((("training", "batch_size"), rule))
    try:
        scenario.data.partition.split(loaded.train.labels, n_clients, stream(scenario.seed, "partition"))
    except (GapslsimError, ValueError) as error:
        found.append((("data", "partition"), str(error)))
    return found


def _check_cut(scenario: Scenario, loaded: LoadedData) -> list[Finding]:
    try:
        scenario.model.cut_index(loaded.input_shape, loaded.n_classes)
    except ValueError as error:
        path: Path = ("model", "cut") if "cut" in str(error) else ("model",)
        return [(path, str(error))]
    return []


def deep_problems(scenario: Scenario) -> list[Problem]:
    """Both checks for a scenario made in Python, which has no file and lines."""
    found = check(scenario) or check_deep(scenario)
    return [Problem(dotted(path), text) for path, text in found]
