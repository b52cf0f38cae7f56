"""A file of one's own may import from the files beside it, which count as a part of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gapslsim import load, simulate
from gapslsim.own_components import digests
from tests.fresh import forget_components

MODEL = """
from typing import Literal

from gapslsim import FAMILIES, Model, component


@FAMILIES["model"].register
@component
class Mine(Model):
    kind: Literal["mine"] = "mine"
    cut: int = 1

    def blocks(self, input_shape, n_classes):
        from beside_net import squash  # later than the file itself
        from torch import nn
        first = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), squash())
        return [("first", first), ("second", nn.Linear(8, n_classes))]

    def cut_index(self, input_shape, n_classes):
        return 1
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Path]:
    forget_components()
    (tmp_path / "mine.py").write_text(MODEL)
    (tmp_path / "beside_net.py").write_text("from torch.nn import ReLU as squash\n")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ncomponents: [./mine.py]\ndata: digits\nmodel: mine\nframework: psl\nnetwork: star\n"
        "training: {batch_size: 8, client: {optimizer: sgd, lr: 0.1}}\nserver: {device: jetson-orin-nx}\n"
        "clients: [{count: 2, device: jetson-nano, link: lte}]\nstop: {rounds: 2}\n"
    )
    path = list(sys.path)
    yield tmp_path / "mine.yaml"
    sys.path[:] = path
    sys.modules.pop("beside_net", None)
    forget_components()


def test_a_change_beside_is_another_training_in_a_journal_too(scenario: Path, tmp_path: Path) -> None:
    def learned(journal: Path | None) -> str:
        return str(simulate(load(scenario), journal=journal).summary["learning_sha256"])

    journal = tmp_path / "journal"
    relu = learned(journal)
    assert set(digests()) >= {"mine.py", "beside_net.py"}
    (scenario.parent / "beside_net.py").write_text("from torch.nn import Tanh as squash  # another one\n")
    tanh = learned(journal)
    assert tanh != relu
    assert tanh == learned(None)
