"""Mistakes in how models are trained and judged: all told at `validate`, with file, line and path."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim.cli.main import main

BROKEN = """
name: broken
data: {kind: synthetic, input_shape: [8], n_classes: 4, n_train: 240}
model: {kind: mlp, cut: 1}
framework: psl
training:
  batch_size: 8
  loss:
    kind: cross_entropy
    class_weights: [1, 2]
  client: {optimizer: sgd, lr: 0.05}
server: {device: jetson-orin-nx}
clients:
  - count: 2
    device: jetson-nano
    link: wifi
    training:
      batch_size: 500
network: star
evaluation: {every: 2 rounds, metrics: [f1]}
stop: {rounds: 5, patience: {evaluations: 2}}
"""


def said(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(file)])
    told = capsys.readouterr()
    return int(ended.value.code or 0), [
        line for line in (told.err + told.out).splitlines() if "broken.yaml:" in line
    ]


def test_what_does_not_fit_the_data_is_told_at_once_with_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = said(BROKEN, tmp_path, capsys)
    assert code == 2
    assert [line.split(": ")[0].rpartition("/")[2] + " " + line.split(": ")[1] for line in lines] == [
        "broken.yaml:10 training.loss.class_weights",
        "broken.yaml:18 clients.0.training.batch_size",
    ]
    assert "give one for each, or 'balanced'" in lines[0]
    assert "write 240 or fewer" in lines[1]


def test_what_cannot_be_at_all_is_told_at_once_with_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        BROKEN.replace("[1, 2]", "balancd").replace("500", "0").replace("lr: 0.05", "lr: 0.05, clip_norm: 0")
    )
    text = text.replace("[f1]", "[f1, f3]").replace("evaluations: 2", "evaluations: no")
    code, lines = said(text, tmp_path, capsys)
    assert code == 2
    assert sorted(line.split(": ")[0].rpartition("/")[2] + " " + line.split(": ")[1] for line in lines) == [
        "broken.yaml:10 training.loss.class_weights",
        "broken.yaml:11 training.client.clip_norm",
        "broken.yaml:18 clients.0.training.batch_size",
        "broken.yaml:20 evaluation.metrics.1",
        "broken.yaml:21 stop.patience.evaluations",
    ]
