"""Who is there: the changes of each node's presence on the clock, and who hears of them.

A node that is always there has no `Presence`, and costs nothing. Of the others, changes are looked up when somebody
asks; the event loop is told of the next one only while something of the node goes on, or somebody waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import simpy

from gapslsim.activity import Process
from gapslsim.errors import Problem, ScenarioError
from gapslsim.events import DEADLINE, FIRST, call_at, happen
from gapslsim.sim.availability import Battery

__all__ = ["Presence", "Stretch"]

Stretch = tuple[float, float]
"""From when until when [s]; the end is infinite while it lasts."""


class Presence:
    """Whether one node is there.

    It is there while its schedule says so, it is not down after a crash, and its battery is not empty.

    Args:
        env: the event loop.
        client: index of the client; None for the server.
        changes: its schedule, as `Availability.changes` gives it.
        loses_state: whether its state is lost whenever it goes away.
        battery: what it runs on; None for the mains.
        idle_w: power while it is there and does nothing [W].
        left: called when it goes away, with whether its state is lost.
    """

    def __init__(
        self,
        env: simpy.Environment,
        client: int | None,
        changes: Iterator[tuple[float, bool]],
        loses_state: bool = False,
        battery: Battery | None = None,
        idle_w: float = 0.0,
        left: Callable[[bool], None] | None = None,
    ) -> None:
        self.client = client
        self.name = "server" if client is None else f"client-{client}"
        self.absences: list[Stretch] = []
        """All of them up to now, in order."""
        self.lives = 0
        """How often it has lost its state."""
        self.leaving: dict[Callable[[], None], None] = {}
        """Called when it goes away."""
        self._env = env
        self._changes = changes
        self._loses_state = loses_state
        self._left = left
        self._coming: list[simpy.Event] = []
        self._watched_s = math.inf
        """The next change of which the event loop is told."""
        self._down_until_s: float | None = None
        """When it has started again after a crash; None if it is not down."""
        self._down_loses = False
        self._battery = _Store(battery, idle_w) if battery is not None else None
        self._scheduled, self._next = True, self._next_change(-1.0)
        while self._next is not None and self._next[0] <= 0:
            self._scheduled, self._next = self._next[1], self._next_change(self._next[0])
        self.there = self._scheduled
        if not self.there:
            self.absences.append((0.0, math.inf))
            if self._battery is not None:
                self._battery.there(False, 0.0)

    def is_there(self) -> bool:
        """Whether it is there now: at the instant at which it goes it still is, at that at which it comes it is too."""
        now_s = self._env.now
        while (change_s := self._change_s()) < now_s or (change_s == now_s and not self.there):
            self._take(change_s)
        return self.there

    def come_back(self) -> Process[None]:
        """Waits until it is there."""
        while not self.is_there():
            came = self._env.event()
            self._coming.append(came)
            self.watch()
            try:
                yield came
            finally:
                if came in self._coming:
                    self._coming.remove(came)

    def watch(self) -> None:
        """Has the event loop told of the next change; for who adds itself to `leaving`."""
        change_s = self._change_s()
        if change_s < math.inf and change_s != self._watched_s:
            self._watched_s = change_s
            # What ends at the very instant of leaving has ended; who comes is there for all that happens then.
            call_at(self._env, change_s, self._due, DEADLINE if self.there else FIRST)

    def next_return_s(self) -> float:
        """When it is there as far as can be told: now, later, or never (infinite) [s]."""
        if self.is_there():
            return float(self._env.now)
        back_s = self._down_until_s or 0.0
        if not self._scheduled:
            back_s = max(back_s, self._next[0] if self._next is not None else math.inf)
        if self._battery is not None and self._battery.is_empty:
            back_s = max(back_s, self._battery.change_s())
        return back_s

    def go_down(self, until_s: float, loses_state: bool) -> None:
        """It has crashed now, from within a process of its own, and is back when it has started again [s]."""
        self._down_until_s = max(self._down_until_s or 0.0, until_s)
        self._down_loses = loses_state
        if self.there:
            call_at(self._env, self._env.now, self._tell, FIRST)  # Not from within the process that crashed.
            self._turn(False, self._env.now)

    def draws(self, power_w: float) -> None:
        """Something begins (or ends, below zero) that takes so much power beyond idle [W]."""
        if self._battery is not None:
            self._battery.draws(power_w, self._env.now)
            if self.leaving or self._coming:
                self.watch()

    def spends(self, energy_j: float) -> None:
        """Energy that is taken at once [J]."""
        if self._battery is not None and energy_j:
            self._battery.spends(energy_j, self._env.now)

    def level_j(self) -> float | None:
        """What the battery holds now [J]; None without one."""
        return None if self._battery is None else self._battery.level_j(self._env.now)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits until it is back."""
        return bool(self._coming)

    def away(self, since_s: float, until_s: float) -> list[Stretch]:
        """Its absences within a time that has passed, in order."""
        self.is_there()
        found: list[Stretch] = []
        for left_s, back_s in reversed(self.absences):
            if back_s <= since_s:
                break
            if left_s < until_s:
                found.append((max(left_s, since_s), min(back_s, until_s)))
        return found[::-1]

    def _change_s(self) -> float:
        """When the schedule, the battery or the restart after a crash next changes something [s]."""
        change_s = self._next[0] if self._next is not None else math.inf
        if self._down_until_s is not None:
            change_s = min(change_s, self._down_until_s)
        if self._battery is not None:
            change_s = min(change_s, self._battery.change_s())
        return change_s

    def _take(self, change_s: float) -> None:
        """Takes what changes at an instant that has come."""
        if self._down_until_s is not None and self._down_until_s <= change_s:
            self._down_until_s = None
        while self._next is not None and self._next[0] <= change_s:
            self._scheduled, self._next = self._next[1], self._next_change(self._next[0])
        if self._battery is not None and self._battery.change_s() <= change_s:
            self._battery.turns(change_s)
        there = (
            self._scheduled
            and self._down_until_s is None
            and not (self._battery is not None and self._battery.is_empty)
        )
        if there != self.there:
            self._turn(there, change_s)

    def _turn(self, there: bool, at_s: float) -> None:
        self.there = there
        if self._battery is not None:
            self._battery.there(there, at_s)
        if there:
            self.absences[-1] = (self.absences[-1][0], at_s)
            return
        self.absences.append((at_s, math.inf))
        loses = self._down_loses if self._down_until_s is not None else self._loses_state
        self.lives += loses
        if self._left is not None:
            self._left(loses)

    def _due(self) -> None:
        """An instant of which the event loop was told."""
        now_s = self._env.now
        self._watched_s = math.inf
        while self._change_s() <= now_s:
            self._take(self._change_s())
        self._tell()

    def _tell(self) -> None:
        """Calls back who waits for what is now the case; from an event alone."""
        if self.there:
            coming, self._coming = self._coming, []
            for came in coming:
                happen(came)
        else:
            for call in list(self.leaving):
                call()
        if self.leaving or self._coming:
            self.watch()

    def _next_change(self, after_s: float) -> tuple[float, bool] | None:
        """The next line of the schedule, looked at: it may be a user's own."""
        change = next(self._changes, None)
        if change is not None and not after_s < change[0] < math.inf:
            raise ScenarioError(
                [
                    Problem(
                        "clients.availability",
                        f"{self.name}: `changes` gave the time {change[0]!r} s after {after_s:g} s; times must be "
                        "finite, ascend, and begin at 0 s.",
                    )
                ]
            )
        return change


class _Store:
    """A battery under load: piecewise linear in time."""

    def __init__(self, battery: Battery, idle_w: float) -> None:
        self._settings = battery
        self._level_j = battery.level_j
        self._since_s = 0.0
        self._idle_w = idle_w
        self._extra_w = 0.0
        self._there = True
        self.is_empty = False

    def level_j(self, now_s: float) -> float:
        level_j = self._level_j + self._net_w * (now_s - self._since_s)
        return min(max(level_j, 0.0), self._settings.capacity_j)

    def draws(self, power_w: float, now_s: float) -> None:
        self._move(now_s)
        self._extra_w += power_w

    def spends(self, energy_j: float, now_s: float) -> None:
        self._move(now_s)
        self._level_j = max(self._level_j - energy_j, 0.0)

    def there(self, there: bool, now_s: float) -> None:
        self._move(now_s)
        self._there = there

    def turns(self, now_s: float) -> None:
        """Empty, or charged enough to come back."""
        self._move(now_s)
        self.is_empty = not self.is_empty
        self._level_j = self._settings.resume_j if not self.is_empty else 0.0

    def change_s(self) -> float:
        """When it is empty, or full enough again [s]."""
        net_w = self._net_w
        if self.is_empty:
            if self._level_j >= self._settings.resume_j:
                return self._since_s
            return (
                self._since_s + (self._settings.resume_j - self._level_j) / net_w if net_w > 0 else math.inf
            )
        return self._since_s + self._level_j / -net_w if net_w < 0 else math.inf

    @property
    def _net_w(self) -> float:
        drawn_w = self._idle_w + self._extra_w if self._there else 0.0
        return self._settings.charging_w - drawn_w

    def _move(self, now_s: float) -> None:
        self._level_j, self._since_s = self.level_j(now_s), now_s
