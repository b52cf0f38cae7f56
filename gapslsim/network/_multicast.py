"""Broadcasts: the tree of routes to many targets, cut into segments that each carry the message once.

Rule. The routes from a source to its targets form a tree. A segment is a stretch of it that serves the same targets.
Every segment carries the message once, as one flow with its own max-min fair share; a branch point passes bytes on
as they come and keeps a copy for slower branches, so segments run side by side. A target has the message when the
slowest segment on its path has carried the last byte and the rest of the path's latency has passed. With one target
this is the same as sending. Approximation: a branch may use its link before the bytes have come from above, which
moves its load to earlier times but not its target's arrival (that waits for the segment above in any case).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gapslsim.network._routes import LinkSpec, Route

__all__ = ["Segment", "segments"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive links that serve the same targets."""

    links: tuple[LinkSpec, ...]
    targets: tuple[int, ...]
    """Positions in the list of targets."""
    start_s: float
    """Latency from the source to the segment's end: its flow joins the sharing that much after submission."""
    rest_s: tuple[float, ...]
    """Latency from its end to each of its targets."""
    path: tuple[LinkSpec, ...]
    """Those whose latencies are in `start_s`."""
    rest: tuple[tuple[LinkSpec, ...], ...]
    """Those whose latencies are in `rest_s`."""


def segments(routes: Sequence[Route]) -> list[Segment]:
    """Cuts the tree of routes into segments, in the order in which a walk from the source meets them."""
    # A node that sends to itself is a target without links.
    found = [_segment(routes, [index], 0, 0) for index, route in enumerate(routes) if not route.links]
    pending: list[tuple[list[int], int]] = [(list(range(len(routes))), 0)]
    while pending:
        members, depth = pending.pop()
        groups: dict[LinkSpec, list[int]] = {}
        for index in members:
            if len(routes[index].links) > depth:
                groups.setdefault(routes[index].links[depth], []).append(index)
        below: list[tuple[list[int], int]] = []
        for group in groups.values():
            end = depth + 1
            while all(len(routes[index].links) > end for index in group) and (
                len({routes[index].links[end] for index in group}) == 1
            ):
                end += 1
            found.append(_segment(routes, group, depth, end))
            if len(group) > 1:
                below.append((group, end))
        pending += reversed(below)
    return found


def _segment(routes: Sequence[Route], group: list[int], begin: int, end: int) -> Segment:
    links = routes[group[0]].links
    to_end_s = sum(link.latency_s for link in links[:end])
    rest = tuple(max(routes[index].latency_s - to_end_s, 0.0) for index in group)
    if len(group) == 1:
        return Segment(links[begin:end], tuple(group), to_end_s + rest[0], (0.0,), links, ((),))
    behind = tuple(routes[index].links[end:] for index in group)
    return Segment(links[begin:end], tuple(group), to_end_s, rest, links[:end], behind)
