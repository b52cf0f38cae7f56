"""What holds for every component of every family."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import gapslsim.scenario.schema
from gapslsim.registry import FAMILIES, meaning_of

assert gapslsim.scenario.schema  # importing it defines every family that a scenario can use
MEMBERS = [(family, kind) for family in sorted(FAMILIES) for kind in FAMILIES[family]]
CODE = Path(gapslsim.__file__ or "").parent


def cls_of(member: tuple[str, str]) -> type[Any]:
    return FAMILIES[member[0]][member[1]]


def ids(member: tuple[str, str]) -> str:
    return f"{member[0]}-{member[1]}"


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_a_components_file_is_named_as_its_kind(member: tuple[str, str]) -> None:
    assert cls_of(member).__module__.rsplit(".", 1)[-1] == member[1].replace("-", "_")


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_a_component_says_in_one_line_what_it_is(member: tuple[str, str]) -> None:
    first = (cls_of(member).__doc__ or "").strip().splitlines()[0]
    assert len(first) > 10
    assert first[0].isupper() or first[0].isdigit()


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_a_component_is_a_frozen_dataclass_that_refuses_unknown_keys(member: tuple[str, str]) -> None:
    cls = cls_of(member)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="no_such_key"):
        cls(no_such_key=1)


@pytest.mark.parametrize("member", MEMBERS, ids=ids)
def test_every_setting_of_a_component_is_described(member: tuple[str, str]) -> None:
    cls = cls_of(member)
    bare = [
        name
        for name in cls.__pydantic_fields__  # type: ignore[attr-defined]
        if name != FAMILIES[member[0]].tag and not meaning_of(cls, name)
    ]
    assert bare == []


def test_no_module_of_the_package_has_more_than_400_lines() -> None:
    long = {
        str(path.relative_to(CODE)): n
        for path in CODE.rglob("*.py")
        if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_reading_a_scenario_and_the_clock_side_import_no_torch() -> None:
    code = (
        "import sys, gapslsim.scenario.loading, gapslsim.network.messages\n"
        "import gapslsim.hardware.devices, gapslsim.sim.node\n"
        "from gapslsim import load\nload('quickstart')\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
