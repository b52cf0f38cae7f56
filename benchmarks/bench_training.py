"""Rounds with tensors and rounds without: `pytest benchmarks/bench_training.py` (pytest-benchmark).

Absolute times are of the machine; `python -m benchmarks.compare` prints the ratios that docs/performance.md states.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.loops import Joined, Naive, Threaded
from benchmarks.rounds import Ours, hand_written, largest_difference, scenario
from gapslsim.learning.workers import intra_op_threads

FRAMEWORKS = {"psl": "psl", "gapsl": "{kind: gapsl, eta: 0.1}"}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    with intra_op_threads(1):
        yield


@pytest.mark.parametrize("loop", ["ours", "naive", "threaded", "joined"])
@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_a_round_of_the_small_cnn(benchmark: Any, framework: str, loop: str, tmp_path: Path) -> None:
    made = scenario("small-cnn", FRAMEWORKS[framework], tmp_path)
    kinds = {"naive": Naive, "threaded": Threaded, "joined": Joined}
    runner: Any = Ours(made) if loop == "ours" else hand_written(kinds[loop], made)
    benchmark.pedantic(runner.one_round, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_a_round_without_tensors(benchmark: Any, framework: str, tmp_path: Path) -> None:
    dry = Ours(scenario("small-cnn", FRAMEWORKS[framework], tmp_path), dry=True)
    benchmark.pedantic(dry.one_round, rounds=20, warmup_rounds=2)


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
@pytest.mark.parametrize("model", ["small-cnn", "tiny-mlp"])
def test_hand_written_loops_give_the_same_weights(model: str, framework: str, tmp_path: Path) -> None:
    differences = largest_difference(scenario(model, FRAMEWORKS[framework], tmp_path), n_rounds=2)
    assert max(differences.values()) < 1e-12
    assert torch.get_num_threads() == 1
