"""The flow engine: how long transfers take on shared links, solved from event to event without time steps.

It knows nothing of SimPy: the caller tells it the time, starts and stops flows, and asks when the next one ends.
Cost: one re-solve per instant at which anything starts, ends or changes, and only for the classes that are joined by
contended links to what changed. On one contended link (a star's backhaul) a re-solve costs O(log N) for N flows.
"""

from __future__ import annotations

import math
from heapq import heappop
from itertools import count

from gapslsim.network.channel import Steps
from gapslsim.network.solver.flows import SCALE, Flow, FlowClass, Link
from gapslsim.network.solver.heap import Heap
from gapslsim.network.solver.hub import Hub, fits_hub
from gapslsim.network.solver.link_use import LinkUse
from gapslsim.network.solver.sharing import NEARLY, component, level_classes
from gapslsim.tables.rows import Rows

__all__ = ["FlowEngine"]

_ENDLESS_BIT_PER_S = 1e30
"""Rate of a flow that nothing limits."""
_HUB_FROM = 8
"""A group of links around one is kept solved from event to event if it has at least this many classes."""
_ULPS = 8 * 2.0**-52
"""Events closer together than this times the time itself are at one instant."""


class FlowEngine:
    """Flows over links under max-min fairness with caps, and capacities that are piecewise constant in time.

    Call `start` and `stop` as things happen, then `solve`; sleep until `next_s`; then `advance`, which
    returns the flows that have ended, and again `solve`.
    """

    def __init__(self, record: bool = False) -> None:
        self.now_s = 0.0
        self._use = LinkUse(record)
        self._orders = count()
        self._classes: dict[tuple[Link, ...], FlowClass] = {}
        self._timeline: Heap[Flow | FlowClass | Link | Hub] = Heap()
        self._hubs: dict[Link, Hub] = {}
        """Links that belong to a group that is kept solved."""
        self._to_place: dict[Flow, None] = {}
        self._touched: dict[Link, None] = {}
        self._stale: dict[Link, None] = {}
        """Contended links whose classes must be re-solved."""
        self._replaced = False
        """Whether flows have changed their class since the last solve, and with it perhaps their rate."""

    def add_link(self, name: str, capacity: float, shared: bool = True, steps: Steps | None = None) -> Link:
        """Makes a link; `steps` are its later capacities, read only while flows are on it."""
        return Link(name, capacity, shared, steps, next(self._orders))

    def capacity_bit_per_s(self, link: Link) -> float:
        """Capacity of a link now; the steps of one that is idle are taken only here and when a flow comes."""
        if not link.flows:
            link.move_to(self.now_s)
        return link.capacity

    def start(self, flow: Flow) -> None:
        """Lets a flow join the sharing now."""
        flow.order = next(self._orders)
        touched = self._touched
        for link in flow.links:
            # Steps of an idle link are not on the timeline, so that endless channels cost nothing while unused.
            if link.next_step is not None and not link.flows:
                link.move_to(self.now_s)
                self._watch(link)
            link.flows[flow] = touched[link] = None
        self._to_place[flow] = None

    def stop(self, flow: Flow) -> float:
        """Takes a flow out now and returns the bits it had left."""
        rest = flow.rest_bit
        self._to_place.pop(flow, None)
        if flow.cls is not None:
            rest = self._leave(flow)
        for link in flow.links:
            flows = link.flows
            if flow in flows:
                del flows[flow]
                self._touched[link] = None
                if not flows:  # Its next step leaves the timeline.
                    link.version += 1
        return rest

    def rest_bit(self, flow: Flow) -> float:
        """Bits that a flow has left now."""
        if flow.cls is None:
            return flow.rest_bit
        if not flow.free:
            return max(flow.rest_bit - flow.cap * (self.now_s - flow.since_s), 0.0)
        flow.cls.move_to(self.now_s)
        return max(flow.key - flow.cls.served, 0.0)

    def next_s(self) -> float:
        """When the next flow ends or capacity changes, as things stand; infinite if never."""
        return math.inf if self._timeline.top() is None else self._timeline[0][0]

    def advance(self, now_s: float) -> list[Flow]:
        """Moves to `now_s` (at most `next_s()`) and takes the steps due; returns the flows that ended, in order."""
        self.now_s = now_s
        # Flows of equal size on equal shares end at one instant but for rounding; apart, each would cost a solve.
        slack = now_s + _ULPS * now_s
        ended: list[Flow] = []
        timeline = self._timeline
        while (what := timeline.top()) is not None and timeline[0][0] <= slack:
            heappop(timeline)
            if isinstance(what, Flow):
                ended.append(what)
                self._end(what)
            elif isinstance(what, FlowClass):
                self._end_class(what, ended)
            elif isinstance(what, Hub):
                self._end_hub(what, ended)
            else:
                if what.move_to(slack):
                    self._capacity_changed(what)
                self._watch(what)
        if len(ended) > 1:  # Rounding must not decide who is served first.
            ended.sort(key=lambda flow: flow.order)
        return ended

    def solve(self) -> None:
        """Shares the links out anew, wherever something changed since the last call."""
        if self._touched or self._to_place:
            self._place()
        if self._hubs:
            self._solve_hubs()
        while self._stale:
            start = next(iter(self._stale))
            if not self._has_room(start):
                self._solve_around(start)
        self._replaced = False
        self._use.note(self.now_s)

    def _solve_around(self, start: Link) -> None:
        """Solves the classes that are joined to a link by contended links."""
        links, classes = component(start)
        for cls in classes:
            cls.move_to(self.now_s)
        levels, other_rates = level_classes(links, classes)
        for cls, level in levels.items():
            other_rates |= level != cls.own_level and cls.n_free > 0
            cls.own_level = level
            self._expect(cls)
        for link in links:
            self._stale.pop(link, None)
        if other_rates or self._replaced:
            self._use.look_around(links)
        if len(classes) >= _HUB_FROM:
            self._try_hub(links, classes)

    def _has_room(self, link: Link) -> bool:
        """Whether the one class on a link has only held flows, for all of which its links have room: it is solved."""
        if len(link.classes) != 1:
            return False
        (cls,) = link.classes
        if cls.n_free or cls.clock is not None:
            return False
        held = cls.held / SCALE
        for other in cls.links:
            if len(other.classes) != 1 or other.capacity - held < -NEARLY * other.capacity:
                return False
        cls.move_to(self.now_s)
        cls.own_level = math.inf
        self._expect(cls)
        for other in cls.links:
            self._stale.pop(other, None)
        if self._replaced:
            self._use.look_around(cls.links)
        return True

    def link_use(self) -> Rows:
        """Load of every link while flows were on it, closed up to now; empty where it is not recorded."""
        self._use.close(self.now_s)
        return self._use.rows

    def _end(self, flow: Flow) -> None:
        self.stop(flow)
        flow.rest_bit = 0.0

    def _end_class(self, cls: FlowClass, ended: list[Flow]) -> None:
        """Ends every free flow of a class whose service is complete, to rounding."""
        cls.move_to(self.now_s)
        slack = _ULPS * (cls.served + cls.level * self.now_s)
        cls.next_s = math.inf
        # The first one's time has come, so it ends even where rounding leaves it a bit: else time would stand still.
        first = cls.by_finish.top()
        limit = cls.served + slack if first is None else max(first.key, cls.served + slack)
        while (flow := cls.by_finish.top()) is not None and flow.key <= limit:
            ended.append(flow)
            self._end(flow)

    def _end_hub(self, hub: Hub, ended: list[Flow]) -> None:
        """Ends the flows of classes limited by a hub whose service is complete."""
        hub.move_to(self.now_s)
        limit = hub.served + _ULPS * (hub.served + hub.level * self.now_s)
        hub.next_s = math.inf
        first = hub.first_end()
        if first is not None:  # As in a class: the first one ends even where rounding leaves it a bit.
            limit = max(first[0], limit)
        while (end := hub.first_end()) is not None and end[0] <= limit:
            hub.pop_end()
            self._end_class(end[1], ended)

    def _solve_hubs(self) -> None:
        """Solves the groups of links that are kept solved, of the links that are stale."""
        hubs: dict[Hub, None] = {}
        for link in [link for link in self._stale if link in self._hubs]:
            hub = self._hubs[link]
            del self._stale[link]
            hubs[hub] = None
            if link is not hub.link:
                hub.dirty.update(link.classes)
        for hub in hubs:
            self._solve_hub(hub)

    def _solve_hub(self, hub: Hub) -> None:
        if not hub.solve(self.now_s):
            hub.dissolve(self.now_s)
            self._stale[hub.link] = None
            return
        for cls in hub.touched:
            self._expect(cls)
        hub.touched.clear()
        end = hub.first_end()
        hub.next_s = math.inf
        if end is not None:
            hub.next_s = self.now_s + _seconds(max(end[0] - hub.served, 0.0), hub.level)
        hub.version += 1
        if hub.next_s < math.inf:
            self._timeline.push(hub.next_s, hub)
        self._use.look_around((hub.link,))

    def _try_hub(self, links: dict[Link, None], classes: dict[FlowClass, None]) -> None:
        """Keeps a group of links solved from now on, if it lies around one."""
        center = max(links, key=lambda link: len(link.classes))
        if len(center.classes) < len(classes):  # Some class does not take it: the group is no star.
            return
        if center.patience > 0:
            center.patience -= 1
            return
        if all(fits_hub(cls, center) for cls in classes):
            hub = Hub(self.now_s, link=center, order=next(self._orders), hubs=self._hubs)
            for cls in classes:
                hub.add(cls)
            self._solve_hub(hub)

    def _admit(self, cls: FlowClass) -> None:
        """Puts a new class into the group of links that it belongs to, or gives groups up that it joins together."""
        hubs = dict.fromkeys(self._hubs[link] for link in cls.links if link in self._hubs)
        for hub in hubs:
            if len(hubs) == 1 and hub.link in cls.links and fits_hub(cls, hub.link):
                hub.add(cls)
            else:
                hub.dissolve(self.now_s)
                self._stale[hub.link] = None

    def _watch(self, link: Link) -> None:
        """Puts the next step of a link that is in use on the timeline."""
        link.version += 1
        if link.next_step is not None:
            self._timeline.push(link.next_step[0], link)

    def _capacity_changed(self, link: Link) -> None:
        self._touched[link] = None
        if link.contended:
            self._stale[link] = None
        else:
            self._to_place.update(dict.fromkeys(link.flows))

    def _place(self) -> None:
        """Puts new flows, and flows whose contended links or caps changed, into their classes."""
        for link in self._touched:
            contended = link.shared and len(link.flows) > 1 and link.capacity < math.inf
            # A lone flow needs no sharing, only a cap: most access links are never solved.
            if contended != link.contended:
                link.contended = contended
                self._stale.pop(link, None)
                self._to_place.update(dict.fromkeys(link.flows))
        self._use.look(self._touched)
        self._touched.clear()
        for flow in self._to_place:
            if flow.cls is None:
                self._join(flow, flow.rest_bit)
            else:
                self._replaced = True
                self._join(flow, self._leave(flow))
        self._to_place.clear()

    def _join(self, flow: Flow, rest_bit: float) -> None:
        cap = math.inf
        contended = []
        for link in flow.links:
            if link.contended:
                contended.append(link)
            elif link.capacity < cap:
                cap = link.capacity
        flow.cap = cap
        key = tuple(contended)
        cls = self._classes.get(key)
        if cls is None:
            # A guess, so that few flows are held or free that should not be: `level_classes` has to move those.
            level = min((link.capacity / len(link.flows) for link in key), default=math.inf)
            cls = self._classes[key] = FlowClass(key, level, self.now_s, next(self._orders))
            for link in key:
                link.classes[cls] = None
            self._admit(cls)
        cls.move_to(self.now_s)
        cls.n_flows += 1
        if not key:  # Nothing is shared: the rate is known, and no solve will come to this class.
            flow.cap = cap = min(cap, _ENDLESS_BIT_PER_S)
            cls.add_held(flow, rest_bit)
            self._expect(cls)
            self._use.look(flow.links)
        elif cap <= cls.level and cap < math.inf:
            cls.add_held(flow, rest_bit)
        else:
            cls.add_free(flow, rest_bit)
        self._mark(cls)

    def _leave(self, flow: Flow) -> float:
        cls = flow.cls
        assert cls is not None
        cls.move_to(self.now_s)
        rest = flow.rest_bit = cls.take(flow)
        cls.n_flows -= 1
        self._mark(cls)
        if not cls.n_flows:
            cls.version += 1
            del self._classes[cls.links]
            hub = next((self._hubs[link] for link in cls.links if link in self._hubs), None)
            if hub is not None:
                hub.remove(cls)
            for link in cls.links:
                del link.classes[cls]
                if not link.classes:
                    self._stale.pop(link, None)
        return rest

    def _mark(self, cls: FlowClass) -> None:
        """Notes that the flows of a class have changed."""
        hubs = self._hubs
        for link in cls.links:
            if link.contended:
                self._stale[link] = None
            if hubs and link in hubs:
                hubs[link].dirty[cls] = None

    def _expect(self, cls: FlowClass) -> None:
        """Puts the ends of a class's flows on the timeline: of the first free one, and of all that were newly held."""
        for flow in cls.newly_held:
            if flow.cls is cls and not flow.free:
                end_s = self.now_s if flow.rest_bit <= 0 else flow.since_s + _seconds(flow.rest_bit, flow.cap)
                if end_s < math.inf:
                    self._timeline.push(end_s, flow)
        cls.newly_held.clear()
        if cls.clock is not None:  # Its hub is on the timeline for it.
            return
        first = cls.by_finish.top()
        next_s = math.inf
        if first is not None:
            rest = first.key - cls.served
            next_s = self.now_s if rest <= 0 else cls.since_s + _seconds(rest, cls.level)
        if next_s != cls.next_s:
            cls.next_s = next_s
            cls.version += 1
            if next_s < math.inf:
                self._timeline.push(next_s, cls)


def _seconds(bits: float, rate_bit_per_s: float) -> float:
    return bits / rate_bit_per_s if rate_bit_per_s > 0 else math.inf
