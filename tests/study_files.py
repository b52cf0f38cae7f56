"""A study small enough to run in a test: four clients, synthetic data, a few rounds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies.backend import Backend
from gapslsim.studies.plan import load_study
from gapslsim.studies.sweep import sweep

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


DIGITS_BASE = """\
name: digits
data: {kind: digits, partition: {kind: dirichlet, alpha: 1.0}}
model: {kind: mlp, hidden: [16, 8], cut: 1}
framework: psl
training: {batch_size: 8, client: {optimizer: sgd, lr: 0.1}}
server: {device: jetson-orin-nx}
clients:
  - {count: 4, device: jetson-nano, link: lte}
network: {kind: star}
evaluation: {every: 2 rounds, views: [global, clients]}
stop: {rounds: 8}
"""

DIGITS_STUDY = """\
name: digits study
question: Is GAPSL <better> than PSL?
base: base.yaml
seeds: [1, 2]
axes:
  grid:
    data.partition.alpha: [0.5, 5.0]
    framework: {GAPSL: gapsl, PSL: psl}
targets: {accuracy: [0.2, 0.99], view: global}
"""


class InThisProcess(Backend):
    """Runs one job after the other."""

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes in the order of the jobs."""
        for job in jobs:
            yield carry_out(job)


def swept_digits(folder: Path) -> Path:
    """Directory of the study of digits, swept: two axes, two seeds, one framework with gradient geometry."""
    plan = load_study(write_study(folder, DIGITS_STUDY, DIGITS_BASE))
    sweep(plan, folder / "out", InThisProcess())
    return folder / "out"
