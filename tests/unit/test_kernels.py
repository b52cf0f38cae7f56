"""Kernels are pinned before torch is imported, or a run says why they are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from gapslsim import kernels

pytestmark = pytest.mark.skipif(not kernels._has_avx2(), reason="kernels are pinned on x86-64 Linux alone")

RUN = """
import json
from gapslsim import load, simulate
from gapslsim.results.provenance import provenance
small = ["data={{kind: synthetic, n_train: 100, n_test: 10}}", "model={{kind: mlp, cut: 1}}", "stop.rounds=1"]
results = simulate(load("quickstart", set=[*small{more}]), dry=True)
print(json.dumps(provenance(seed=1, wall_time_s=0.0)["kernels"]))
"""


def in_a_process(code: str, **given: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in kernels.PINS}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean | given
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_run_is_pinned_where_nobody_says_otherwise() -> None:
    found = in_a_process(RUN.format(more=""))
    assert found == {"kernels": "pinned", "why": "", "cpu_capability": "AVX2"}


@pytest.mark.parametrize(
    ("code", "given", "why"),
    [
        ("import torch\n" + RUN.format(more=""), {}, "torch was imported before"),
        (RUN.format(more=', "training.kernels=native"'), {}, "training.kernels is native"),
        (RUN.format(more=""), {"MKL_CBWR": "COMPATIBLE"}, "the environment says MKL_CBWR=COMPATIBLE"),
    ],
)
def test_a_run_that_is_not_says_why(code: str, given: dict[str, str], why: str) -> None:
    found = in_a_process(code, **given)
    assert found["kernels"] == "native"
    assert why in found["why"]


def test_a_processor_without_avx2_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.platform, "machine", lambda: "aarch64")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in kernels.PINS:
        monkeypatch.delenv(name, raising=False)
    kernels.choose("pinned")
    assert not kernels.PINS.keys() & os.environ.keys()
    assert kernels.in_use()["why"] == "this processor is not known to have AVX2"
