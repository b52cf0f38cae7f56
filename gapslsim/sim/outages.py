"""Links that fail: a fleet whose channels carry nothing during outages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gapslsim.network.channel import Channel
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.interrupted import interrupted
from gapslsim.rng import stream
from gapslsim.sim.fault import Fault
from gapslsim.sim.hazards import Member

__all__ = ["failing"]


def failing(fleet: Fleet, members: Sequence[Member], faults: Sequence[Fault], seed: int) -> Fleet:
    """The fleet with the outages of its faults.

    Args:
        fleet: every client with its access link.
        members: what may happen to each.
        faults: of the scenario, in its order.
        seed: the scenario's seed. Clients that fail together draw from one stream, both ways of a link too.
    """
    clients = list(fleet.clients)
    for place, fault in enumerate(faults):
        if not fault.does("outages"):
            continue
        for index, member in enumerate(members):
            if fault.groups is not None and member.group not in fault.groups:
                continue
            together: dict[str, int | str] = {
                "client": index,
                "access_point": member.access_point or "",
                "group": member.group,
                "all": "",
            }
            random = partial(stream, seed, "fault", place, "outages", fault.scope, together[fault.scope])
            clients[index] = _failing(clients[index], fault, random)
    return replace(fleet, clients=tuple(clients))


def _failing(link: AccessLink, fault: Fault, random: partial[np.random.Generator]) -> AccessLink:
    return replace(
        link,
        uplink=_FailingChannel(link.uplink, fault, random),
        downlink=_FailingChannel(link.downlink, fault, random),
    )


@dataclass(frozen=True, eq=False)
class _FailingChannel(Channel):
    """Another channel with the outages of a fault."""

    channel: Channel
    fault: Fault
    random: partial[np.random.Generator]
    """Makes the stream of the outages, the same for all that fail together."""

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        """The steps of the channel inside, which draws as it does without the fault."""
        outages = self.fault.outages(self.random())
        steps = self.channel.steps(random)
        return steps if outages is None else interrupted(steps, outages)

    @property
    def mean_bit_per_s(self) -> float | None:
        """Of the channel inside: routes are chosen as without the fault."""
        return self.channel.mean_bit_per_s
