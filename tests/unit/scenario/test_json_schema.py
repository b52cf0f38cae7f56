"""The JSON Schema accepts what the loader accepts, and refuses common mistakes."""

import jsonschema
import pytest
import yaml

from gapslsim.scenario.dumping import dump
from gapslsim.scenario.json_schema import json_schema
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.shipped import shipped_scenarios
from gapslsim.scenario.tree import parse, plain
from tests.fresh import forget_components


def made():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def validator():
    return made()


def test_shipped_scenarios_are_valid(validator):
    files = shipped_scenarios()
    assert files
    for name, file in files.items():
        data = plain(parse(file.read_text(), name)[0])
        knowing = validator
        if "components" in data:  # the schema has them once they are registered
            load(file)
            knowing = made()
        assert [error.message for error in knowing.iter_errors(data)] == [], name
    forget_components()


def test_a_resolved_scenario_is_valid(validator, sound_text):
    assert validator.is_valid(plain(parse(dump(loads(sound_text)), None)[0]))


@pytest.mark.parametrize(
    "change",
    [
        {"nmae": "x"},
        {"framework": {"kind": "gapsl", "etta": 1}},
        {"framework": {"eta": 1}},
        {"framework": "gapsll"},
        {"stop": {"rounds": 0}},
        {"clients": []},
        {"server": "jetson-nano"},
        {"evaluation": {"every": "10 turns"}},
        {"training": {"client": {"optimizer": "sgd", "lr": 0.1}}},
        {"network": {"kind": "star", "backhaul_latency": 4}},
        {"network": {"kind": "star", "backhaul_latency": "4 Mbit/s"}},
    ],
)
def test_common_mistakes_are_refused(validator, sound_text, change):
    data = yaml.safe_load(sound_text)
    assert validator.is_valid(data)
    assert not validator.is_valid({**data, **change})


def test_with_a_base_sections_may_be_partial_but_not_misspelt(validator):
    assert validator.is_valid(
        {"base": "fleet.yaml", "framework": {"eta": 0.3}, "training": {"batch_size": 8}}
    )
    assert not validator.is_valid({"base": "fleet.yaml", "framwork": {"eta": 0.3}})
    assert not validator.is_valid({"name": "x"})


def test_descriptions_come_from_the_docstrings(validator):
    definitions = validator.schema["$defs"]
    assert definitions["Training"]["properties"]["batch_size"]["description"].startswith("B: samples")
    assert "description" in definitions["Scenario"]["properties"]["network"]
