"""Energy of transfers in a run: state power times duration, and a share per bit for radios."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gapslsim.frameworks.framework import frameworks
from tests.support import make, small_setup, stage


def test_radios_add_energy_per_bit_to_uplink_and_downlink_and_to_nothing_else() -> None:
    spans = {}
    for send_j_per_bit, receive_j_per_bit in ((0.0, 0.0), (3e-6, 1e-6)):
        world = stage(small_setup(), dry=True, uplinks=(1e5, 2e5), downlinks=(1e5, 2e5))
        for client in range(2):
            device = world.world.client(client).device
            device.power = replace(
                device.power, send_j_per_bit=send_j_per_bit, receive_j_per_bit=receive_j_per_bit
            )
        world.run(make(frameworks, "psl"), 1)
        spans[send_j_per_bit] = sorted(world.recorder.spans)
    assert len(spans[0.0]) == len(spans[3e-6])
    for plain, radio in zip(spans[0.0], spans[3e-6], strict=True):
        per_bit = {"uplink": 3e-6, "downlink": 1e-6}.get(radio.phase, 0.0)
        assert radio.phase == plain.phase
        assert radio.energy_j == pytest.approx(plain.energy_j + 8 * radio.size_bytes * per_bit)
    uplink = next(span for span in spans[3e-6] if span.phase == "uplink" and span.client == 0)
    # 3 W for as long as it took, and 3 uJ for each bit
    seconds = uplink.end_s - uplink.start_s
    assert seconds == pytest.approx(8 * uplink.size_bytes / 1e5)
    assert uplink.energy_j == pytest.approx(3.0 * seconds + 3e-6 * 8 * uplink.size_bytes)
