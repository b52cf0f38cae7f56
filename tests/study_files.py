"""A study small enough to run in a test: four clients, synthetic data, a few rounds."""

from __future__ import annotations

from pathlib import Path

BASE = """\
name: tiny
data: {kind: synthetic, input_shape: [6], n_classes: 3, n_train: 120, n_test: 30, partition: {kind: iid}}
model: {kind: mlp, hidden: [8, 8], cut: 1}
framework: psl
training: {batch_size: 5, client: {optimizer: sgd, lr: 0.1}}
server: {device: jetson-orin-nx}
clients:
  - {count: 2, device: jetson-nano, link: lte}
  - {count: 2, device: raspberry-pi-4b, link: lte}
network: {kind: star}
evaluation: {every: 2 rounds}
stop: {rounds: 4}
"""

STUDY = """\
name: tiny study
question: Does it work?
base: base.yaml
seeds: [1, 2]
axes:
  grid:
    framework: [gapsl, {kind: epsl, phi: 0.5}]
targets: {accuracy: [0.2, 0.9999], time: [1 ms, 1 h], view: clients}
"""


def write_study(folder: Path, study: str = STUDY, base: str = BASE) -> Path:
    """Writes a study beside its base scenario; returns its file."""
    (folder / "base.yaml").write_text(base)
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"
