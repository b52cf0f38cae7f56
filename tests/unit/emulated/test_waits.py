"""What waits for the device, and how often, beside rounds."""

from __future__ import annotations

import torch

from gapslsim import load_dict, simulate
from gapslsim.learning.optimizer import optimizers
from tests.emulated import emulated
from tests.worlds import small_scenario


def test_adam_reads_the_count_of_a_checkpoint_once() -> None:
    with emulated() as log:
        adam, weights = optimizers["adam"](lr=0.1), (torch.ones(3, device="cuda"),)
        state = adam.initial(weights) | {"n_steps": (torch.tensor(4.0).to("cuda"),)}
        log.clear()
        weights, state = adam.step(weights, weights, state, 4, None)
        assert log.total("waits") == 1
        weights, state = adam.step(weights, weights, state, 5, None)
        assert log.total("waits") == 1
        assert state["n_steps"][0].item() == 6.0


def test_an_evaluation_waits_once_for_each_model_and_for_each_comparison_of_weights() -> None:
    views = ["global", "clients", "ensemble", "local"]
    with emulated() as log:
        scenario = small_scenario(
            evaluation={"every": "1 rounds", "views": views}, stop={"rounds": 1}, framework={"kind": "psl"}
        )
        simulate(load_dict(scenario))
        at_evaluation = {what: n for what, n in log.waits.items() if "evaluation.py" in what}
    # Before training one model; after it the mean of four, each of the four, and the weights of the four.
    assert sum(at_evaluation.values()) == 1 + 1 + 4 + 4
    assert not any("evaluation.py" in what for what in log.float64)
