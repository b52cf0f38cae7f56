from __future__ import annotations

import pytest

from gapslsim.errors import MemoryShortError
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.memory import check_fits


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
