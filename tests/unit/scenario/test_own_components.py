"""A scenario may name Python files and modules with components of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gapslsim.data.partition import partitions
from gapslsim.errors import ComponentError, ScenarioError
from gapslsim.own_components import digests, load_components
from gapslsim.results.provenance import provenance
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import load, loads

PARTITION = '''
from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

SHARE = 0.5


@partitions.register
@component
class HalfToTheFirst(Partition):
    """Half of the samples to the first client."""

    kind: Literal["half_to_the_first"] = "half_to_the_first"
    share: float = SHARE
    """Share of the first client."""

    def split(self, labels, n_clients, random):
        first = int(len(labels) * self.share)
        rest = np.array_split(np.arange(first, len(labels)), n_clients - 1)
        return [np.arange(first), *rest]
'''
SCENARIO = """
base: quickstart.yaml
components: [{name}]
data: {{kind: digits, partition: half_to_the_first}}
"""
QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"


@pytest.fixture
def folder(tmp_path: Path):
    """A folder with a scenario beside its components; what they register is forgotten afterwards."""
    before = {kind: partitions[kind] for kind in partitions}
    (tmp_path / "quickstart.yaml").write_text(QUICKSTART.read_text())
    (tmp_path / "mine.py").write_text(PARTITION)
    (tmp_path / "scenario.yaml").write_text(SCENARIO.format(name="./mine.py"))
    yield tmp_path
    partitions.members.clear()
    partitions.members.update(before)


def test_a_scenario_uses_the_components_of_the_file_that_it_names(folder: Path) -> None:
    scenario = load(folder / "scenario.yaml")
    assert scenario.data.partition.kind == "half_to_the_first"
    assert scenario.components == (str(folder / "mine.py"),)


def test_the_resolved_scenario_names_the_file_from_anywhere(folder: Path, monkeypatch) -> None:
    scenario = load(folder / "scenario.yaml")
    monkeypatch.chdir("/")
    assert loads(dump(scenario)) == scenario


def test_a_module_that_can_be_imported_is_named_without_a_path(folder: Path, monkeypatch) -> None:
    (folder / "own_partition_module.py").write_text(PARTITION)
    (folder / "scenario.yaml").write_text(SCENARIO.format(name="own_partition_module"))
    monkeypatch.syspath_prepend(str(folder))
    try:
        assert load(folder / "scenario.yaml").data.partition.kind == "half_to_the_first"
    finally:
        del sys.modules["own_partition_module"]


def test_a_file_that_has_changed_is_read_again(folder: Path) -> None:
    assert load(folder / "scenario.yaml").data.partition.share == 0.5
    first = digests()["mine.py"]
    (folder / "mine.py").write_text(PARTITION.replace("SHARE = 0.5", "SHARE = 0.25"))
    assert load(folder / "scenario.yaml").data.partition.share == 0.25
    assert digests()["mine.py"] != first


def test_the_origin_of_a_run_and_its_journal_know_the_text_of_the_components(folder: Path) -> None:
    from gapslsim.learning.journal.compatibility import compatibility

    load(folder / "scenario.yaml")
    digest = digests()["mine.py"]
    assert provenance(seed=1, wall_time_s=0.0)["components"]["mine.py"] == digest
    assert compatibility({}, "cpu", "float32", [str(folder / "mine.py")])["components"] == {"mine.py": digest}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "registers nothing; put '@<family>.register' above '@component'"),
        ("x = 1\ny = nope", "line 2: NameError: name 'nope' is not defined"),
        ("x =", "line 1: SyntaxError"),
        (PARTITION.replace("half_to_the_first", "iid"), "partition 'iid' is registered twice"),
    ],
)
def test_a_file_that_is_of_no_use_is_a_problem_with_its_place_each_time(
    folder: Path, text: str, says: str
) -> None:
    (folder / "mine.py").write_text(text)
    for _ in range(2):
        with pytest.raises(ScenarioError) as error:
            load(folder / "scenario.yaml")
        assert says in str(error.value)
        assert f"{folder / 'scenario.yaml'}:3: components.0" in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./yours.py", "yours.py is no file; its folder holds mine.py"),
        ("./mine.txt", "write a .py file"),
        ("no_such.module", "there is no module 'no_such.module'; install the package"),
        ("not a module", "write a .py file or a module's name"),
    ],
)
def test_what_is_not_there_is_a_problem_that_names_the_fix(folder: Path, name: str, says: str) -> None:
    (folder / "scenario.yaml").write_text(SCENARIO.format(name=name))
    with pytest.raises(ScenarioError) as error:
        load(folder / "scenario.yaml")
    assert says in str(error.value)


def test_a_module_that_lacks_a_module_itself_says_which(folder: Path) -> None:
    (folder / "mine.py").write_text("import a_module_that_is_not_there")
    with pytest.raises(ComponentError, match="line 1: ModuleNotFoundError: No module named 'a_module_that"):
        load_components(str(folder / "mine.py"))


def test_list_and_show_know_a_file_that_they_are_given(folder: Path, capsys) -> None:
    from gapslsim.cli.main import main

    own = ["--components", str(folder / "mine.py")]
    for arguments in (["list", "partition", *own], ["show", "partition", "half_to_the_first", *own]):
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 0
        assert "Half of the samples to the first client." in capsys.readouterr().out


def test_a_component_whose_annotations_name_what_is_not_there_is_refused_whenever_it_is_named(folder):
    (folder / "mine.py").write_text(PARTITION.replace("from typing import Literal\n", ""))
    for _ in range(2):
        with pytest.raises(
            ScenarioError, match="PydanticUndefinedAnnotation: name 'Literal' is not defined"
        ) as told:
            load(folder / "scenario.yaml")
        assert "further information" not in str(told.value)
    assert "half_to_the_first" not in partitions
