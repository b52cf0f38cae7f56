"""Solves the levels of a set of classes: max-min fairness as a search for the right held flows.

Given which flows are held by their caps, the levels follow by filling the links one after the other. Given the
levels, flows with a smaller cap must be held and held flows with a larger cap let go. When neither step changes
anything, every flow is limited by its cap or by a full link on which no flow is faster: that is the max-min fair
allocation, which is unique [bertsekas1992, section 6.5.2]. Starting from the previous solution few flows move.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from heapq import heapify, heappop, heapreplace

from gapslsim.network.solver.flows import SCALE, FlowClass, Link
from gapslsim.network.solver.maxmin import fair_rates

__all__ = ["NEARLY", "component", "fair_share", "level_classes", "settle"]

NEARLY = 1e-12
"""Relative slack of comparisons: a held flow is let go only when its cap is above the level by more than this."""
_ROUNDS = 60
"""Rounds before the search gives up and the textbook method is asked (not seen to happen on trees)."""


def component(start: Link) -> tuple[dict[Link, None], dict[FlowClass, None]]:
    """All links and classes that are joined to a link by contended links."""
    links: dict[Link, None] = {start: None}
    classes: dict[FlowClass, None] = {}
    queue = [start]
    while queue:
        for cls in queue.pop().classes:
            if cls not in classes:
                classes[cls] = None
                for link in cls.links:
                    if link not in links:
                        links[link] = None
                        queue.append(link)
    return links, classes


def level_classes(
    links: Collection[Link], classes: Collection[FlowClass]
) -> tuple[dict[FlowClass, float], bool]:
    """Levels of classes that share links with each other and with no other class, and whether flows were moved.

    Args:
        links: all contended links of the classes.
        classes: a connected component, moved to now.
    """
    has_moved = False
    fill = _fill_alone if len(links) == len(classes) == 1 else _fill
    for _ in range(_ROUNDS):
        levels, full = fill(links, classes)
        moved = False
        for link, served in full:
            moved |= settle(link, served)
        for cls in classes:
            if levels[cls] == math.inf:  # No link limits it, so only its flows' own caps can.
                moved |= _hold_below(cls, math.inf)
        if not moved:
            return levels, has_moved
        has_moved = True
    return _textbook(links, classes), True


def _fill_alone(
    links: Collection[Link], classes: Collection[FlowClass]
) -> tuple[dict[FlowClass, float], list[tuple[Link, list[FlowClass]]]]:
    """As `_fill`, for one link and the one class on it; a link on which no flow has to move is not named as full."""
    (link,), (cls,) = links, classes
    link.spare, link.weight = link.capacity - cls.held / SCALE, cls.n_free
    share = fair_share(link.spare, link.weight, link.capacity)
    if share == math.inf:
        return {cls: share}, []
    held, free = cls.held_by_cap.top(), cls.free_by_cap.top()
    settled = (held is None or held.cap <= share) and (free is None or free.cap > share)
    return {cls: max(share, 0.0)}, [] if settled else [(link, [cls])]


def _fill(
    links: Collection[Link], classes: Collection[FlowClass]
) -> tuple[dict[FlowClass, float], list[tuple[Link, list[FlowClass]]]]:
    """Levels for the flows held as they are, and the full links with the classes that each limits."""
    heap: list[tuple[float, int, Link]] = []
    for link in links:
        held = weight = 0
        for cls in link.classes:
            held += cls.held
            weight += cls.n_free
        link.spare = link.capacity - held / SCALE
        link.weight = weight
        share = fair_share(link.spare, weight, link.capacity)
        if share < math.inf:
            heap.append((share, link.order, link))
    heapify(heap)
    levels: dict[FlowClass, float] = dict.fromkeys(classes, math.inf)
    open_classes = set(classes)
    full: list[tuple[Link, list[FlowClass]]] = []
    while heap and open_classes:
        key, order, link = heap[0]
        share = fair_share(link.spare, link.weight, link.capacity)
        # Settled classes took less than their part here: the share of a link only ever rises.
        if share > key:
            heapreplace(heap, (share, order, link))
            continue
        heappop(heap)
        limited = [cls for cls in link.classes if cls in open_classes]
        if not limited:
            continue
        full.append((link, limited))
        level = max(share, 0.0)  # Too many are held here: `settle` lets some go, from a level of zero.
        for cls in limited:
            levels[cls] = level
            open_classes.discard(cls)
            for other in cls.links:
                if other is not link:
                    other.weight -= cls.n_free
                    other.spare -= cls.n_free * level
    return levels, full


def fair_share(spare: float, weight: int, capacity: float) -> float:
    """Level of the free flows on a link [bit/s]; infinite without any, -inf if the held ones alone are too many."""
    if weight:
        return spare / weight
    return math.inf if spare >= -NEARLY * capacity else -math.inf


def settle(link: Link, limited: list[FlowClass]) -> bool:
    """Finds which flows of the classes limited by one link are held, the rest of the link being as it is."""
    spare, weight = link.spare, link.weight
    moved = False
    # From the fastest held flow down: as each is let go the share rises, and stays below its cap.
    heap = [(-flow.cap, cls.order, cls) for cls in limited if (flow := cls.held_by_cap.top()) is not None]
    heapify(heap)
    while heap:
        cap, order, cls = heap[0]
        share = fair_share(spare, weight, link.capacity)
        # Letting go of a flow that is held at zero gives nothing back, however short the link is.
        if -cap <= share * (1 + NEARLY) or (share < 0 and cap == 0):
            break
        flow = cls.held_by_cap.top()
        assert flow is not None
        cls.add_free(flow, cls.take(flow))
        spare += flow.cap
        weight += 1
        moved = True
        following = cls.held_by_cap.top()
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (-following.cap, order, cls))
    # From the slowest free flow up: as each is held the share rises further, and stays above its cap.
    heap = [(flow.cap, cls.order, cls) for cls in limited if (flow := cls.free_by_cap.top()) is not None]
    heapify(heap)
    while heap and weight:
        cap, order, cls = heap[0]
        if cap > spare / weight:
            break
        flow = cls.free_by_cap.top()
        assert flow is not None
        cls.add_held(flow, cls.take(flow))
        spare -= cap
        weight -= 1
        moved = True
        following = cls.free_by_cap.top()
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (following.cap, order, cls))
    return moved


def _hold_below(cls: FlowClass, level: float) -> bool:
    """Holds every free flow whose cap is finite and at most the level."""
    moved = False
    while (flow := cls.free_by_cap.top()) is not None and flow.cap <= level:
        cls.add_held(flow, cls.take(flow))
        moved = True
    return moved


def _let_go_above(cls: FlowClass, level: float) -> bool:
    """Frees every held flow whose cap is above the level."""
    moved = False
    while (flow := cls.held_by_cap.top()) is not None and flow.cap > level * (1 + NEARLY):
        cls.add_free(flow, cls.take(flow))
        moved = True
    return moved


def _textbook(links: Collection[Link], classes: Collection[FlowClass]) -> dict[FlowClass, float]:
    """Levels by progressive filling over single flows; slow and sure."""
    index = {link: i for i, link in enumerate(links)}
    flows = list(dict.fromkeys(flow for link in links for flow in link.flows if flow.cls in classes))
    rates = fair_rates(
        [link.capacity for link in links],
        [[index[link] for link in flow.cls.links] for flow in flows if flow.cls is not None],
        [flow.cap for flow in flows],
    )
    levels: dict[FlowClass, float] = dict.fromkeys(classes, math.inf)
    for flow, rate in zip(flows, rates, strict=True):
        if flow.cls is not None and rate < flow.cap:
            levels[flow.cls] = rate
    for cls, level in levels.items():
        _let_go_above(cls, level)
        _hold_below(cls, level)
    return levels
