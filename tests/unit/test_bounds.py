"""Every number of every setting has bounds, and what is written as something else than a number is none."""

from typing import Annotated, Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from gapslsim.bounds import LARGEST
from gapslsim.cli.main import COMMANDS, load_command
from gapslsim.cli.reference import pages
from gapslsim.errors import ScenarioError, shortened
from gapslsim.hardware.profile import Profile
from gapslsim.registry import FAMILIES, component
from gapslsim.scenario.json_schema import json_schema, schema_of
from gapslsim.scenario.loading import load
from gapslsim.studies.plan import load_study
from gapslsim.studies.schema import Study


def unbounded(schema: Any, path: str = "") -> list[str]:
    """Where a JSON schema has a number without an upper or a lower bound."""
    if isinstance(schema, list):
        return [found for i, inner in enumerate(schema) for found in unbounded(inner, f"{path}/{i}")]
    if not isinstance(schema, dict):
        return []
    numbers = schema.get("type") in ("integer", "number") and not {"enum", "const"} & schema.keys()
    sides = [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")]
    here = [path] if numbers and not all(any(key in schema for key in side) for side in sides) else []
    return here + [found for key, inner in schema.items() for found in unbounded(inner, f"{path}/{key}")]


@pytest.mark.parametrize("what", ["scenario", "study", "device"])
def test_every_number_of_a_file_has_bounds(what):
    schemas = {
        "scenario": json_schema,
        "study": lambda: schema_of(Study, "study"),
        "device": lambda: schema_of(Profile, "device"),
    }
    assert unbounded(schemas[what]()) == []


def test_every_number_of_every_component_has_bounds():
    found = {
        f"{name}.{kind}": unbounded(TypeAdapter(family[kind]).json_schema())
        for name, family in FAMILIES.items()
        for kind in family
        if hasattr(family[kind], "__pydantic_fields__")
    }
    assert len(found) > 100
    assert {name: where for name, where in found.items() if where} == {}


@component
class Mine:
    """Settings of one's own that say no bounds, or some."""

    free: float = 0.0
    listed: tuple[int, ...] = ()
    own: Annotated[float, "of mine"] | None = None


@pytest.mark.parametrize(
    "settings",
    [{"free": 1e19}, {"free": -1e19}, {"listed": (1, 10**13)}, {"own": 1e300}, {"free": float("nan")}],
)
def test_what_has_no_bounds_of_its_own_gets_them(settings):
    with pytest.raises(ValidationError):
        Mine(**settings)
    assert Mine(free=-1e18, listed=(10**12,), own=0.5).listed == (10**12,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("training.client.lr=1e39", "write at most 1e+18"),
        ("framework.eta=-1e308", "write at least -1e+18|greater than or equal to -1000"),
        ("training.threads=5000", "less than or equal to 4096"),
        ("training.workers=5000", "less than or equal to 4096"),
        ("stop.rounds=9999999999999", "write at most 1e[+]12"),
        ("clients.0.count=1000000000", "less than or equal to 1000000"),
        ("clients.*.count=900000", "2,700,000 clients in all groups"),
        ("clients.0.count='5'", "without quotes and underscores"),
        ("stop.rounds=1_000", "without quotes and underscores"),
        ("stop.rounds=true", "write a number"),
        ("seed=2026-11-26", "integer"),
        ("seed=1:30", "integer"),
        ("training.client.lr=.inf", "finite"),
        ("training.client.lr=-.INF", "finite"),
        ("training.client.lr=1e400", "finite"),
        ("training.client.lr=nan", "number"),
        ("evaluation.every=1e99 rounds", "at most 1e[+]12 rounds"),
        ("clients.0.link.uplink=1e-300 bit/s", "0.001 bit/s or more"),
        ("clients.0.link.latency=1e300 s", "at most 1e[+]10 s"),
        ('name="a\\e[31m"', "control character"),
    ],
)
def test_nonsense_is_refused_with_its_bound(change, says):
    with pytest.raises(ScenarioError, match=says.replace("1e+18", "1e[+]18")) as error:
        load("quickstart", set=[change])
    assert len(error.value.problems) == 1


def test_a_zero_has_no_sign():
    scenario = load("quickstart", set=["framework.eta=-0.0"])
    assert str(scenario.framework.eta) == "0.0"


def test_the_reference_tells_the_bounds():
    index = pages()["index.md"]
    for largest in LARGEST.values():
        assert f"{largest:g}" in index
    assert "0.001 to 1e+18 bit/s" in index


def test_every_number_of_a_command_line_has_bounds():
    found = {
        f"{name} {parameter.opts[-1]}": (parameter.min, parameter.max)
        for name in COMMANDS
        for parameter in load_command(name).params
        if {int, float} & {(kind := parameter.type_descriptor.annotation), *get_args(kind)}
    }
    assert len(found) > 20
    # Becomes `uncertainty.draws`, whose bounds tell.
    assert {name for name, bounds in found.items() if None in bounds} == {"run --draws"}


def test_numbers_of_a_study_are_no_text(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: x\nbase: quickstart\nseeds: ['1', 2]\n")
    with pytest.raises(ScenarioError, match=r"seeds\.0: found the text '1'; write the number without quotes"):
        load_study(path)


def test_a_long_override_is_not_repeated_whole():
    with pytest.raises(ScenarioError) as error:
        load("quickstart", set=[f"data={'[' * 6000}"])
    assert len(str(error.value)) < 400
    with pytest.raises(ScenarioError) as error:
        load("quickstart", set=["x" * 6000])
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "change",
    [
        "device={0}",
        "device={0}.yaml",
        "device=x/{0}",
        "link={{uplink: {{kind: trace, format: cooked, file: {0}}}}}",
    ],
)
def test_a_name_that_no_file_can_have_is_refused_and_not_repeated_whole(change, tmp_path, monkeypatch):
    monkeypatch.setattr("gapslsim.scenario.loading._QUOTED", 10**6)
    with pytest.raises(ScenarioError) as error:
        load("quickstart", set=[f"clients.0.{change.format('n' * 50_000)}"])
    assert all(len(str(problem)) < 7000 for problem in error.value.problems)


def test_of_a_long_text_the_ends_are_told():
    assert shortened("a" * 2000) == "a" * 2000
    text = shortened("begin" + "x" * 10**6 + "fix")
    assert text.startswith("beginxxx")
    assert text.endswith("xxxfix")
    assert len(text) < 2010
