"""Links from measured transfers: a line, and the section of a scenario."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter

from gapslsim.calibration.links import link_of, link_section
from gapslsim.calibration.table import check_table
from gapslsim.scenario._links import Link
from gapslsim.units import STRICT_UNITS

SIZE = np.array([1e5, 1e6, 5e6, 1e7])


def transfers(direction: str, rate: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"device": "b", "direction": direction, "size_bytes": SIZE, "duration_s": 0.02 + SIZE * 8 / rate}
    )


def test_a_link_is_a_line_through_its_transfers() -> None:
    trip = pd.DataFrame({"device": ["b"], "direction": ["up"], "round_trip_s": [0.04]})
    (link,) = link_of(check_table(pd.concat([transfers("up", 4e7), trip]), "links.csv"))
    assert link.rate_bit_per_s == pytest.approx(4e7)
    assert link.latency_s == pytest.approx(0.02)
    assert link.n_points == 4
    assert link.error == pytest.approx(0, abs=1e-9)


def test_transfers_below_the_timers_resolution_do_not_count() -> None:
    short = pd.DataFrame({"device": ["b"], "direction": ["up"], "size_bytes": [100.0], "duration_s": [0.0]})
    (link,) = link_of(check_table(pd.concat([transfers("up", 4e7), short]), "links.csv"))
    assert (link.n_points, link.rate_bit_per_s) == (4, pytest.approx(4e7))


def test_both_directions_become_the_link_section_of_a_scenario() -> None:
    table = check_table(pd.concat([transfers("up", 4e7), transfers("down", 8e7)]), "links.csv")
    text = link_section(link_of(table))
    assert text == "link: {uplink: 40 Mbit/s, downlink: 80 Mbit/s, latency: 20 ms}"
    TypeAdapter(Link).validate_python(yaml.safe_load(text)["link"], context=STRICT_UNITS)


def test_a_direction_that_was_not_measured_is_said_to_be_as_the_other() -> None:
    text = link_section(link_of(check_table(transfers("down", 8e7), "links.csv")))
    assert text == (
        "link: {uplink: 80 Mbit/s, downlink: 80 Mbit/s, latency: 20 ms}  # uplink not measured: as the other"
    )
