"""`gapslsim check-component`: what it prints, and its exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gapslsim.cli.main import main
from gapslsim.registry import FAMILIES

QUICKSTART = Path(__file__).parents[3] / "scenarios" / "quickstart.yaml"
TEXT = '''
from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.data._division import check_enough
from gapslsim.data.partition import Partition, partitions
from gapslsim.network.channel import Channel, channels
from gapslsim.registry import component


@partitions.register
@component
class InOrder(Partition):
    """Cut in order."""

    kind: Literal["in_order"] = "in_order"
    tag: str
    """Of no account."""

    def split(self, labels, n_clients, random):
        check_enough(len(labels), n_clients)
        return np.array_split(np.arange(len(labels)), n_clients)


@channels.register
@component
class Flat(Channel):
    """Always the same."""

    kind: Literal["flat"] = "flat"

    def steps(self, random):
        yield 0.0, 1e6
'''


@pytest.fixture(autouse=True)
def file(tmp_path: Path) -> Iterator[Path]:
    """A file of two components; what it registers is forgotten afterwards."""
    before = {name: (list(family), dict(family.members))[1] for name, family in FAMILIES.items()}
    (tmp_path / "mine.py").write_text(TEXT)
    yield tmp_path / "mine.py"
    for name, members in before.items():
        FAMILIES[name].members = members


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as done:
        main(["check-component", *arguments])
    captured = capsys.readouterr()
    return int(done.value.code or 0), " ".join((captured.err + captured.out).split())


def test_what_holds_is_listed_component_by_component(file: Path, capsys) -> None:
    code, said = call(capsys, str(file), "--set", "in_order.tag=a")
    assert code == 0
    assert "channel flat holds Its settings survive" in said
    assert "partition in_order holds" in said
    assert "holds The shards hold every sample exactly once." in said
    assert said.endswith("2 components: 18 claims hold, 0 fail.")


def test_one_kind_or_family_can_be_looked_at_alone(file: Path, capsys) -> None:
    for kind in ("flat", "channel"):
        code, said = call(capsys, str(file), "--kind", kind)
        assert code == 0
        assert "partition" not in said
        assert said.endswith("1 component: 10 claims hold, 0 fail.")


def test_a_setting_that_cannot_be_guessed_is_asked_for(file: Path, capsys) -> None:
    code, said = call(capsys, str(file), "--kind", "in_order")
    assert code == 1
    assert (
        "its setting 'tag' is required and cannot be guessed; give it with --set in_order.tag=VALUE." in said
    )


def test_what_fails_is_told_with_the_place_in_the_file_and_without_a_traceback(file: Path, capsys) -> None:
    file.write_text(TEXT.replace("yield 0.0, 1e6", "yield 0.0, 1e6 / self.n"))
    code, said = call(capsys, str(file), "--kind", "flat")
    assert code == 1
    assert "FAILS The first step is at 0 s." in said
    assert (
        "channel flat fails: The first step is at 0 s. mine.py:36: AttributeError: 'Flat' object has no"
        in said
    )
    assert "Traceback" not in said
    assert said.endswith("1 component: 3 claims hold, 1 fails, 6 not looked at.")


def test_overlapping_shards_are_told(file: Path, capsys) -> None:
    file.write_text(
        TEXT.replace("np.array_split(np.arange(len(labels)), n_clients)", "[np.arange(9)] * n_clients")
    )
    code, said = call(capsys, str(file), "--kind", "in_order", "--set", "in_order.tag=a")
    assert code == 1
    assert (
        "9 samples are in more than one shard for 2 clients and 997 samples" in said or "in no shard" in said
    )
    assert "2 fail" in said or "1 fails" in said


def test_a_shipped_component_is_looked_at_by_family_and_kind(capsys) -> None:
    code, said = call(capsys, "--shipped", "schedule:step", "--set", "step.every=3")
    assert code == 0
    assert said.startswith("schedule step")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a file of your own components, or a shipped one"),
        (["nowhere.py"], "nowhere.py is no file"),
        (["FILE", "--kind", "flta"], "--kind flta: there is none of this kind or family; there is:"),
        (["FILE", "--set", "in_order.tag"], "write it as KIND.NAME=VALUE"),
        (
            ["FILE", "--set", "in_ordr.tag=a"],
            "'in_ordr' is not looked at; there is: flat, in_order. Did you mean",
        ),
        (["FILE", "--set", "in_order.tga=a"], "partition in_order has no setting 'tga'"),
        (["FILE", "--set", "in_order.tag=[a"], "--set in_order.tag=[a:"),
        (["--shipped", "framwork:psl"], "unknown family 'framwork'"),
        (["--shipped", "framework:pls"], "Did you mean 'psl'?"),
    ],
)
def test_what_cannot_be_used_has_exit_code_two(file: Path, arguments: list[str], says: str, capsys) -> None:
    code, said = call(capsys, *[str(file) if word == "FILE" else word for word in arguments])
    assert code == 2
    assert says in said


def test_validate_says_how_own_components_are_tried(file: Path, capsys) -> None:
    (file.parent / "quickstart.yaml").write_text(QUICKSTART.read_text())
    scenario = file.parent / "mine.yaml"
    scenario.write_text("base: quickstart.yaml\ncomponents: [./mine.py]\n")
    with pytest.raises(SystemExit):
        main(["validate", "--quick", str(scenario)])
    assert f"gapslsim check-component {file}" in capsys.readouterr().out
