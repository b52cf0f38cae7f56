"""What the engine keeps of links, flows and classes of flows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gapslsim.network.channel import Steps
from gapslsim.network.solver.heap import Heap

__all__ = ["SCALE", "Clock", "Flow", "FlowClass", "Link", "load"]

SCALE = 2.0**60
"""Rates are summed as integers in units of 1/SCALE bit/s, so that adding and removing never drifts."""


@dataclass(eq=False, slots=True)
class Link:
    """One direction of a cable, or a medium: a capacity that its flows share (or that only caps each of them)."""

    name: str
    """Unique."""
    capacity: float
    """Now [bit/s]; may be zero or infinite."""
    shared: bool
    """False: every flow is capped at the capacity, whatever the others do."""
    steps: Steps | None
    """Later capacities, read only while the link is in use."""
    order: int
    next_step: tuple[float, float] | None = None
    flows: dict[Flow, None] = field(default_factory=dict)
    classes: dict[FlowClass, None] = field(default_factory=dict)
    patience: int = 0
    """Solves of this link's group before a hub is tried (again)."""
    contended: bool = False
    """Whether two or more flows are on it, so that it must be shared out."""
    version: int = 0
    """Grows whenever its next step is put on, or taken off, the timeline."""
    spare: float = 0.0
    """While solving: capacity [bit/s] that is left to the free flows of classes not yet settled."""
    weight: int = 0
    """While solving: number of those flows."""
    since_s: float = 0.0
    used: tuple[float, float, int] | None = None
    """Rate, capacity and flows since `since_s`, where use is recorded."""

    def __post_init__(self) -> None:
        if self.steps is not None:
            self.next_step = next(self.steps, None)

    def move_to(self, now_s: float) -> bool:
        """Takes the steps up to now; returns whether the capacity changed."""
        before = self.capacity
        while self.next_step is not None and self.next_step[0] <= now_s:
            self.capacity = self.next_step[1]
            assert self.steps is not None
            self.next_step = next(self.steps, None)
        return self.capacity != before


@dataclass(eq=False, slots=True)
class Flow:
    """Bits on their way over some links.

    In its class a flow is either free (it runs at the class's level) or held (it runs at its own cap, being slower).
    """

    links: tuple[Link, ...]
    size_bit: float
    order: int = 0
    cls: FlowClass | None = None
    cap: float = math.inf
    """Smallest of the capacities that this flow has for itself [bit/s]."""
    free: bool = True
    key: float = 0.0
    """Free: service of the class at which the flow ends [bit]."""
    rest_bit: float = field(init=False)
    """Held or not yet placed: bits left at `since_s`."""
    since_s: float = 0.0
    version: int = 0
    """Grows whenever the flow changes place; entries of older versions in any heap are void."""

    def __post_init__(self) -> None:
        self.rest_bit = self.size_bit


def load(flows: Iterable[Flow]) -> float:
    """Rate of several flows together [bit/s]; one that is not placed counts as 0."""
    rate = 0.0
    for flow in flows:
        if flow.cls is not None:
            rate += flow.cls.level if flow.free else flow.cap
    return rate


@dataclass(eq=False, slots=True)
class Clock:
    """A level and a count of service that classes have in common; see `hub.py`."""

    since_s: float
    level: float = math.inf
    """Rate of every free flow that it limits [bit/s]."""
    served: float = 0.0
    """Bits that such a flow has received since the clock was made."""
    n_free: int = 0

    def move_to(self, now_s: float) -> None:
        """Brings `served` up to now."""
        if self.n_free and now_s != self.since_s:
            self.served += self.level * (now_s - self.since_s)
        self.since_s = now_s


@dataclass(eq=False, slots=True)
class FlowClass:
    """All flows over the same contended links: they rise together to one level, except those held by their cap.

    `served` is what a free flow of this class has received so far; a flow that joins at served = v with b bits to
    go ends when served = v + b, however the level changes (the virtual time of fair queueing).
    """

    links: tuple[Link, ...]
    own_level: float
    """The level, unless a clock has it."""
    since_s: float
    order: int
    clock: Clock | None = None
    """Keeps level and served of all classes that it limits in common; `served` is then its own plus `offset`."""
    offset: float = 0.0
    served: float = 0.0
    n_flows: int = 0
    n_free: int = 0
    held: int = 0
    """Sum of the held flows' caps [1/SCALE bit/s]."""
    by_finish: Heap[Flow] = field(default_factory=Heap)
    """Free flows, the one that ends first at the top."""
    free_by_cap: Heap[Flow] = field(default_factory=Heap)
    """Free flows, the one with the smallest cap at the top."""
    held_by_cap: Heap[Flow] = field(default_factory=Heap)
    """Held flows, the one with the largest cap at the top."""
    newly_held: list[Flow] = field(default_factory=list)
    """Flows held since the engine last looked; it puts their ends on its timeline."""
    next_s: float = math.inf
    version: int = 0

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
