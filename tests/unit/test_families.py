"""Which families there are is a fact of the package, whatever was imported before."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gapslsim
from gapslsim.registry import _HOMES, FAMILIES, Family
from tests.fresh import failures

OWN = """
from typing import Literal

import {home}
from gapslsim.registry import FAMILIES, component


@FAMILIES["{family}"].register
@component
class Own:
    {tag}: Literal["mine"] = "mine"
"""
REGISTER = """
{first}
from gapslsim.own_components import load_components
from gapslsim.registry import FAMILIES

load_components({file!r})
assert FAMILIES[{family!r}]["mine"].__name__ == "Own"
assert list(FAMILIES) == {names!r}, list(FAMILIES)
assert "mine" in FAMILIES[{family!r}] and len(list(FAMILIES[{family!r}])) > 1
"""
NOTHING = """
{first}
from gapslsim.errors import ComponentError
from gapslsim.own_components import load_components

try:
    load_components({file!r})
except ComponentError as error:
    assert str(error).endswith("the families being: " + {names!r} + "."), error
else:
    raise AssertionError("nothing was said")
"""
FIRST = {
    "load_components": "from gapslsim.own_components import load_components",
    "its own module": "import {home}",
}


def defined() -> dict[str, str]:
    """Families that the source text defines, with the module of each."""
    root = Path(gapslsim.__file__).parent
    found = {}
    for file in root.rglob("*.py"):
        module = ".".join(file.relative_to(root.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Family":
                assert isinstance(node.args[0], ast.Constant)
                found[node.args[0].value] = module
    return found


def test_the_list_of_families_names_every_family_that_the_package_defines() -> None:
    assert defined() == _HOMES
    assert list(FAMILIES) == sorted(_HOMES)
    assert len(FAMILIES) == len(_HOMES)


def test_a_member_of_every_family_is_registered_whatever_is_imported_first(tmp_path: Path) -> None:
    scripts = {}
    for family, home in _HOMES.items():
        file = tmp_path / f"{family}.py"
        file.write_text(OWN.format(family=family, home=home, tag=FAMILIES[family].tag))
        settings = {"file": str(file), "family": family, "names": sorted(_HOMES)}
        for first, text in FIRST.items():
            scripts[f"{family}, {first} first"] = REGISTER.format(first=text.format(home=home), **settings)
    assert failures(scripts) == {}


def test_what_a_message_names_does_not_depend_on_what_is_imported_first(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("x = 1")
    scripts = {
        home: NOTHING.format(
            first=f"import {home}", file=str(tmp_path / "nothing.py"), names=", ".join(sorted(_HOMES))
        )
        for home in ["gapslsim.own_components", *_HOMES.values()]
    }
    scripts["list"] = (
        f"from gapslsim.cli.listing import _catalogue\nassert {set(_HOMES)} <= set(_catalogue())"
    )
    assert failures(scripts) == {}


def test_a_second_family_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a family 'partition' already"):
        Family("partition", "my_partitions")


def test_a_family_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        FAMILIES["no_such_family"]
    assert "no_such_family" not in FAMILIES
