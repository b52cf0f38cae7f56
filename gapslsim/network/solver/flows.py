"""What the engine keeps of links, flows and classes of flows."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gapslsim.network.channel import Steps
from gapslsim.network.solver.heap import Heap

__all__ = ["SCALE", "Clock", "Flow", "FlowClass", "Link", "load"]

SCALE = 2.0**60
"""Rates are summed as integers in units of 1/SCALE bit/s, so that adding and removing never drifts."""


class Link:
    """One direction of a cable, or a medium: a capacity that its flows share (or that only caps each of them).

    Args:
        name: unique name.
        capacity: now, bit/s; may be zero or infinite.
        shared: False: every flow is capped at the capacity, whatever the others do.
        steps: later capacities as (time [s], rate [bit/s]), in order of time; read only while the link is in use.
    """

    __slots__ = (
        "capacity", "classes", "contended", "flows", "name", "next_step", "order", "patience", "shared",
        "since_s", "spare", "steps", "used", "version", "weight",
    )  # fmt: skip

    def __init__(self, name: str, capacity: float, shared: bool, steps: Steps | None) -> None:
        self.name = name
        self.capacity = capacity
        self.shared = shared
        self.steps = steps
        self.next_step: tuple[float, float] | None = next(steps, None) if steps is not None else None
        self.flows: dict[Flow, None] = {}
        self.classes: dict[FlowClass, None] = {}
        self.patience = 0
        """Solves of this link's group before a hub is tried (again)."""
        self.contended = False
        """Whether two or more flows are on it, so that it must be shared out."""
        self.order = 0
        self.version = 0
        """Grows whenever its next step is put on, or taken off, the timeline."""
        self.spare = 0.0
        """While solving: capacity [bit/s] that is left to the free flows of classes not yet settled."""
        self.weight = 0
        """While solving: number of those flows."""
        self.since_s = 0.0
        self.used: tuple[float, float, int] | None = None
        """Rate, capacity and flows since `since_s`, where use is recorded."""

    def move_to(self, now_s: float) -> bool:
        """Takes the steps up to now; returns whether the capacity changed."""
        before = self.capacity
        while self.next_step is not None and self.next_step[0] <= now_s:
            self.capacity = self.next_step[1]
            assert self.steps is not None
            self.next_step = next(self.steps, None)
        return self.capacity != before


class Flow:
    """Bits on their way over some links.

    In its class a flow is either free (it runs at the class's level) or held (it runs at its own cap, being slower).
    """

    __slots__ = (
        "cap", "cls", "free", "key", "links", "order", "rest_bit", "since_s", "size_bit", "version",
    )  # fmt: skip

    def __init__(self, links: tuple[Link, ...], size_bit: float) -> None:
        self.links = links
        self.size_bit = size_bit
        self.order = 0
        self.cls: FlowClass | None = None
        self.cap = math.inf
        """Smallest of the capacities that this flow has for itself [bit/s]."""
        self.free = True
        self.key = 0.0
        """Free: service of the class at which the flow ends [bit]."""
        self.rest_bit = size_bit
        """Held or not yet placed: bits left at `since_s`."""
        self.since_s = 0.0
        self.version = 0
        """Grows whenever the flow changes place; entries of older versions in any heap are void."""


def load(flows: Iterable[Flow]) -> float:
    """Rate of several flows together [bit/s]; one that is not placed counts as 0."""
    rate = 0.0
    for flow in flows:
        if flow.cls is not None:
            rate += flow.cls.level if flow.free else flow.cap
    return rate


class Clock:
    """A level and a count of service that classes have in common; see `hub.py`."""

    __slots__ = ("level", "n_free", "served", "since_s")

    def __init__(self, now_s: float) -> None:
        self.level = math.inf
        """Rate of every free flow that it limits [bit/s]."""
        self.served = 0.0
        """Bits that such a flow has received since the clock was made."""
        self.since_s = now_s
        self.n_free = 0

    def move_to(self, now_s: float) -> None:
        """Brings `served` up to now."""
        if self.n_free and now_s != self.since_s:
            self.served += self.level * (now_s - self.since_s)
        self.since_s = now_s


class FlowClass:
    """All flows over the same contended links: they rise together to one level, except those held by their cap.

    `served` is what a free flow of this class has received so far; a flow that joins at served = v with b bits to
    go ends when served = v + b, however the level changes (the virtual time of fair queueing).
    """

    __slots__ = (
        "by_finish", "clock", "free_by_cap", "held", "held_by_cap", "links", "n_flows", "n_free", "newly_held",
        "next_s", "offset", "order", "own_level", "served", "since_s", "version",
    )  # fmt: skip

    def __init__(self, links: tuple[Link, ...], level: float, now_s: float) -> None:
        self.links = links
        self.own_level = level
        """The level, unless a clock has it."""
        self.clock: Clock | None = None
        """Keeps level and served of all classes that it limits in common; `served` is then its own plus `offset`."""
        self.offset = 0.0
        self.served = 0.0
        self.since_s = now_s
        self.n_flows = 0
        self.n_free = 0
        self.held = 0
        """Sum of the held flows' caps [1/SCALE bit/s]."""
        self.by_finish: Heap[Flow] = Heap()
        """Free flows, the one that ends first at the top."""
        self.free_by_cap: Heap[Flow] = Heap()
        """Free flows, the one with the smallest cap at the top."""
        self.held_by_cap: Heap[Flow] = Heap()
        """Held flows, the one with the largest cap at the top."""
        self.newly_held: list[Flow] = []
        """Flows held since the engine last looked; it puts their ends on its timeline."""
        self.next_s = math.inf
        self.order = 0
        self.version = 0

    @property
    def level(self) -> float:
        """Rate of every free flow [bit/s]; infinite where no link of the class is full."""
        return self.own_level if self.clock is None else self.clock.level

    def move_to(self, now_s: float) -> None:
        """Brings `served` up to now."""
        if self.clock is not None:
            self.clock.move_to(now_s)
            self.served = self.clock.served + self.offset
            self.since_s = now_s
            return
        if now_s == self.since_s:
            return
        if self.n_free:
            self.served += self.own_level * (now_s - self.since_s)
        else:  # Nobody's end is counted from it: back to zero, where a float is finest.
            self.served = 0.0
        self.since_s = now_s

    def add_free(self, flow: Flow, rest_bit: float) -> None:
        """Adds a flow that runs at the level. The class has been moved to now."""
        flow.cls, flow.free, flow.version = self, True, flow.version + 1
        flow.key = self.served + rest_bit
        self.n_free += 1
        self.by_finish.push(flow.key, flow)
        if flow.cap < math.inf:
            self.free_by_cap.push(flow.cap, flow)

    def add_held(self, flow: Flow, rest_bit: float) -> None:
        """Adds a flow that runs at its own cap. The class has been moved to now."""
        flow.cls, flow.free, flow.version = self, False, flow.version + 1
        flow.rest_bit, flow.since_s = rest_bit, self.since_s
        self.newly_held.append(flow)
        if self.links:  # Where nothing is shared nobody asks for the sum.
            self.held += int(flow.cap * SCALE)
            self.held_by_cap.push(-flow.cap, flow)

    def take(self, flow: Flow) -> float:
        """Takes a flow out and returns its bits left. The class has been moved to now."""
        flow.version += 1
        if flow.free:
            self.n_free -= 1
            rest = flow.key - self.served
        else:
            if self.links:
                self.held -= int(flow.cap * SCALE)
            rest = flow.rest_bit - flow.cap * (self.since_s - flow.since_s)
        flow.cls = None
        return max(rest, 0.0)  # By rounding it may be just below.
