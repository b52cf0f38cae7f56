"""Many links around one: keeps the solution from event to event, so that an event costs O(log N) and not O(classes).

The common case of many access points behind one backhaul. Every class takes the hub, and at most one link besides,
a leaf, that no other class takes. A class is then limited by the hub (all such classes have one level and one count
of service in common) or by its leaf. The load of the hub as a function of its level x is the sum over classes of
min(d_k(x), capacity of the leaf), with d_k(x) the sum of min(cap, x) over the class's flows: concave and piecewise
linear. Its breakpoints (caps of flows, levels at which leaves fill up) are kept in heaps, and the new level is found by
walking from the old one over the breakpoints in between, of which there are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from heapq import heappop

from gapslsim.network.solver.flows import SCALE, Clock, FlowClass, Link
from gapslsim.network.solver.heap import Heap
from gapslsim.network.solver.sharing import NEARLY, fair_share, settle

__all__ = ["Hub", "fits_hub"]


@dataclass(eq=False, slots=True)
class _Member:
    """What the hub's sums hold of one class."""

    cls: FlowClass
    leaf: Link | None
    order: int
    leaf_level: float = math.inf
    """Level at which the leaf limits the class; infinite while the hub does."""
    n_free: int = 0
    held: int = 0
    version: int = 0


@dataclass(eq=False, slots=True)
class Hub(Clock):
    """The links around one link and their classes, solved together; in the engine's timeline by its next end."""

    link: Link = field(kw_only=True)
    order: int = field(kw_only=True)
    hubs: dict[Link, Hub] = field(kw_only=True)
    """The hub that keeps a link solved, of all links that one does."""
    held: int = 0
    """Load that does not change with the level [1/SCALE bit/s]: held flows, and full leaves."""
    dirty: dict[FlowClass, None] = field(default_factory=dict)
    """Classes whose flows or leaf changed since the last solve."""
    touched: dict[FlowClass, None] = field(default_factory=dict)
    """Classes that the last solve looked at; their ends may be new."""
    next_s: float = math.inf
    version: int = 0
    _members: dict[FlowClass, _Member] = field(default_factory=dict)
    _held_caps: Heap[_Member] = field(default_factory=Heap)
    _free_caps: Heap[_Member] = field(default_factory=Heap)
    _full_leaves: Heap[_Member] = field(default_factory=Heap)
    _leaf_limits: Heap[_Member] = field(default_factory=Heap)
    _ends: Heap[_Member] = field(default_factory=Heap)

    def __post_init__(self) -> None:
        self.hubs[self.link] = self

    def add(self, cls: FlowClass) -> None:
        """Takes a class in, limited by the hub until the next solve says otherwise. It has been moved to now."""
        leaf = next((link for link in cls.links if link is not self.link), None)
        self._members[cls] = _Member(cls, leaf, cls.order)
        if leaf is not None:
            self.hubs[leaf] = self
        self._attach(cls)
        self.dirty[cls] = None

    def remove(self, cls: FlowClass) -> None:
        """Lets a class go that has no flows any more."""
        member = self._members.pop(cls)
        self._uncount(member)
        member.version += 1
        self.dirty.pop(cls, None)
        self.touched.pop(cls, None)
        if member.leaf is not None:
            del self.hubs[member.leaf]
        cls.clock = None
        if not self._members:
            del self.hubs[self.link]
            self.version += 1

    def dissolve(self, now_s: float) -> None:
        """Gives every class a level and count of its own again, and the links their freedom."""
        for cls, member in self._members.items():
            if cls.clock is self:
                self._detach(cls, now_s)
            if member.leaf is not None:
                del self.hubs[member.leaf]
        del self.hubs[self.link]
        # Making a hub costs as much as some solves without one: a shape that keeps breaking must not pay it each time.
        self.link.patience = 2 * len(self._members)
        self.version += 1

    def solve(self, now_s: float) -> bool:
        """Finds the new level; False if the walk does not end (then the hub must be dissolved)."""
        self.move_to(now_s)
        for cls in self.dirty:
            if cls.clock is None:
                self._refill_leaf(cls, now_s)
            self._count(cls)
        self.dirty.clear()
        # Each step passes one breakpoint, so few are needed; rounding could let two breakpoints send a flow to and fro.
        limit = 1000 + 8 * len(self.link.flows)
        for _ in range(limit):
            if not self._step_down(now_s):
                break
        for _ in range(limit):
            if not self._step_up(now_s):
                break
        else:
            return False
        self.level = self._share()
        # Below 0 held flows and full leaves alone are too many: the walk has missed something..
        return self.level >= 0

    def first_end(self) -> tuple[float, FlowClass] | None:
        """Service at which the next flow of a class limited by the hub ends, and the class."""
        member = self._ends.top()
        return None if member is None else (self._ends[0][0], member.cls)

    def pop_end(self) -> None:
        """Takes the first end away; the class is counted anew at the next solve."""
        heappop(self._ends)

    def _share(self) -> float:
        spare = self.link.capacity - self.held / SCALE
        return fair_share(spare, self.n_free, self.link.capacity)

    def _step_down(self, now_s: float) -> bool:
        """Passes the highest breakpoint above the share: lets a held flow go, or takes a class from its leaf."""
        share = self._share()
        held, full = self._held_caps.top(), self._full_leaves.top()
        cap = -self._held_caps[0][0] if held is not None else -math.inf
        level = -self._full_leaves[0][0] if full is not None else -math.inf
        # Only breakpoints clearly above the share are passed: at equality `_step_up` would pass them back.
        if max(cap, level) <= share * (1 + NEARLY) or max(cap, level) <= 0:
            return False
        if cap >= level:
            assert held is not None
            cls = held.cls
            cls.move_to(now_s)
            flow = cls.held_by_cap.top()
            assert flow is not None
            cls.add_free(flow, cls.take(flow))
        else:
            assert full is not None
            cls = full.cls
            cls.move_to(now_s)
            self._uncount(full)
            full.leaf_level = math.inf
            self._attach(cls)
        self._count(cls)
        return True

    def _step_up(self, now_s: float) -> bool:
        """Passes the lowest breakpoint below the share: holds a free flow, or gives a class to its leaf."""
        share = self._share()
        free, limited = self._free_caps.top(), self._leaf_limits.top()
        cap = self._free_caps[0][0] if free is not None else math.inf
        level = self._leaf_limits[0][0] if limited is not None else math.inf
        if cap <= share and cap <= level and free is not None:
            cls = free.cls
            cls.move_to(now_s)
            flow = cls.free_by_cap.top()
            assert flow is not None
            cls.add_held(flow, cls.take(flow))
        elif limited is not None and level < share * (1 - NEARLY):
            cls = limited.cls
            self._detach(cls, now_s)
            self._refill_leaf(cls, now_s)
        else:
            return False
        self._count(cls)
        return True

    def _refill_leaf(self, cls: FlowClass, now_s: float) -> None:
        """Level of a class on its own leaf; it goes back to the hub if the leaf is no longer full."""
        member = self._members[cls]
        leaf = member.leaf
        assert leaf is not None
        cls.move_to(now_s)
        level = math.inf
        for _ in range(3):  # Once is enough but for rounding.
            leaf.spare = leaf.capacity - cls.held / SCALE
            leaf.weight = cls.n_free
            level = leaf.spare / leaf.weight if leaf.weight else math.inf
            if not settle(leaf, [cls]):
                break
        self._uncount(member)
        if level == math.inf:
            member.leaf_level = math.inf
            self._attach(cls)
        else:
            cls.own_level = member.leaf_level = max(level, 0.0)

    def _attach(self, cls: FlowClass) -> None:
        # The count goes on where it was, so that the class's heap of ends stays valid as it is.
        cls.offset = cls.served - self.served
        cls.clock = self
        cls.next_s = math.inf
        cls.version += 1

    def _detach(self, cls: FlowClass, now_s: float) -> None:
        cls.move_to(now_s)
        cls.clock = None
        cls.own_level = self.level

    def _uncount(self, member: _Member) -> None:
        self.n_free -= member.n_free
        self.held -= member.held
        member.n_free = member.held = 0

    def _count(self, cls: FlowClass) -> None:
        """Brings the hub's sums and heaps up to date with one class."""
        member = self._members[cls]
        self._uncount(member)
        member.version += 1
        self.touched[cls] = None
        if cls.clock is None:
            assert member.leaf is not None
            # A full leaf loads the hub with its capacity, whatever the level is.
            member.held = int(member.leaf.capacity * SCALE)
            self._full_leaves.push(-member.leaf_level, member)
        else:
            member.n_free, member.held = cls.n_free, cls.held
            if (flow := cls.held_by_cap.top()) is not None:
                self._held_caps.push(-flow.cap, member)
            if (flow := cls.free_by_cap.top()) is not None:
                self._free_caps.push(flow.cap, member)
            if (flow := cls.by_finish.top()) is not None:
                self._ends.push(flow.key - cls.offset, member)
            if member.leaf is not None:
                spare = member.leaf.capacity - cls.held / SCALE
                if cls.n_free or spare < -NEARLY * member.leaf.capacity:
                    # With a full leaf and no free flow there is no level at which it is not full.
                    limit = spare / cls.n_free if cls.n_free else -math.inf
                    self._leaf_limits.push(limit, member)
        self.n_free += member.n_free
        self.held += member.held


def fits_hub(cls: FlowClass, hub: Link) -> bool:
    """Whether a class takes the hub, and besides at most one link that it has for itself."""
    others = [link for link in cls.links if link is not hub]
    return len(others) == len(cls.links) - 1 <= 1 and all(len(link.classes) == 1 for link in others)
