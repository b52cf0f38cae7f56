"""Timelines and training as they were: who changes a hash says so in CHANGELOG, with **numbers**."""

from __future__ import annotations

import pytest
import torch

from gapslsim import load, simulate
from gapslsim.kernels import in_use

PINNED = {
    "quickstart": "28dd53ae5222",
    "frameworks/epsl": "c6cf2135d091",
    "frameworks/fedavg": "66d636fc9b77",
    "frameworks/gapsl": "784b9be41c96",
    "frameworks/psl": "22425320c70d",
    "frameworks/sfl": "0b4cb53bac0c",
    "frameworks/sl": "0895ef2261a3",
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
