"""Links by name, for scenarios that need no more than a typical figure.

Every preset says where its figures come from. The speed tests are those of the SIGCOMM 2021 5G measurement
study (github.com/SIGCOMM21-5G/artifact, `NW-Perf-Speedtest`: 1,290 Ookla tests on phones in the USA, 2021). Their
servers are far away on purpose, so latencies are taken from the tests to servers nearer than 600 km alone, and half
the round trip is written here. All are single links in good conditions: neighbours that share a cell are not in them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LINKS", "LinkPreset"]


@dataclass(frozen=True, slots=True)
class LinkPreset:
    """A typical link."""

    uplink: str
    downlink: str
    latency: str
    """One way."""
    source: str
    """Where the figures come from; says what is an assumption."""


_SPEEDTEST = "medians of the SIGCOMM 2021 5G study's Ookla speed tests"

LINKS: dict[str, LinkPreset] = {
    "ethernet": LinkPreset(
        "1 Gbit/s", "1 Gbit/s", "0.5 ms", "assumption: nominal rate of 1000BASE-T on a local network"
    ),
    "wifi": LinkPreset(
        "72.5 Mbit/s",
        "72.5 Mbit/s",
        "2 ms",
        "uplink: median of the 8 campus traces of Wi-Fi 5 (802.11ac) of github.com/GreenLv/Solis-WiFi-Trace, "
        "iperf3 from the client; assumptions: downlink equal to it, 2 ms",
    ),
    "lte": LinkPreset(
        "34 Mbit/s", "167 Mbit/s", "17 ms", f"{_SPEEDTEST}, Verizon 4G-LTE, 144 tests (12 for the latency)"
    ),
    "5g": LinkPreset(
        "75 Mbit/s",
        "154 Mbit/s",
        "14 ms",
        f"{_SPEEDTEST}, 5G NSA low band of Verizon and T-Mobile, 570 tests (42 for the latency)",
    ),
    "5g-mmwave": LinkPreset(
        "165 Mbit/s",
        "1634 Mbit/s",
        "11.5 ms",
        f"{_SPEEDTEST}, Verizon 5G NSA mmWave, 294 tests (24 for the latency)",
    ),
    "starlink": LinkPreset(
        "15 Mbit/s",
        "218 Mbit/s",
        "25 ms",
        "medians of github.com/sys-uos/Starlink-on-the-Autobahn, iperf3 both ways while driving; "
        "assumption: 25 ms one way",
    ),
}
"""Link presets by name: `link: lte`."""
