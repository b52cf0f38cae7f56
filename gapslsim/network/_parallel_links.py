"""Several links between the same two nodes, as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from gapslsim.errors import NetworkError
from gapslsim.network._graph_links import GraphLink
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant

__all__ = ["Parallel", "merged"]

Parallel = Literal["error", "first", "sum"]


def merged(links: Iterable[GraphLink], how: Parallel) -> list[GraphLink]:
    """One link for each pair of nodes and way of use; all as they are for `error`, which whoever adds them refuses.

    Raises:
        NetworkError: for a sum of rates that vary.
    """
    if how == "error":
        return list(links)
    groups: dict[tuple[object, ...], list[GraphLink]] = {}
    for link in links:
        ends = link.between if link.duplex == "one_way" else tuple(sorted(link.between))
        groups.setdefault((ends, link.duplex == "one_way"), []).append(link)
    return [group[0] if how == "first" or len(group) == 1 else _sum(group) for group in groups.values()]


def _sum(group: Sequence[GraphLink]) -> GraphLink:
    """One link with the rates of all in each direction, and the longest latency: a message is spread over them."""
    first = group[0]
    if len({(link.duplex, link.shared) for link in group}) > 1:
        raise NetworkError(
            f"Links between {first.between} differ in duplex or shared; parallel: sum needs them alike."
        )
    forth = [link.rate if link.between == first.between else link.rate_back or link.rate for link in group]
    back = [link.rate_back or link.rate if link.between == first.between else link.rate for link in group]
    there, again = _total(forth, first), _total(back, first)
    rate_back = again if first.duplex == "full" and again != there else None
    latency = max((link.latency for link in group), key=lambda one: one.mean_s)
    return replace(first, rate=there, rate_back=rate_back, latency=latency)


def _total(rates: Sequence[Channel | None], link: GraphLink) -> Channel | None:
    if None in rates:
        return None
    constants = [rate.constant_bit_per_s for rate in rates if rate is not None]
    if None in constants:
        raise NetworkError(
            f"Links between {link.between} vary over time and have no sum; say parallel: first, or leave one out."
        )
    return Constant(rate=sum(filter(None, constants)))
