from __future__ import annotations

import math

import pytest

from gapslsim.errors import MemoryShortError
from gapslsim.hardware._energy import PowerState, span_energy_j
from gapslsim.hardware.device import PowerStates
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.memory import check_fits

POWER = PowerStates(idle_w=2.0, compute_w=10.0, send_w=4.0, receive_w=3.0)


@pytest.mark.parametrize(
    ("state", "energy_j"), [("idle", 5.0), ("compute", 25.0), ("send", 10.0), ("receive", 7.5)]
)
def test_energy_is_the_power_of_the_state_times_its_duration(state: PowerState, energy_j: float) -> None:
    assert span_energy_j(POWER, state, 2.5) == energy_j


@pytest.mark.parametrize("duration_s", [-1e-9, math.nan])
def test_a_span_that_ends_before_it_begins_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="duration_s must be 0 or more"):
        span_energy_j(POWER, "idle", duration_s)


def test_a_part_that_just_fits_is_accepted() -> None:
    device = load_device("jetson-nano")
    assert device.ram_bytes == 3e9
    check_fits(device, 3e9, "client part")


def test_a_part_that_does_not_fit_says_how_much_is_missing_and_what_to_change() -> None:
    with pytest.raises(MemoryShortError) as error:
        check_fits(load_device("jetson-nano"), 4.25e9, "client part of vgg16 at batch 128")
    text = str(error.value)
    assert text.startswith("client part of vgg16 at batch 128 does not fit jetson-nano")
    assert "needs 4.25 GB, 3 GB can be used, 1.25 GB are missing" in text
    assert "Make the batch smaller" in text
    assert "move the cut" in text


def test_an_amount_is_written_with_a_prefix_that_suits_it() -> None:
    device = load_device("raspberry-pi-3b-plus")
    for missing, words in (
        (12, "12 B are"),
        (2e3, "2 kB are"),
        (3.5e6, "3.5 MB are"),
        (2e12, "2,000 GB are"),
    ):
        with pytest.raises(MemoryShortError, match=f"{words} missing"):
            check_fits(device, device.ram_bytes + missing, "it")
