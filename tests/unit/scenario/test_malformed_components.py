"""Twenty mistakes and more in the settings of every component that a scenario can name: each is told with its place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gapslsim.checks._examples import NoSettingsError, make
from gapslsim.errors import Problem, ScenarioError
from gapslsim.registry import FAMILIES, settings_of
from gapslsim.scenario.loading import loads

PLACES: dict[str, tuple[str | int, ...]] = {
    "availability": ("clients", 0, "availability"),
    "channel": ("clients", 0, "link", "uplink"),
    "client_sync": ("framework", "client_sync"),
    "codec": ("codec", "activations", 0),
    "client_update": ("framework", "client_update"),
    "data": ("data",),
    "fault": ("faults", 0),
    "framework": ("framework",),
    "lateness": ("framework", "lateness"),
    "latency": ("clients", 0, "link", "latency"),
    "link_loss": ("clients", 0, "link", "loss"),
    "loss": ("training", "loss"),
    "metric": ("evaluation", "metrics", 0),
    "model": ("model",),
    "network": ("network",),
    "optimizer": ("training", "client"),
    "participation": ("framework", "participation"),
    "partition": ("data", "partition"),
    "protocol": ("network", "protocol"),
    "schedule": ("training", "client", "schedule"),
    "server_schedule": ("framework", "server_schedule"),
    "server_update": ("framework", "server_update"),
    "shape": ("shape",),
    "staleness": ("framework", "staleness"),
}
"""Where a member of each family stands in a scenario."""
ELSEWHERE = {"cost_model", "figure", "importer", "measure", "scheduler", "search", "tracker"}
"""Families of hardware profiles, studies and the command line."""
ALL = [(family, kind) for family in PLACES for kind in FAMILIES[family]]

SOUND: dict[str, Any] = {
    "name": "malformed",
    "data": {"kind": "digits", "partition": {"kind": "iid"}},
    "model": {"kind": "mlp", "cut": 1},
    "framework": {"kind": "parallel"},
    "training": {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.1}},
    "server": {"device": "jetson-orin-nx"},
    "clients": [
        {"count": 2, "device": "jetson-nano", "link": {"uplink": "9 Mbit/s", "downlink": "9 Mbit/s"}}
    ],
    "network": {"kind": "star"},
    "codec": {"activations": []},
    "evaluation": {"every": "2 rounds", "metrics": []},
    "faults": [],
    "stop": {"rounds": 2},
}

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
NO_MEMBER = [
    None,
    3,
    -1.5,
    True,
    [],
    [1],
    [[]],
    {},
    "",
    "no such thing",
    {"kind": None},
    {"kind": []},
    {"kind": 7},
]
WRONG_KEYS = ["kin d", "knd", "x", "seed", "", "Kind", "framework.kind", "0"]
NO_SETTING = [{"a": 1}, float("nan")]


def laid(value: Any, place: tuple[str | int, ...], into: dict[str, Any]) -> dict[str, Any]:
    """The scenario with a value at a place."""
    made = copy.deepcopy(into)
    at: Any = made
    for part in place[:-1]:
        at = at[part]
    last = place[-1]
    if isinstance(at, list) and last == len(at):
        at.append(value)
    else:
        at[last] = value
    return made


def example(family: str, kind: str) -> dict[str, Any] | None:
    """Settings that are sound; None if they need files."""
    try:
        settings: dict[str, Any] = settings_of(make(family, kind, {}))
    except NoSettingsError:
        return None
    return settings


def mistakes(family: str, kind: str) -> Iterator[tuple[Any, bool]]:
    """Values, and whether they must be refused: some settings take almost anything."""
    tag = FAMILIES[family].tag
    sound = example(family, kind) or {tag: kind}
    for value in NO_MEMBER:
        yield (
            {tag if k == "kind" else k: v for k, v in value.items()} if isinstance(value, dict) else value,
            True,
        )
    for key in WRONG_KEYS:
        yield {**sound, key: 1}, True
    for name in sound:
        if name != tag:
            for value in NO_SETTING:
                yield {**sound, name: value}, False


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        loads(text, file="mine.yaml")
    except ScenarioError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(("family", "kind"), ALL)
def test_mistakes_are_told_with_file_line_and_place(family: str, kind: str) -> None:
    place = PLACES[family]
    framework = {"kind": "async_sl"} if family == "staleness" else SOUND["framework"]
    n_refused = 0
    for value, must_fail in mistakes(family, kind):
        optional = ("lateness", "link_loss", "protocol", "staleness", "schedule", "loss", "partition")
        if value is None and family in optional:
            continue  # None stands for the default of an optional setting, where there is one
        text = yaml.dump(laid(value, place, SOUND | {"framework": framework}), Dumper=DUMPER, sort_keys=False)
        problems = problems_of(text)
        assert problems or not must_fail, value
        n_refused += bool(problems)
        for problem in problems:
            assert problem.file == "mine.yaml"
            assert problem.line is not None, (value, str(problem))
            assert len(problem.message) > 10, (value, str(problem))
        assert not problems or any(p.path.startswith(str(place[0])) for p in problems), (value, problems)
    assert n_refused >= 20


def test_every_family_is_tried() -> None:
    assert {*PLACES} | ELSEWHERE == {*FAMILIES}
