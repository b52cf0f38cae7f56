"""Every data set and partition of one's own files: right values on sound files, words with place and fix on others."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gapslsim.errors import ScenarioError
from gapslsim.scenario.loading import load
from tests.own_files import own_files
from tests.unit.data.malformed import ALL, BASES, X, Y, lists

SCENARIO = """
name: own
model: {kind: mlp, hidden: [4], cut: 1}
framework: psl
training: {batch_size: 2, client: {optimizer: sgd, lr: 0.05}}
server: {device: jetson-orin-nx}
clients: [{count: CLIENTS, device: jetson-nano, link: wifi}]
network: star
stop: {rounds: 1}
data:
"""


def scenario(folder: Path, data: dict[str, Any], clients: int = 3) -> Path:
    """A scenario file whose last lines, from line 11, are the section `data`, a line for each setting."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in data.items()]
    text = SCENARIO.replace("CLIENTS", str(clients)) + textwrap.indent("\n".join(lines), "  ")
    if data["kind"] == "text":  # tokens, which linear layers do not take
        text = text.replace(
            "{kind: mlp, hidden: [4], cut: 1}", "{kind: transformer_lm, dim: 8, depth: 1, cut: 1}"
        )
    (folder / "own.yaml").write_text(text + "\n")
    assert yaml.safe_load(text)["data"] == data
    return folder / "own.yaml"


CASES = [(kind, number) for kind, (_, cases) in BASES.items() for number in range(len(cases))]


def test_there_are_twenty_malformed_inputs_of_each_kind() -> None:
    assert {kind for kind, (_, cases) in BASES.items() if len(cases) < 20} == set()


def prepared(folder: Path) -> Path:
    """All files, and t.npz with a training set of 24 samples and a test set."""
    own_files(folder)
    np.savez(folder / "t.npz", x_train=X, y_train=Y, x_test=X[:6], y_test=Y[:6])
    return folder


@pytest.mark.parametrize("kind", BASES)
def test_the_sound_files_are_sound(kind: str, tmp_path: Path) -> None:
    base, _ = BASES[kind]
    prepared(tmp_path)
    if kind == "file":
        lists([ALL[:8], ALL[8:16], ALL[16:]])(tmp_path)
    load(scenario(tmp_path, base), deep=True, inputs=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_what_is_malformed_is_told_at_validate_with_its_line_and_the_fix(
    case: tuple[str, int], tmp_path: Path
) -> None:
    kind, number = case
    base, cases = BASES[kind]
    change, settings, where, says = cases[number]
    change(prepared(tmp_path))
    if kind in ("file", "by_column"):
        data = {**base, "partition": {**base["partition"], **settings}}
        where = "partition" if not where else f"partition.{where}"
    else:
        data = {key: value for key, value in {**base, **settings}.items() if value is not None}
    file = scenario(tmp_path, data)
    with pytest.raises(ScenarioError) as caught:
        load(file, deep=True, inputs=True)
    problems = caught.value.problems
    told = [problem for problem in problems if says in problem.message]
    assert told, f"{says!r} is not said by: {caught.value}"
    path = f"data.{where}" if where else "data"
    assert told[0].path == path
    assert str(told[0].file) == str(file)
    key = where.partition(".")[0]
    lines = [text.partition(":")[0] for text in file.read_text().splitlines()]
    assert told[0].line == 1 + lines.index(f"  {key}" if key in data else "data")
    assert "Traceback" not in str(caught.value)
    assert "see 'gapslsim check-component'" not in str(caught.value)
