"""`gapslsim show channel` and `gapslsim show topology`: what a channel does over time, and who is joined to whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from gapslsim.documents import DocumentError, yaml_data
from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel, channels
from gapslsim.network.fleet import Fleet
from gapslsim.network.show import (
    channel_figure,
    channel_text,
    sample_channel,
    topology_figure,
    topology_lines,
)
from gapslsim.network.topology import Topology
from gapslsim.scenario.loading import load
from gapslsim.terminal import Terminal
from gapslsim.units import STRICT_UNITS, parse_quantity, whole_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]


def read_channel(settings: Any) -> Channel:
    """A channel from what a scenario would hold: `40 Mbit/s`, or a mapping with `kind`.

    Raises:
        NetworkError: in words, if the settings are no channel.
    """
    reader: TypeAdapter[Channel] = TypeAdapter(Annotated[Any, channels])
    try:
        return reader.validate_python(settings, context=STRICT_UNITS)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, found['loc'][1:]))}: {found['msg']}".removeprefix(": ")
            for found in error.errors()
        ]
        raise NetworkError("This is no channel. " + "; ".join(lines)) from error


def show_channel(
    channel: Channel, console: Terminal, *, duration_s: float = 60.0, seed: int = 0, png: Path | None = None,
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


def show_topology(topology: Topology, fleet: Fleet, console: Terminal, *, png: Path | None = None) -> None:
    """Lists the links of a network with rates and latencies, and draws them into a PNG file if one is named."""
    router = topology.router(fleet)
    kind = str(getattr(topology, "kind", "network"))
    console.print(Panel(Group(*(Text(line) for line in topology_lines(router))), title=kind, expand=False))
    if png is not None:
        _save(topology_figure(router, kind), png, console)


def draw(kind: str, what: str, console: Terminal, png: Path | None, duration: str, seed: int) -> None:
    """What `gapslsim show channel` and `gapslsim show network` draw.

    Args:
        kind: `channel` or `network`.
        what: settings of a channel, or `SCENARIO:GROUP:uplink|downlink`; a scenario for a network.
        console: where it is drawn.
        png: file to write, or None.
        duration: of a channel, with its unit.
        seed: of a random channel.

    Raises:
        GapslsimError: if the scenario or the settings cannot be read.
    """
    if kind == "network":
        scenario = load(what)
        show_topology(scenario.network, scenario.fleet, console, png=png)
        return
    try:
        duration_s = parse_quantity(duration, "s")
    except ValueError as error:
        raise NetworkError(f"--duration: {error}") from error
    scenario_name, _, rest = what.partition(":")
    group, _, side = rest.partition(":")
    if side in ("uplink", "downlink") and (number := whole_number(group)) is not None:
        groups = load(scenario_name).clients
        if number >= len(groups):
            raise NetworkError(f"{what}: there are {len(groups)} groups of clients, counted from 0.")
        channel: Channel = getattr(groups[number].link, side)
    else:
        try:
            settings = yaml_data(what)
        except DocumentError as error:
            raise NetworkError(f"{what!r} is no channel; write its settings as in a scenario.") from error
        channel = read_channel(settings)
    show_channel(channel, console, duration_s=duration_s, seed=seed, png=png)


def _save(figure: Figure, png: Path, console: Terminal) -> None:
    from gapslsim.results.drawing.matplotlib_printer import write_figure

    write_figure(figure, png)
    console.print(f"written: {png}")
