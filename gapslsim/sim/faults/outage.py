"""Links that carry nothing for a while, alone or together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from gapslsim.registry import component
from gapslsim.sim._stays import Stays, in_turns
from gapslsim.sim.fault import Fault, OutageScope, faults

__all__ = ["LinkOutage"]


@faults.register
@component
class LinkOutage(Stays, Fault):
    """Uplink and downlink of a client carry nothing for a while (`down`). Transfers stall meanwhile and then go on.

    With `strikes` several clients fail at the same times: all at one access point when it fails. Every channel may
    have outages of its own besides (`kind: outage` of a link).
    """

    kind: Literal["outage"] = "outage"
    strikes: OutageScope = "client"
    """Who fails together: each `client` by itself, all at an `access_point`, a whole `group`, or `all` of them."""

    def outages(self, random: np.random.Generator) -> Iterator[tuple[float, bool]]:
        """Up and down in turn, for ever."""
        return in_turns(self, random)

    @property
    def scope(self) -> OutageScope:
        """As the settings say."""
        return self.strikes
