"""`gapslsim show channel` and `gapslsim show topology`: what a channel does over time, and who is joined to whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.show import (
    channel_figure,
    channel_text,
    sample_channel,
    topology_figure,
    topology_lines,
)  # fmt: skip
from gapslsim.network.topology import Topology
from gapslsim.units import STRICT_UNITS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["read_channel", "show_channel", "show_topology"]


def read_channel(settings: Any) -> Channel:
    """A channel from what a scenario would hold: `40 Mbit/s`, or a mapping with `kind`.

    Raises:
        NetworkError: in words, if the settings are no channel.
    """
    try:
        channel: Channel = TypeAdapter(Annotated[Any, channels]).validate_python(
            settings, context=STRICT_UNITS
        )
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, found['loc'][1:]))}: {found['msg']}".removeprefix(": ")
            for found in error.errors()
        ]
        raise NetworkError("This is no channel. " + "; ".join(lines)) from error
    return channel


def show_channel(
    channel: Channel, console: Console, *, duration_s: float = 60.0, seed: int = 0, png: Path | None = None,
    title: str = "channel",
) -> None:  # fmt: skip
    """Draws a channel over time in the terminal, and into a PNG file if one is named.

    Args:
        channel: any channel.
        console: where it is drawn.
        duration_s: from time 0.
        seed: a random channel draws from `stream(seed, "channel", title)`, as a link of that name would.
        png: file to write.
        title: heading, and name of the random stream.
    """
    points = sample_channel(channel, duration_s, seed, title)
    width = max(min(console.width - 4, 100), 20)
    console.print(Panel(Text(channel_text(points, duration_s, width)), title=title, expand=False))
    if png is not None:
        _save(channel_figure(points, duration_s, title), png, console)


def show_topology(topology: Topology, fleet: Fleet, console: Console, *, png: Path | None = None) -> None:
    """Lists the links of a network with rates and latencies, and draws them into a PNG file if one is named."""
    router = topology.router(fleet)
    kind = str(getattr(topology, "kind", "network"))
    console.print(Panel(Group(*(Text(line) for line in topology_lines(router))), title=kind, expand=False))
    if png is not None:
        _save(topology_figure(router, kind), png, console)


def _save(figure: Figure, png: Path, console: Console) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(png, format="png", dpi=150)
    console.print(f"written: {png}", highlight=False)
