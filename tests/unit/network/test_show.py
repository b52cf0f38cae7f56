"""Pictures of channels, topologies and link use."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from gapslsim.cli.show_network import read_channel, show_channel, show_topology
from gapslsim.errors import NetworkError
from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.gilbert_elliott import GilbertElliott
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.show import channel_text, mean_rate, topology_lines
from gapslsim.network.topologies.shared_ap import SharedAp

FLEET = Fleet(
    tuple(AccessLink(f"client-{i}", Constant(rate=4e7), Constant(rate=8e7), 0.004) for i in range(3))
)


def test_a_channel_is_a_row_of_bars_with_its_mean() -> None:
    points = [(0.0, 8e6), (1.0, 0.0), (2.0, 4e6)]
    assert mean_rate(points, 0.0, 4.0) == pytest.approx(4e6)
    bars, _, figures = channel_text(points, 4.0, 4).splitlines()
    assert bars == "█ ▄▄"
    assert figures == "mean 4 Mbit/s, least 0 bit/s, most 8 Mbit/s, 3 steps"


def test_a_channel_and_a_topology_are_drawn_in_the_terminal_and_as_png(tmp_path: Path) -> None:
    console = Console(width=100, file=StringIO(), record=True)
    show_channel(
        GilbertElliott(good=1e6, mean_good=1, mean_bad=1), console, duration_s=20, png=tmp_path / "a.png"
    )
    show_topology(SharedAp(medium=1e8), FLEET, console, png=tmp_path / "b.png")
    text = console.export_text()
    assert "most 1 Mbit/s" in text
    assert "client-2 <-> ap-0: 40 Mbit/s, 4 ms / 80 Mbit/s, 4 ms" in text
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_medium_is_marked_and_long_lists_are_cut() -> None:
    lines = topology_lines(SharedAp(medium=1e8).router(FLEET), most=3)
    assert lines[2] == "ap-0 <-> ap-0/radio: 100 Mbit/s half duplex"
    assert lines[3] == "... and 4 more"


def test_settings_that_are_no_channel_say_why() -> None:
    with pytest.raises(NetworkError, match="has no unit"):
        read_channel("40")
    with pytest.raises(NetworkError, match="good: Field required"):
        read_channel({"kind": "gilbert_elliott", "mean_good": "1 s", "mean_bad": "1 s"})
