"""The JSON Schema accepts what the loader accepts, and refuses common mistakes."""

import copy
import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from gapslsim.cli.schema import What, schema_text
from gapslsim.scenario.dumping import dump, to_dict
from gapslsim.scenario.json_schema import json_schema
from gapslsim.scenario.loading import load, loads
from gapslsim.scenario.shipped import shipped_scenarios, shipped_studies
from gapslsim.scenario.tree import parse, plain
from tests.fresh import forget_components

ROOT = Path(__file__).resolve().parents[3]


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


GAPSL = {"kind": "parallel", "server_update": {"kind": "gapsl"}}
BROKEN = [
    ("nmae", "x"),
    ("seed", "one"),
    ("components", "a.py"),
    ("framework", 3),
    ("framework", "gapsll"),
    ("framework.kind", "gapsll"),
    ("framework.etta", 1),
    ("framework.eta", "a lot"),
    ("framework", GAPSL, "framework.server_update.etta", 1),
    ("framework", GAPSL, "framework.lateness", {"kind": "deadline", "after": 3}, "framework.lateness.after"),
    ("data.kind", "digit"),
    ("data.partition.kind", "iidd"),
    ("data.partition.alpa", 1),
    ("data.partition.alpha", -1),
    ("model", "cnnn"),
    ("model.cut", -1),
    ("training.batch_size", 0),
    ("training.workers", "many"),
    ("training.client.optimizer", "sdg"),
    ("training.client.lr", "0.1 s"),
    ("training.client.momentun", 0.9),
    ("server.device", 5),
    ("clients", []),
    ("clients.0.count", 0),
    ("clients.0.link", "5gg"),
    ("clients.0.link.uplnk", "1 Mbit/s"),
    ("clients.0.link.uplink", "40 MB"),
    ("clients.0.link.uplink", {"kind": "markvo"}, "clients.0.link.uplink.kind"),
    ("clients.0.link.latency", "4 Mbit/s"),
    ("clients.1.availability", {"kind": "alwyas"}, "clients.1.availability.kind"),
    ("clients.0.training", {"lrr": 1}, "clients.0.training.lrr"),
    ("network.kind", "sta"),
    ("network.bakhaul", "1 Mbit/s"),
    ("evaluation.every", "10 turns"),
    ("evaluation.views", ["globl"], "evaluation.views.0"),
    ("evaluation.metrics", [{"kind": "f2"}], "evaluation.metrics.0.kind"),
    ("stop.rounds", 0),
    ("stop.patience", {"evaluations": 3, "off": "loss"}, "stop.patience.off"),
    ("faults", [{"kind": "x"}], "faults.0.kind"),
    ("uncertainty", {"draw": 3}, "uncertainty.draw"),
    ("clock", {"server": {"serves": "now"}}, "clock.server.serves"),
]
"""Path and value, pair by pair, and the path of the mistake if that is not the last one."""


def put(data, path, value):
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        data = data[part]
    data[last] = value


@pytest.fixture(scope="module")
def quickstart():
    return to_dict(load("quickstart"))


@pytest.mark.parametrize("given", BROKEN, ids=lambda given: given[-1] if len(given) % 2 else str(given[-2:]))
def test_the_first_error_of_a_public_validator_is_the_wrong_key(validator, quickstart, given):
    broken = copy.deepcopy(quickstart)
    assert validator.is_valid(broken)
    *pairs, where = given if len(given) % 2 else (*given, given[-2])
    for path, value in zip(pairs[::2], pairs[1::2], strict=True):
        put(broken, path, value)
    first = next(validator.iter_errors(broken))
    assert ".".join(map(str, first.absolute_path)) == where


def test_every_schema_has_an_identifier_and_lies_in_the_wheel():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for what in What:
        file = f"docs/reference/{what}.schema.json"  # kept in step by `gapslsim reference --check`
        assert wheel["force-include"][file] == f"gapslsim/schemas/{what}.json"
        assert json.loads((ROOT / file).read_text())["$id"] == f"urn:gapslsim:schema:{what}"


def test_shipped_studies_and_devices_are_valid_and_their_mistakes_are_told_where_they_are():
    devices = sorted((ROOT / "hardware_profiles").glob("*.yaml"))
    studies = shipped_studies()
    for what, files in ((What.STUDY, studies.values()), (What.DEVICE, devices)):
        validator = jsonschema.Draft202012Validator(json.loads(schema_text(what)))
        for file in files:
            data = plain(parse(file.read_text(), str(file))[0])
            assert [error.message for error in validator.iter_errors(data)] == [], file
            broken = [("name", 3), ("nmae", "x")]
            if what is What.DEVICE:
                broken += [("memory.rma", 1)]
            else:
                broken += [("seeds", [-1], "seeds.0")]
                broken += [("axes.gird", {})] if "axes" in data else [("search.trails", 1)]
            for path, value, *where in broken:
                again = copy.deepcopy(data)
                put(again, path, value)
                first = next(validator.iter_errors(again))
                assert ".".join(map(str, first.absolute_path)) == (where or [path])[0], file


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
