"""Radios: energy of a transfer is the power at rate 0 times its time, and a share per bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gapslsim.hardware.device import PowerStates
from gapslsim.hardware.devices import load_device, load_profile
from gapslsim.hardware.radio import throughput_energy_j

RADIO = PowerStates(1.0, 5.0, 3.0, 2.0, send_j_per_bit=80e-9, receive_j_per_bit=10e-9)
PLAIN = PowerStates(1.0, 5.0, 3.0, 2.0)


def test_bytes_cost_a_share_per_bit_beside_the_power_of_the_state() -> None:
    # 1 MB is 8e6 bit: 80 nJ each sent, 10 nJ each received
    assert throughput_energy_j(RADIO, "send", 1e6) == pytest.approx(0.64)
    assert throughput_energy_j(RADIO, "receive", 1e6) == pytest.approx(0.08)


def test_without_a_share_per_bit_energy_is_that_of_the_state() -> None:
    assert throughput_energy_j(PLAIN, "send", 1e9) == 0.0


def test_a_phone_on_lte_draws_what_the_line_says_at_20_mbit() -> None:
    power = load_device("phone-midrange@lte").power
    second_j = power.send_w + throughput_energy_j(power, "send", 20e6 / 8)
    assert second_j == pytest.approx(2.926 + 0.07668 * 20)
    # the plain profile assumes 20 Mbit/s
    assert load_device("phone-midrange").power.send_w == pytest.approx(4.46, abs=0.005)


@pytest.mark.data
@pytest.mark.parametrize(("mode", "network"), [("lte", "LTE"), ("5g", "NSALow"), ("5g-mmwave", "mmwave")])
def test_radio_modes_are_the_lines_through_the_public_measurements(
    public_data: Path, mode: str, network: str
) -> None:
    table = pd.read_csv(public_data / "power" / "cellular_radio_power.csv")
    power = load_profile("phone-flagship").modes[mode].power
    assert power is not None
    for figure, per_bit, direction in (
        (power.send, power.send_per_bit, "uplink"),
        (power.receive, power.receive_per_bit, "downlink"),
    ):
        rows = table[(table.network_type == network) & (table.direction == direction)]
        slope, base = np.polyfit(rows.throughput_mbit_s, rows.power_mw, 1)  # mW per Mbit/s, mW
        assert per_bit is not None
        assert figure.value == pytest.approx(base / 1e3, rel=1e-3)
        assert per_bit.value == pytest.approx(slope * 1e-9, rel=3e-3)
