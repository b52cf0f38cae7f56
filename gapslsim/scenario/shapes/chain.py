"""A chain of helpers between clients and server: multi-hop split learning."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from gapslsim.bounds import Depth
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Segments, Stretch
from gapslsim.network.fleet import Station
from gapslsim.registry import component
from gapslsim.scenario._device_name import DeviceName
from gapslsim.scenario._links import NamedLink
from gapslsim.scenario.shape import Cuts, Shape, StationNode, shapes

__all__ = ["Chain", "Helper", "between"]


@component
class Helper:
    """A machine in the chain."""

    device: DeviceName
    """Hardware profile, a name or a path."""
    cut: Depth | str
    """Where its blocks end, counted as `model.cut`."""
    at: str | None = None
    """Access point, edge site, relay or node of the graph that it is at; unless given, as the network says: at the
    clients' switch of a star, at access points, edge sites or relays in turn."""
    link: NamedLink | None = None
    """Link of its own between it and the network; unlimited unless given."""


@shapes.register
@component
class Chain(Shape):
    """Client | helper-0 | helper-1 | ... | server: each holds the blocks up to its cut and passes on what comes out.

    A helper's one model serves all clients. It steps on the mean of their gradients when the answers of the server's
    step have come back to it. (Where the framework keeps copies for each client, helpers have copies too.) With a tail
    the last blocks and the labels are on the client again, as in a U-shape: multi-hop parallel split learning (MP-SL,
    arXiv 2402.00208), whose last compute node is the server here.
    """

    kind: Literal["chain"] = "chain"
    helpers: Annotated[
        tuple[Helper, ...],
        Field(min_length=1, max_length=100, examples=[[{"device": "jetson-orin-nx", "cut": 2}]]),
    ]
    """In the order of the forward pass, named `helper-0`, `helper-1`, ..."""
    tail: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Blocks at the end of the network that lie on the client, as in `u_shape`; 0 for none."""

    def stations(self) -> tuple[StationNode, ...]:
        """The helpers."""
        return tuple(
            StationNode(
                helper.device,
                Station(f"helper-{index}", helper.at)
                if (link := helper.link) is None
                else Station(
                    f"helper-{index}", helper.at, link.uplink, link.downlink, link.latency, link.loss
                ),
            )
            for index, helper in enumerate(self.helpers)
        )

    def segments(self, cuts: Cuts) -> Segments | None:
        """One stretch each."""
        ends = [
            (one.name, cuts.at(helper.cut)) for one, helper in zip(self.stations(), self.helpers, strict=True)
        ]
        of_cut = {cut: between(cut, ends, cuts.n_blocks, self.tail) for cut in cuts.first}
        return Segments(tuple(of_cut[cut] for cut in cuts.first))


def between(first: int, ends: list[tuple[str, int]], n_blocks: int, tail: int = 0) -> tuple[Stretch, ...]:
    """A path from a client through stations to the server, and back to the client if it has a tail.

    Args:
        first: blocks on the client.
        ends: stations with the blocks before their cut, in order.
        n_blocks: of the network.
        tail: blocks at its end that lie on the client.

    Raises:
        ValueError: if somebody has no block.
    """
    bounds = [(OF_CLIENT, 0), (OF_CLIENT, first), *ends]
    for (_, before), (name, end) in pairwise(bounds[1:]):
        if end <= before:
            raise ValueError(
                f"cut: the blocks of {name} end after {end} of {n_blocks}, and those before it after {before}, so that "
                "it has none; write cuts that rise."
            )
    path = [Stretch(name, before, end) for (_, before), (name, end) in pairwise(bounds)]
    of_server = Stretch(OF_SERVER, bounds[-1][1], n_blocks - tail)
    if tail and of_server.first >= of_server.last:
        raise ValueError(
            f"tail is {tail} of {n_blocks} blocks, {of_server.first} of which lie before the server's: it has none "
            "left; write a shorter tail, or cuts that come earlier."
        )
    return (*path, of_server, *([Stretch(OF_CLIENT, n_blocks - tail, n_blocks)] if tail else []))
