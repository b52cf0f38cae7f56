"""Data sets and partitions that a user writes: `gapslsim validate` tells what `run` would stumble over (issue 15)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gapslsim import FAMILIES, load, simulate
from gapslsim.cli.main import main
from gapslsim.errors import DataError

OWN = """
from typing import Literal
import numpy as np
from gapslsim import FAMILIES, Dataset, LoadedData, Partition, Samples, component

X = np.random.default_rng(0).normal(size=(40, 1, 8, 8)).astype(np.float32)
Y = np.arange(40) % 4

def nan():
    inputs = X.copy()
    inputs[17, 0, 3, 5] = np.nan
    return inputs

@FAMILIES["data"].register
@component
class Mine(Dataset):
    kind: Literal["mine_for_validate"] = "mine_for_validate"
    labels: str = "Y"
    inputs: str = "X"

    def load(self, folder, seed):
        labels, inputs = eval(self.labels), eval(self.inputs)
        train = Samples(labels, lambda: inputs)
        return LoadedData("mine", train, Samples(Y, lambda: X), 4, (1, 8, 8))

@FAMILIES["partition"].register
@component
class Lists(Partition):
    kind: Literal["lists_for_validate"] = "lists_for_validate"
    lists: str = "[range(k, 40, 4) for k in range(4)]"

    def split(self, labels, n_clients, random):
        return [np.array(each) for each in eval(self.lists)]
"""
SCENARIO = """name: own
components: [./own_for_validate.py]
model: {kind: mlp, hidden: [8], cut: 1}
framework: psl
training: {batch_size: 4, client: {optimizer: sgd, lr: 0.05}}
server: {device: jetson-orin-nx}
clients: [{count: 4, device: jetson-nano, link: wifi}]
network: star
stop: {rounds: 2}
evaluation: {views: [global]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of all tests here: a kind is registered once. What was registered is forgotten at the end."""
    yield tmp_path_factory.mktemp("own")
    for name in ("data", "partition"):
        for cls in list(FAMILIES[name].members.values()):
            if cls.__module__.startswith("gapslsim_own_own_for_validate"):
                FAMILIES[name].forget(cls.__module__)


def written(folder: Path, data: str = "", partition: str = "") -> Path:
    (folder / "own_for_validate.py").write_text(OWN)
    own = f", {partition}" if partition else ""
    lines = ["data:", "  kind: mine_for_validate", *([f"  {data}"] if data else [])]
    lines.append(f"  partition: {{kind: lists_for_validate{own}}}")
    (folder / "own.yaml").write_text(SCENARIO + "\n".join(lines) + "\n")
    return folder / "own.yaml"


def validated(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["validate", str(file)])
    # A process names each file that it runs once.
    named = f"Runs the Python of {file.parent / 'own_for_validate.py'}; --no-components runs none.\n"
    return int(ended.value.code or 0), capsys.readouterr().err.removeprefix(named)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "labels: Y.astype(np.int32)",
        "labels: 'Y[:, None]'",
        "labels: Y.tolist()",
        "inputs: X.astype(float)",
    ],
)
def test_harmless_forms_are_trained_on_as_if_they_were_right(
    data: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(folder, data)
    assert validated(file, capsys) == (0, "")
    usual = simulate(load(written(folder))).summary["learning_sha256"]
    assert simulate(load(written(folder, data))).summary["learning_sha256"] == usual


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("labels: Y + 1", "The train labels go from 1 to 4, expected 0 to 3: they count from 1; subtract 1"),
        ("labels: Y - 1", "sample 0 has label -1"),
        ("labels: np.eye(4)[Y]", "one-hot rows become classes"),
        ("inputs: nan()", "1 of 40 train inputs are not finite: sample 17 holds nan at [0, 3, 5]"),
        ("inputs: 'X[:30]'", "There are 30 train inputs and 40 train labels"),
        ("inputs: 'X[:, 0]'", "have shape (40, 8, 8), expected (40, 1, 8, 8)"),
        ("labels: 1 / 0", "ZeroDivisionError: division by zero; see 'gapslsim check-component'"),
    ],
)
def test_data_that_cannot_be_right_are_told_at_validate(
    data: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = validated(written(folder, data), capsys)
    assert code == 2
    assert says in said
    assert "own.yaml:11: data: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        ("[range(20), range(19, 30), range(30, 35), range(35, 40)]", "sample 19 to clients 0 and 1"),
        (
            "[range(10), range(10, 20), range(20, 30), range(30, 39)]",
            "1 of 40 training samples are nobody's: sample 39",
        ),
        ("[[0, 0, 1], range(2, 20), range(20, 30), range(30, 40)]", "sample 0 to client 0 twice"),
        ("[range(-1, 10), range(10, 20), range(20, 30), range(30, 40)]", "Client 0 has sample -1"),
        (
            "[range(10), range(10, 20), range(20, 30), range(30, 41)]",
            "Client 3 has sample 40; samples count from 0 to 39",
        ),
        ("[range(40)]", "lists for 1 clients, the scenario has 4"),
        ("None", "TypeError"),
    ],
)
def test_index_lists_that_are_no_division_are_told_at_validate(
    lists: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = validated(written(folder, partition=f"lists: '{lists}'"), capsys)
    assert code == 2
    assert says in said
    assert "own.yaml:13: data.partition: " in said


def test_a_run_refuses_the_same_in_words(folder: Path) -> None:
    with pytest.raises(DataError, match="sample 17 holds nan"):
        simulate(load(written(folder, "inputs: nan()")))
    with pytest.raises(DataError, match="sample 0 to client 0 twice"):
        simulate(
            load(written(folder, partition="lists: '[[0, 0], range(1, 20), range(20, 30), range(30, 40)]'"))
        )


def test_a_dry_run_reads_no_inputs(folder: Path) -> None:
    dry = simulate(load(written(folder, "inputs: nan()"), deep=True, dry=True), dry=True)
    assert dry.summary["rounds"] == 2


def test_an_epoch_is_a_pass_over_the_samples_that_somebody_has(folder: Path) -> None:
    lists = "lists: '[range(k, 40, 4) for k in range(4)]', sizes: [4, 4, 8, 4]"
    results = simulate(load(written(folder, partition=lists)), dry=True)
    # Batches of 4 on each of 4 clients: 16 of the 20 samples that are used.
    assert results.rounds["epoch"].tolist() == pytest.approx([16 / 20, 32 / 20])
