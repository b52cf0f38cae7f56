"""Max-min fair rates of a set of flows, the textbook way: the reference that the engine is tested against."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fair_rates"]


def fair_rates(
    capacities: Sequence[float], routes: Sequence[Sequence[int]], caps: Sequence[float] | None = None
) -> list[float]:
    """Max-min fair rate of every flow by progressive filling [bertsekas1992, section 6.5.2].

    All rates rise together from 0; a flow stops rising when it meets its own cap or a link on its path is full.
    Every flow is then limited by its cap or by a full link on which no flow is faster.

    Args:
        capacities: capacity of each shared link [bit/s].
        routes: indices of the links that each flow takes.
        caps: largest rate of each flow [bit/s]; none by default.

    Returns:
        Rates [bit/s]; infinite for a flow without cap and links.
    """
    n = len(routes)
    limits = [math.inf] * n if caps is None else list(caps)
    rates = [0.0] * n
    users: list[set[int]] = [set() for _ in capacities]
    for flow, route in enumerate(routes):
        for link in set(route):
            users[link].add(flow)
    spare = [float(capacity) for capacity in capacities]
    rising = set(range(n))
    while rising:
        shares = {link: max(spare[link], 0.0) / len(active) for link, active in enumerate(users) if active}
        level = min(min(shares.values(), default=math.inf), min(limits[flow] for flow in rising))
        stopped = {flow for flow in rising if limits[flow] <= level}
        for link, share in shares.items():
            if share <= level:
                stopped |= users[link]
        for flow in stopped:
            rates[flow] = level
            for link in set(routes[flow]):
                users[link].discard(flow)
                spare[link] -= level
        # At least one in each turn: whoever has the smallest cap, or is on the fullest link.
        rising -= stopped
    return rates
