"""Timelines and training as they were: who changes a hash says so in CHANGELOG, with **numbers**."""

from __future__ import annotations

import pytest
import torch

from gapslsim import load, simulate
from gapslsim.kernels import in_use

PINNED = {
    "quickstart": "cf6e2eae142a",
    "frameworks/epsl": "3d41d81eee17",
    "frameworks/fedavg": "ed37977f6c10",
    "frameworks/gapsl": "0e22acb29ad2",
    "frameworks/psl": "292486697003",
    "frameworks/sfl": "d1483e8aaa61",
    "frameworks/sl": "ffe7f20e71b5",
}


@pytest.mark.parametrize("name", PINNED)
def test_the_timeline_is_as_it_was(name: str) -> None:
    summary = simulate(load(f"scenarios/{name}.yaml"), dry=True).summary
    assert summary["timeline_sha256"][:12] == PINNED[name]


@pytest.mark.skipif(
    in_use()["kernels"] != "pinned" or not torch.__version__.startswith("2.14."),
    reason="other kernels, or another version of them, round otherwise",
)
def test_the_training_is_as_it_was_on_every_x86_64_machine() -> None:
    # First seen on an AVX2 machine, at commit a6d0064; the same on one with AVX-512.
    summary = simulate(load("scenarios/quickstart.yaml", set=["stop.rounds=100"])).summary
    assert summary["learning_sha256"][:12] == "da6fd9a374fb"
