"""Our rounds and the hand-written ones, set up alike: same data, batches, initial weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.loops import Joined, Naive, Threaded
from gapslsim import load
from gapslsim.assembly import assemble, learning_setup
from gapslsim.learning.engine import Engine
from gapslsim.learning.learner import Learner
from gapslsim.models.split import build
from gapslsim.scenario.schema import Scenario

LR, MOMENTUM, PLANNED = 0.05, 0.9, 1000
CPU = torch.device("cpu")

MODELS = {
    "small-cnn": ("{kind: cnn, channels: [32, 64, 64], norm: group, cut: 1}", [3, 16, 16], 32),
    "vgg16-quarter": ("{kind: vgg16, width: 0.25, cut: 4}", [3, 32, 32], 32),
    "vgg16": ("{kind: vgg16, cut: 4}", [3, 32, 32], 128),
    "vit-base": ("{kind: vit, cut: 3, resize: 224}", [3, 32, 32], 64),
    "tiny-mlp": ("{kind: mlp, hidden: [32, 32], cut: 1}", [16], 16),
    "quickstart-cnn": ("{kind: cnn, channels: [16, 32, 32], cut: 1}", [1, 8, 8], 16),
}

TEXT = """
name: benchmark
seed: 1
data: {{kind: synthetic, input_shape: {shape}, n_train: 4000, n_test: 100, separation: 6}}
model: {model}
framework: {framework}
training:
  batch_size: {batch}
  client: {{optimizer: sgd, lr: 0.05, momentum: 0.9}}
server: {{device: jetson-orin-nx}}
clients:
  - {{count: 10, device: jetson-nano, link: {{uplink: 100 Mbit/s, downlink: 100 Mbit/s, latency: 1 ms}}}}
network: {{kind: star, backhaul: 1 Gbit/s}}
stop: {{rounds: 1000}}
"""


def scenario(model: str, framework: str, tmp: Any) -> Scenario:
    """The scenario of a benchmark: ten clients, batch 32, the sizes of scenarios/paper/small."""
    settings, shape, batch = MODELS[model]
    path = tmp / f"{model}-{framework.split(',')[0].strip('{')}.yaml"
    path.write_text(TEXT.format(model=settings, framework=framework, shape=shape, batch=batch))
    return load(path)


class _OneRound:
    """Ends a run after its first round."""

    is_over = False
    limit_s = None

    def opens(self) -> None:
        """Nothing."""

    def closes(self, start_s: float) -> None:
        """It is over."""
        self.is_over = True

    def updated(self) -> None:
        """Nothing."""


class Ours:
    """Rounds of a scenario through the event loop, as `simulate` runs them."""

    def __init__(
        self,
        scenario: Scenario,
        dtype: torch.dtype = torch.float32,
        workers: Any = "auto",
        dry: bool = False,
        device: torch.device = CPU,
    ) -> None:
        self.parts = assemble(scenario, dry=True)
        self.framework = scenario.framework
        if dry:
            return
        setup = self.parts.learner.setup
        engine = self.engine = Engine(setup, device, dtype, workers=workers)
        self.learner = Learner(setup, engine)
        self.parts.stage.learner = self.learner

    def one_round(self) -> None:
        """One training round."""
        self.parts.stage.play(self.framework, _OneRound())

    def weights(self) -> list[Tensor]:
        """All weights, clients first."""
        learner = self.learner
        clients = [learner.client_state(c).value for c in range(learner.setup.n_clients)]
        return [p for state in (*clients, learner.server_state.value) for p in state.parameters]


def hand_written(
    kind: type[Naive], scenario: Scenario, dtype: torch.dtype = torch.float32, device: torch.device = CPU
) -> Naive:
    """A hand-written loop from the same initial weights, on the same batches."""
    setup, _ = learning_setup(scenario)
    split = build(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed)
    inputs = torch.from_numpy(setup.data.train.inputs).to(device, dtype)
    labels = torch.from_numpy(setup.data.train.labels).to(device)

    def batches(client: int, step: int) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(setup.batches.indices(client, step)).to(device)
        return inputs[rows], labels[rows]

    gapsl = None
    if scenario.framework.kind == "gapsl":
        rule: Any = scenario.framework
        gapsl = {"eta": rule.eta, "k_min": rule.k_min, "k_max": rule.k_max, "planned": PLANNED}
    sides = (side.to(device, dtype) for side in (split.client, split.server))
    return kind(*sides, batches, scenario.n_clients, LR, MOMENTUM, gapsl)


def contestants(scenario: Scenario, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Ours and the three hand-written loops."""
    return {
        "ours": Ours(scenario, dtype),
        "naive": hand_written(Naive, scenario, dtype),
        "threaded": hand_written(Threaded, scenario, dtype),
        "joined": hand_written(Joined, scenario, dtype),
    }


def largest_difference(scenario: Scenario, n_rounds: int = 3) -> dict[str, float]:
    """Largest difference of any weight to ours after some rounds in float64, per hand-written loop."""
    loops = contestants(scenario, torch.float64)
    for loop in loops.values():
        for _ in range(n_rounds):
            loop.one_round()
    ours = loops.pop("ours").weights()
    return {
        name: max(float((a - b).abs().max()) for a, b in zip(ours, loop.weights(), strict=True))
        for name, loop in loops.items()
    }
