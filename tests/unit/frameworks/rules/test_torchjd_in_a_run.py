"""TorchJD's aggregators inside a run, and rules as keys of the learner's tables."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.registry import Family
from tests.support import small_setup, stage


def parallel(**rule: Any) -> Any:
    return frameworks["parallel"](server_update={"kind": "torchjd", **rule})


@pytest.mark.parametrize(
    "rule",
    [
        {"aggregator": "Mean"},
        {"aggregator": "PCGrad"},
        {"aggregator": "MGDA"},
        {"aggregator": "TrimmedMean", "parameters": {"trim_number": 1}},
        {"aggregator": "Krum", "parameters": {"n_byzantine": 1}},
    ],
    ids=lambda rule: rule["aggregator"],
)
def test_an_aggregator_trains_and_repeats_itself(rule: dict[str, Any]) -> None:
    setup = small_setup(5)
    states = [stage(setup).run(parallel(**rule), 3).learner.server_state.value for _ in range(2)]
    for left, right in zip(*(state.parameters for state in states), strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(states[0].parameters[0], stage(setup).learner.server_state.value.parameters[0])


def test_torchjds_mean_is_psl() -> None:
    setup = small_setup(4)
    mean = stage(setup).run(parallel(aggregator="Mean"), 3).learner
    psl = stage(setup).run(frameworks["psl"](), 3).learner
    assert mean.server_state.value.parameters[0].shape == psl.server_state.value.parameters[0].shape
    for left, right in zip(
        mean.server_state.value.parameters, psl.server_state.value.parameters, strict=True
    ):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", [server_updates, client_updates], ids=lambda f: f.name)
def test_every_rule_can_be_a_key(family: Family[Any]) -> None:
    for kind in family:
        settings = {"torchjd": {"aggregator": "Mean"}, "warmup": {"rounds": 3}}.get(kind, {})
        left, right = family[kind](**settings), family[kind](**settings)
        assert left == right
        assert hash(left) == hash(right)
