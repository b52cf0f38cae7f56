"""A resolved scenario reads back as the same scenario."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.documents import is_printable
from gapslsim.scenario.dumping import dump, to_dict
from gapslsim.scenario.loading import load, load_dict, loads
from gapslsim.scenario.shipped import shipped_scenarios

_RATES = st.floats(1, 1e11).map(lambda rate: f"{rate!r} bit/s")


@pytest.mark.parametrize("name", sorted(shipped_scenarios())[:8])
def test_a_shipped_scenario_survives_being_written(name):
    scenario = load(name)
    assert loads(dump(scenario)) == scenario


@settings(max_examples=10)
@given(
    uplink=_RATES,
    latency=st.just(0.0) | st.floats(1e-30, 100),
    rate=st.floats(1e-9, 10),
    weight=st.floats(0, 1),
    name=st.text(min_size=1, max_size=20).filter(
        lambda t: t.strip() and not set(t) & set("/\\\n\0") and is_printable(t)
    ),
)
def test_any_settings_survive_being_written(sound_data, uplink, latency, rate, weight, name):
    data = yaml.safe_load(sound_data)
    data["name"] = name
    data["clients"][0]["link"] |= {"uplink": uplink, "latency": f"{latency!r} s"}
    data["training"]["client"]["lr"] = rate
    data["framework"]["lambda"] = weight
    scenario = load_dict(data)
    assert loads(dump(scenario)) == scenario


@pytest.mark.parametrize("line_break", ["\x85", "\u2028", "\u2029"])
def test_line_breaks_of_unicode_survive_being_written(sound_data, line_break):
    scenario = load_dict(
        yaml.safe_load(sound_data) | {"name": f"a{line_break}", "description": f"{line_break}b"}
    )
    assert loads(dump(scenario)) == scenario


@pytest.fixture(scope="module")
def sound_data(sound_text):
    return sound_text


def test_everything_is_resolved_and_has_its_unit(sound_text):
    written = to_dict(loads(sound_text))
    assert written["clients"][1]["link"] == {
        "uplink": {"kind": "constant", "rate": "34 Mbit/s"},
        "downlink": {"kind": "constant", "rate": "167 Mbit/s"},
        "latency": {"kind": "constant", "delay": "17 ms"},
    }
    assert written["training"]["server"] == written["training"]["client"]
    assert written["evaluation"]["every"] == "10 rounds"
    assert "lambda" in written["framework"]
    assert next(iter(written["framework"])) == "kind"


def test_what_is_unset_is_left_out(sound_text):
    written = to_dict(loads(sound_text))
    assert written["stop"] == {"rounds": 10}
    assert "description" not in written
    assert "parameter_server" not in written


@pytest.mark.parametrize("name", ["1e-3", "yes", "true", "2024-01-01", "12:30", "null", "#x", "é", "010"])
def test_text_that_looks_like_something_else_stays_text(sound_text, name):
    scenario = loads(sound_text, set=[f"name='{name}'"])
    text = dump(scenario)
    assert loads(text).name == name
    assert yaml.safe_load(text)["name"] == name
