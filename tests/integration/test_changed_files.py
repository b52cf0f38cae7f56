"""A journal knows what a component has read: a file with other content under its old name is another training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gapslsim import loads, simulate
from tests.fresh import forget_components

COMPONENTS = """
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from gapslsim import FAMILIES, Cost, Dataset, Decision, LoadedData, Model, Samples, ServerUpdate, component, content_key


class Pretrained(nn.Linear):
    def __init__(self, file):
        super().__init__(64, 8)
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(np.load(file)))


@FAMILIES["model"].register
@component
class ByPath(Model):
    kind: Literal["by_path"] = "by_path"
    weights: str
    cut: int = 1

    def blocks(self, input_shape, n_classes):
        first = nn.Sequential(nn.Flatten(), Pretrained(self.weights), nn.ReLU())
        return [("first", first), ("second", nn.Linear(8, n_classes))]

    def cut_index(self, input_shape, n_classes):
        return 1


@FAMILIES["model"].register
@component
class HardCoded(ByPath):
    kind: Literal["hard_coded"] = "hard_coded"
    weights: str = ""

    def blocks(self, input_shape, n_classes):
        file = Path(__file__).with_name("weights.npy")
        first = nn.Sequential(nn.Flatten(), Pretrained(file), nn.ReLU())
        return [("first", first), ("second", nn.Linear(8, n_classes))]


@FAMILIES["data"].register
@component
class ByName(Dataset):
    kind: Literal["by_name"] = "by_name"

    def load(self, folder, seed):
        inputs = np.load(Path(__file__).with_name("weights.npy")).astype("float32").reshape(32, 1, 4, 4)
        samples = Samples(np.arange(32) % 2, lambda: inputs)
        return LoadedData(content_key("data", ["by_name"]), samples, samples, 2, (1, 4, 4))


@FAMILIES["server_update"].register
@component
class Scaled(ServerUpdate):
    kind: Literal["scaled"] = "scaled"
    file: str

    def decide(self, gradients):
        scale = float(np.load(self.file).mean())
        update = gradients.matrix.mean(0) * scale
        return Decision(update, ("train",) * len(gradients.clients), gradients.losses)

    def cost(self, n_clients, n_parameters):
        return Cost(())
"""

SCENARIO = """
name: changed
components: [{components}]
data: {data}
model: {model}
framework: {framework}
training: {{batch_size: 8, client: {{optimizer: sgd, lr: 0.1}}}}
server: {{device: jetson-orin-nx}}
clients: [{{count: 2, device: jetson-nano, link: lte}}]
network: star
stop: {{rounds: 2}}
"""

CASES = {
    "weights at a path": {"model": "{kind: by_path, weights: WEIGHTS}"},
    "weights at a place in the code": {"model": "{kind: hard_coded}"},
    "data": {"data": "{kind: by_name}", "model": "{kind: mlp, cut: 1}"},
    "a rule's file": {"framework": "{kind: parallel, server_update: {kind: scaled, file: WEIGHTS}}"},
}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    forget_components()
    yield
    forget_components()


def write(file: Path, seed: int) -> None:
    np.save(file, np.random.default_rng(seed).normal(1.0, 0.3, (8, 64)).astype("float32"))


@pytest.mark.parametrize("what", CASES)
def test_a_file_with_other_content_is_another_training(what: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.npy"
    (tmp_path / "own.py").write_text(COMPONENTS)
    parts = {"data": "digits", "model": "{kind: mlp, cut: 1}", "framework": "psl"} | CASES[what]
    text = SCENARIO.format(components=tmp_path / "own.py", **parts).replace("WEIGHTS", str(file))

    def learned(seed: int, journal: Path | None) -> tuple[str, int]:
        write(file, seed)
        summary = simulate(loads(text), journal=journal).summary
        return summary["learning_sha256"], summary.get("journal", {}).get("replayed", 0)

    fresh = [learned(seed, None)[0] for seed in (1, 2)]
    assert fresh[0] != fresh[1]
    journal = tmp_path / "journal"
    assert [learned(seed, journal)[0] for seed in (1, 2, 1)] == [*fresh, fresh[0]]
    again, replayed = learned(1, journal)
    assert again == fresh[0]
    assert replayed > 0  # the same content is the same training
