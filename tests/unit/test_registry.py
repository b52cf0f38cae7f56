"""Families of components: found by themselves, told apart by kind, helpful when wrong."""

import dataclasses
import sys
import textwrap
from abc import ABC, abstractmethod
from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import ComponentError
from gapslsim.registry import FAMILIES, Family, component, meaning_of, settings_of

BASE = """
    from gapslsim.registry import Family

    class Shape:
        pass

    shapes = Family("{family}", "{package}.kinds", shorthand=lambda v: {{"kind": "disc", "radius": v}}
        if isinstance(v, int) else v)
"""
DISC = """
    from typing import Literal
    from gapslsim.registry import component
    from {package} import Shape, shapes

    @shapes.register
    @component
    class Disc(Shape):
        '''A disc.'''
        kind: Literal["disc"] = "disc"
        radius: int
"""
PAIR = """
    from __future__ import annotations
    from typing import Annotated, Literal
    from gapslsim.registry import component
    from {package} import Shape, shapes

    @shapes.register
    @component
    class Pair(Shape):
        kind: Literal["pair"] = "pair"
        left: Annotated[Shape, shapes]
        right: Annotated[Shape, shapes]
"""
POINT = """
    from typing import Literal
    from gapslsim.registry import component
    from {package} import Shape, shapes

    @shapes.register
    @component
    class Point(Shape):
        kind: Literal["point"] = "point"
"""


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A package with a family of three kinds, one of which holds others, on the import path."""
    name = f"shapes_{abs(hash(request.node.name))}"
    kinds = tmp_path / name / "kinds"
    kinds.mkdir(parents=True)
    (kinds / "__init__.py").write_text("")
    (kinds.parent / "__init__.py").write_text(textwrap.dedent(BASE).format(package=name, family=name))
    for file, text in {"disc": DISC, "pair": PAIR, "point": POINT}.items():
        (kinds / f"{file}.py").write_text(textwrap.dedent(text).format(package=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    FAMILIES._made.pop(name, None)
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def _import(name):
    import importlib

    return importlib.import_module(name)


def test_every_file_of_the_package_is_found(package):
    shapes = _import(package).shapes
    assert list(shapes) == ["disc", "pair", "point"]
    assert FAMILIES[package] is shapes
    assert shapes["disc"](radius=2).radius == 2
    assert "disc" in shapes
    assert "cube" not in shapes


def test_a_field_of_a_family_picks_the_class_by_kind(package):
    module = _import(package)
    adapter = TypeAdapter(Annotated[module.Shape, module.shapes])
    assert adapter.validate_python({"kind": "disc", "radius": 3}) == module.shapes["disc"](radius=3)


def test_a_bare_name_and_the_shorthand_are_read(package):
    module = _import(package)
    adapter = TypeAdapter(Annotated[module.Shape, module.shapes])
    assert adapter.validate_python("point") == module.shapes["point"]()
    assert adapter.validate_python(7) == module.shapes["disc"](radius=7)


def test_an_instance_passes_as_it_is(package):
    module = _import(package)
    disc = module.shapes["disc"](radius=3)
    assert TypeAdapter(Annotated[module.Shape, module.shapes]).validate_python(disc) is disc


@pytest.mark.parametrize("first", ["disc", "pair", "point"])
def test_a_member_that_holds_members_knows_them_all_whichever_is_imported_first(package, first):
    _import(f"{package}.kinds.{first}")
    module = _import(package)
    data = {"kind": "pair", "left": "point", "right": {"kind": "pair", "left": 1, "right": 2}}
    pair = TypeAdapter(Annotated[module.Shape, module.shapes]).validate_python(data)
    assert pair.right.right.radius == 2


def test_a_member_that_comes_late_is_known_inside_others(package):
    module = _import(package)
    module.shapes.discover()

    @module.shapes.register
    @component
    class Cube(module.Shape):
        kind: Literal["cube"] = "cube"

    data = {"kind": "pair", "left": "cube", "right": "point"}
    pair = TypeAdapter(Annotated[module.Shape, module.shapes]).validate_python(data)
    assert isinstance(pair.left, Cube)


def test_a_member_that_comes_late_is_known_in_other_components_which_keep_their_meanings(package):
    module = _import(package)

    @component
    class Drawing:
        """Holds a shape."""

        shape: Annotated[module.Shape, module.shapes]
        """What is drawn."""

    @component
    class Album:
        """Holds drawings."""

        drawings: tuple[Drawing, ...]
        """In order."""

    @module.shapes.register
    @component
    class Ball(module.Shape):
        kind: Literal["ball"] = "ball"

    album = TypeAdapter(Album).validate_python({"drawings": [{"shape": "ball"}]})
    assert isinstance(album.drawings[0].shape, Ball)
    assert meaning_of(Drawing, "shape") == "What is drawn."
    assert TypeAdapter(Album).json_schema()["properties"]["drawings"]["description"] == "In order."


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"kind": "disk", "radius": 1}, "Did you mean 'disc'?"),
        ({"radius": 1}, "'kind' is missing; add one of: disc, pair, point"),
        ({"kind": [1]}, "known: disc, pair, point"),
        ("disk", "Did you mean 'disc'?"),
        ({"kind": "disc", "radius": 1, "extra": 2}, "Unexpected keyword argument"),
        (None, "Unable to extract tag"),
    ],
)
def test_what_is_no_member_is_refused_with_what_is_known(package, value, says):
    module = _import(package)
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Annotated[module.Shape, module.shapes]).validate_python(value)
    assert says in str(error.value)


def test_an_unknown_kind_from_python_names_the_near_miss(package):
    with pytest.raises(ComponentError, match="Did you mean 'point'"):
        _import(package).shapes["piont"]


def test_two_classes_of_one_kind_are_refused(package):
    module = _import(package)
    module.shapes.discover()

    @component
    class OtherDisc(module.Shape):
        kind: Literal["disc"] = "disc"

    with pytest.raises(ValueError, match="registered twice"):
        module.shapes.register(OtherDisc)


def test_the_json_schema_admits_members_by_kind_bare_names_and_the_shorthand(package):
    module = _import(package)
    schema = TypeAdapter(Annotated[module.Shape, module.shapes]).json_schema()
    assert schema["else"] == {"anyOf": [{"enum": ["point"]}, {"type": "string"}]}
    assert schema["then"]["required"] == ["kind"]
    assert [each["if"]["properties"]["kind"]["const"] for each in schema["then"]["allOf"]] == [
        "disc",
        "pair",
        "point",
    ]
    assert all("$ref" in each["then"] for each in schema["then"]["allOf"])


def test_settings_are_what_a_file_would_say(package):
    shapes = _import(package).shapes
    pair = shapes["pair"](left=shapes["point"](), right=shapes["disc"](radius=2))
    assert settings_of(pair) == {
        "kind": "pair",
        "left": {"kind": "point"},
        "right": {"kind": "disc", "radius": 2},
    }


def test_a_component_is_frozen_keyword_only_and_strict():
    @component
    class Settings:
        rate: float = 1.0

    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().rate = 2.0
    with pytest.raises(ValidationError):
        Settings(rate=float("nan"))
    with pytest.raises(ValidationError):
        Settings(rat=2.0)
    with pytest.raises(ValidationError):
        Settings(2.0)


def test_a_package_that_cannot_be_imported_is_tried_again():
    family = Family("nowhere_family", "gapslsim.nowhere")
    try:
        for _ in range(2):
            with pytest.raises(ModuleNotFoundError):
                list(family)
    finally:
        del FAMILIES._made["nowhere_family"]


def test_a_component_that_lacks_a_method_is_told_where_it_is_registered() -> None:
    class Solid(ABC):
        @abstractmethod
        def volume(self) -> float: ...

    solids = Family("solid of a test", None)
    with pytest.raises(ValueError, match="the solid of a test Half lacks volume; define it"):

        @solids.register
        @component
        class Half(Solid):
            """Without its method."""

            kind: Literal["half"] = "half"
