"""Energy of transfers: sending and receiving while bits move, then the tail, then idle power; batteries agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import simpy

from gapslsim.frameworks.framework import frameworks
from gapslsim.hardware.device import PowerStates
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.star import Star
from gapslsim.sim.activities import Activities
from gapslsim.sim.availability import Battery
from gapslsim.sim.node import Node
from gapslsim.sim.presence import Presence
from gapslsim.sim.recorder import Recorder
from gapslsim.work import Keyed
from tests.support import RateDevice, make, small_setup, stage


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


PLAIN = PowerStates(1.0, 5.0, 3.0, 2.0)
LTE = replace(PLAIN, tail_w=2.5, tail_s=10.0)


class _Line:
    """A client and a server on a link of 8 Mbit/s, driven by hand."""

    def __init__(
        self,
        latency_s: float = 0.0,
        power: PowerStates = PLAIN,
        battery: Battery | None = None,
    ) -> None:
        self.env = simpy.Environment()
        link = AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6), latency_s)
        network = Star(protocol=None).build(self.env, Fleet((link,)), 1)
        self.recorder, self.activities = Recorder([power.idle_w]), Activities(self.env)
        self.presence = None
        if battery is not None:
            self.presence = Presence(self.env, 0, iter([(0.0, True)]), battery=battery, idle_w=power.idle_w)
            self.recorder.away = lambda client, since_s, until_s: self.presence.away(since_s, until_s)  # type: ignore[union-attr]
        shared: tuple[Any, ...] = (self.env, network, self.recorder, self.activities, lambda: None)
        self.client = Node("client-0", 0, RateDevice(power=power), *shared, presence=self.presence)
        self.server = Node("server", None, RateDevice(), *shared)

    def send(self, size_bytes: int, at_s: float = 0.0, down: bool = False) -> None:
        ends = (self.server, self.client) if down else (self.client, self.server)

        def later() -> Any:
            yield self.env.timeout(at_s)
            phase = "downlink" if down else "uplink"
            yield from ends[0].send(Keyed("k", size_bytes), ends[1], phase)

        self.activities.spawn(later())

    def run(self, until_s: float) -> dict[str, float]:
        """Energy of each phase [J]."""
        self.env.run(until_s)
        self.activities.cancel_all()
        self.recorder.wait_until([0], until_s)
        self.recorder.cut_tails(until_s)
        found: dict[str, float] = {}
        for span in self.recorder.spans:
            found[span.phase] = found.get(span.phase, 0.0) + span.energy_j
        self.elapsed_s = sum(span.end_s - span.start_s - span.overlap_s for span in self.recorder.spans)
        return found


def test_a_radio_sends_while_bits_move_and_draws_idle_power_while_they_propagate() -> None:
    line = _Line(latency_s=10.0)
    line.send(16_500)
    # 16.5 ms at 3 W, 10 s at 1 W; all of it at 3 W would be 30.05 J
    assert line.run(10.0165 + 1e-9)["uplink"] == pytest.approx(3.0 * 0.0165 + 1.0 * 10.0)


def test_what_is_received_takes_the_power_of_receiving_for_as_long_as_bits_move() -> None:
    line = _Line(latency_s=0.5)
    line.send(1_000_000, down=True)
    assert line.run(2.0)["downlink"] == pytest.approx(2.0 * 1.0 + 1.0 * 0.5)


@pytest.mark.parametrize(("until_s", "expected_j"), [(0.25, 0.25), (0.75, 0.5 + 0.25 * 3.0)])
def test_a_cancelled_transfer_is_charged_for_the_time_that_its_bits_moved(
    until_s: float, expected_j: float
) -> None:
    line = _Line(latency_s=0.5)
    line.send(1_000_000)
    assert line.run(until_s)["cancelled_uplink"] == pytest.approx(expected_j)


def test_the_tail_lasts_until_its_timer_ends_or_bits_move_again() -> None:
    line = _Line(power=LTE)
    line.send(1_000_000)  # 0..1 s; its tail ends at 11 s
    line.send(1_000_000, at_s=15.0)  # 15..16 s; its tail is cut at 18 s
    line.send(1_000_000, at_s=18.0, down=True)  # 18..19 s; its tail at the end of the run, 22 s
    energy = line.run(22.0)
    assert energy["radio_tail"] == pytest.approx((2.5 - 1.0) * (10.0 + 2.0 + 3.0))
    integral = 3.0 * 2 + 2.0 * 1 + 2.5 * 15 + 1.0 * 4
    assert sum(energy.values()) == pytest.approx(integral)
    assert line.elapsed_s == pytest.approx(22.0)


def test_no_tail_begins_while_other_bits_move() -> None:
    line = _Line(power=LTE)
    line.send(2_000_000)  # 0..2 s
    line.send(500_000, at_s=0.5, down=True)  # 0.5..1 s
    # both at once take what each takes beyond idle power
    assert sum(line.run(5.0).values()) == pytest.approx(1.0 * 5 + 2.0 * 2 + 1.0 * 0.5 + 1.5 * 3)


@pytest.mark.parametrize("power", [replace(PLAIN, send_j_per_bit=1e-7), LTE])
@pytest.mark.parametrize("latency_s", [0.0, 0.7])
def test_a_battery_has_lost_what_the_spans_say(power: PowerStates, latency_s: float) -> None:
    line = _Line(latency_s, power, Battery(1000.0, 1000.0, 0.0, 10.0))
    line.send(1_000_000)
    line.send(3_000_000, at_s=4.0)
    line.send(500_000, at_s=5.0, down=True)
    line.send(1_000_000, at_s=24.0)
    energy = line.run(24.9)
    assert line.presence is not None
    assert 1000.0 - (line.presence.level_j() or 0.0) == pytest.approx(sum(energy.values()))
    assert line.elapsed_s == pytest.approx(24.9)


def test_a_client_that_is_away_has_no_tail_meanwhile() -> None:
    # 3 J for the first second, then 2.5 W: empty after 3 s.
    line = _Line(power=LTE, battery=Battery(8.0, 8.0, 0.0, 5.0))
    line.send(1_000_000)
    energy = line.run(9.0)
    assert energy["radio_tail"] == pytest.approx(1.5 * 2.0)
    assert sum(energy.values()) == pytest.approx(8.0)
