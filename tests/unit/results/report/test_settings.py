"""The table of what was run names all that shapes it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gapslsim.results.report._tables import settings_table


def test_codecs_shapes_and_cuts_of_groups_are_told() -> None:
    scenario = {
        "clients": [{"count": 3, "device": "jetson-nano", "cut": 2, "link": "wifi"}],
        "codec": {"activations": [{"kind": "quantise", "bits": 4}]},
        "shape": {"kind": "u_shape", "tail": 1},
    }
    run = SimpleNamespace(
        seed=1, series="psl", panel="", stored=SimpleNamespace(scenario=scenario, scenario_yaml="")
    )
    runs = SimpleNamespace(studies=[], runs=[run], targets=[], view="global")
    text = settings_table(cast("Any", runs))
    for said in ("3 x jetson-nano, cut 2", "quantise (bits 4)", "u_shape (tail 1)"):
        assert said in text
    run.stored.scenario = {"codec": None}
    assert "codec" not in settings_table(cast("Any", runs))
