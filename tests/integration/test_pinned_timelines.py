"""Timelines of the shipped scenarios, as they were: who changes one says so in CHANGELOG, with **numbers**.

The learning hashes are not pinned: the last bits of PyTorch's kernels differ between kinds of processors.
"""

from __future__ import annotations

import pytest

from gapslsim import load, simulate

PINNED = {
    "quickstart": "5edd4a836a8e",
    "frameworks/epsl": "bf65d43dc5e8",
    "frameworks/fedavg": "d97f61bf8c0b",
    "frameworks/gapsl": "0aeb1b287a1f",
    "frameworks/psl": "306ea762c157",
    "frameworks/sfl": "d19395d36007",
    "frameworks/sl": "7956aff92dc7",
}


@pytest.mark.parametrize("name", PINNED)
def test_the_timeline_is_as_it_was(name: str) -> None:
    summary = simulate(load(f"scenarios/{name}.yaml"), dry=True).summary
    assert summary["timeline_sha256"][:12] == PINNED[name]
