"""Processes side by side: barriers, the first of several, limits of time, work in the background, cancelling.

A process runs as far as it can at once and goes on inside the event that it waited for: starting and ending it takes
no event of its own. Cancelling closes it where it waits, so that whatever holds a device or a link lets go of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, TypeVar, cast

import simpy

from gapslsim.activity import Activity, Late, Process
from gapslsim.errors import ProtocolError
from gapslsim.events import DEADLINE, call_in, happen, resume
from gapslsim.sim.presence import Presence

__all__ = ["Activities"]

T = TypeVar("T")
_GOING, _DONE, _CANCELLED, _FAILED = range(4)


class _Running(Activity[T]):
    """One process; called back by the event that it waits for.

    Args:
        process: what goes on.
        owner: told when it has ended, cancelled or failed; None to nobody.
    """

    __slots__ = ("_awaited", "_env", "_owner", "_process", "_state", "_value", "place")

    place: int
    """Among those in the background, in the order of their ends; not before it has ended."""

    def __init__(self, env: simpy.Environment, process: Process[T], owner: _Owner | None) -> None:
        self._env = env
        self._process: Any = process
        self._owner = owner
        self._state: Any = _GOING
        self._value: T | None = None
        self._awaited: simpy.Event | None = None
        """Happens at the end; made when somebody first waits."""

    def __call__(self, event: simpy.Event | None) -> None:
        """Goes on until it has to wait again."""
        if self._state:
            # It was cancelled while it waited: an error that nobody waits for any more is no error.
            if event is not None:
                event.defused = True
            return
        process = self._process
        try:
            while True:
                event = resume(process, event)
                if self._state:  # Cancelled by itself, or with one that it belongs to, while it ran.
                    process.close()
                    return
                if event.callbacks is not None:
                    event.callbacks.append(self)
                    return
        except StopIteration as end:
            if not self._state:
                self._end(end.value)
        except Exception as error:
            if self._state:
                raise
            self._fail(error)

    @property
    def done(self) -> bool:
        """See the base class."""
        return bool(self._state == _DONE)

    @property
    def cancelled(self) -> bool:
        """See the base class."""
        return bool(self._state == _CANCELLED)

    @property
    def going(self) -> bool:
        """Whether it has neither ended nor been cancelled, nor failed."""
        return bool(self._state == _GOING)

    @property
    def value(self) -> T:
        """See the base class."""
        if self._state != _DONE:
            raise ProtocolError(
                "An activity was asked for its value that "
                + (
                    "goes on; wait for it first."
                    if self.going
                    else "was cancelled or failed; look at `done` first."
                )
            )
        return cast("T", self._value)

    def wait(self, limit_s: float | None = None) -> Process[T | Late]:
        """See the base class."""
        if self.going:
            if limit_s is None:
                yield self.end()
            else:
                yield from _until([self], 1, limit_s)
        return Late(cast("float", limit_s)) if self.going else self.value

    def end(self) -> simpy.Event:
        """The event of its end; fails where it is cancelled or fails."""
        if self._awaited is None:
            self._awaited = self._env.event()
        return self._awaited

    def cancel(self) -> None:
        """See the base class."""
        if self._state:
            return
        self._state = _CANCELLED
        if not self._process.gi_running:
            self._process.close()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.ended(self)
        if self._awaited is not None and self._awaited.callbacks:
            self._awaited.fail(
                ProtocolError(
                    "An activity was cancelled while somebody waits for it; cancel who waits as well."
                )
            )
            self._awaited.defused = True  # Whoever waits may be cancelled too before it hears of it.

    def _end(self, value: T) -> None:
        self._state, self._value = _DONE, value
        # It knows this in turn: left, both go without Python's garbage collector.
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.ended(self)
        if self._awaited is not None:
            happen(self._awaited)

    def _fail(self, error: Exception) -> None:
        """Tells whoever waits for it; an error that nobody waits for ends the run, since it must not be lost."""
        self._state = _FAILED
        owner, self._owner = self._owner, None
        told = owner is not None and owner.failed(self, error)
        if self._awaited is not None and self._awaited.callbacks:
            self._awaited.fail(error)
        elif not told:
            raise error


class _Owner:
    """What a process belongs to."""

    __slots__ = ()

    def ended(self, activity: _Running[Any]) -> None:
        """Called when it has ended or was cancelled."""

    def failed(self, activity: _Running[Any], error: Exception) -> bool:
        """Called when it has failed; returns whether the error is taken care of."""
        return False


class _Group(_Owner):
    """Processes between two barriers."""

    __slots__ = ("done", "error", "members", "n_left")

    def __init__(self, env: simpy.Environment) -> None:
        self.done = env.event()
        """Happens when the last one has ended, unless that was before anybody waited."""
        self.members: list[_Running[Any]] = []
        self.n_left = 0
        self.error: Exception | None = None

    def ended(self, activity: _Running[Any]) -> None:
        """Opens the barrier after the last one."""
        self.n_left -= 1
        if not self.n_left and self.done.callbacks:
            happen(self.done)

    def failed(self, activity: _Running[Any], error: Exception) -> bool:
        """The first error ends the barrier."""
        if self.done.callbacks and not self.done.triggered:
            self.done.fail(error)
        elif self.error is None:
            self.error = error
        return True

    def cancel(self) -> None:
        """Ends all that go on."""
        for member in self.members:
            member.cancel()


class _Background(_Owner):
    """Activities that nobody is bound to wait for."""

    __slots__ = ("_places", "going")

    def __init__(self) -> None:
        self.going: dict[_Running[Any], None] = {}
        self._places = count()

    def ended(self, activity: _Running[Any]) -> None:
        """Forgets it."""
        activity.place = next(self._places)
        self.going.pop(activity, None)

    def failed(self, activity: _Running[Any], error: Exception) -> bool:
        """Forgets it; the error is for who waits."""
        self.ended(activity)
        return False


class Activities:
    """The verbs of time of one event loop.

    Args:
        env: the event loop.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._background = _Background()

    def together(self, processes: Iterable[Process[T]]) -> Process[list[T]]:
        """Runs processes side by side and ends with their values, in order, when all have ended: a barrier.

        The first error ends the barrier and cancels the others; cancelling the barrier cancels all.
        """
        group = _Group(self._env)
        members = group.members
        try:
            for process in processes:
                member = _Running(self._env, process, group)
                members.append(member)
                group.n_left += 1
                member(None)
                if group.error is not None:
                    raise group.error
            if group.n_left:
                yield group.done
        except BaseException:
            group.cancel()
            raise
        return [cast("T", member._value) for member in members]

    def spawn(self, process: Process[T] | Activity[T]) -> _Running[T]:
        """Begins a process and lets it go on in the background; an activity is given back as it is."""
        if isinstance(process, _Running):
            return process
        activity = _Running(self._env, cast("Process[T]", process), self._background)
        self._background.going[activity] = None
        activity(None)
        return activity

    def first(
        self, processes: Iterable[Process[T] | Activity[T]], n: int = 1
    ) -> Process[tuple[list[Activity[T]], list[Activity[T]]]]:
        """Waits until `n` have ended.

        Args:
            processes: begun now, in order; or activities that go on already, or have ended.
            n: how many, at least 0.

        Returns:
            The first `n` to end, in that order, and the rest, which go on or ended later; none that is cancelled.

        Raises:
            ProtocolError: if so many can never end.
        """
        given = list(processes)
        activities: list[_Running[T]] = []
        try:
            for process in given:
                activities.append(self.spawn(process))
            while (missing := n - sum(activity.done for activity in activities)) > 0:
                going = [activity for activity in activities if activity.going]
                if len(going) < missing:
                    raise ProtocolError(
                        f"The first {n} of {len(given)} activities were asked for, of which {n - missing} have ended "
                        f"and {len(going)} go on; ask for fewer."
                    )
                yield from _until(going, missing)
        except BaseException:
            for process, activity in zip(given, activities, strict=False):
                if process is not activity:  # Begun here: nobody else can wait for it.
                    activity.cancel()
            raise
        first = sorted((activity for activity in activities if activity.done), key=lambda a: a.place)[:n]
        here = set(first)  # There may be ten thousand clients.
        return list(first), [a for a in activities if (a.going or a.done) and a not in here]

    def within(self, limit_s: float, process: Process[T] | Activity[T]) -> Process[T | Late]:
        """The value of a process if it ends within a time [s], the very instant included; what is late is cancelled.

        Raises:
            ProtocolError: for a negative time.
        """
        if not limit_s >= 0:
            raise ProtocolError(f"within: the time must be 0 s or more; found {limit_s!r}.")
        activity = self.spawn(process)
        try:
            value = yield from activity.wait(limit_s)
        except BaseException:
            activity.cancel()
            raise
        activity.cancel()
        return value

    def while_there(
        self, process: Process[T], presences: Sequence[Presence], limit_s: float | None = None
    ) -> Process[Activity[T]]:
        """Lets a process go on while all of these are there, and for so long at most [s].

        Returns:
            It, done or cancelled.
        """
        activity = self.spawn(process)
        try:
            if activity.going:
                yield from _until([activity], 1, limit_s, presences)
        finally:
            activity.cancel()
        return activity

    def pause(self, duration_s: float) -> Process[None]:
        """Lets time pass [s].

        Raises:
            ProtocolError: for a negative time.
        """
        if not 0 <= duration_s < float("inf"):
            raise ProtocolError(f"pause: the time must be 0 s or more and finite; found {duration_s!r}.")
        yield self._env.timeout(duration_s)

    def cancel_all(self) -> None:
        """Ends what goes on in the background, in the order in which it began."""
        for activity in list(self._background.going):
            activity.cancel()


def _until(
    activities: Sequence[_Running[Any]],
    n: int,
    limit_s: float | None = None,
    presences: Sequence[Presence] = (),
) -> Process[None]:
    """Waits until `n` of these have ended, or one is cancelled, or the time is up, or somebody leaves.

    The first error of one of them is raised.
    """
    env = activities[0]._env
    wake = env.event()
    left = n

    def told(event: simpy.Event) -> None:
        nonlocal left
        if not wake.callbacks or wake.triggered:
            return
        activity = watched[event]
        left -= activity.done
        if not left or activity.cancelled:
            happen(wake)
        elif not activity.done:
            event.defused = True
            wake.fail(cast("Exception", event.value))

    def it_is_over() -> None:
        if wake.callbacks and not wake.triggered:
            happen(wake)

    watched = {activity.end(): activity for activity in activities}
    for event in watched:
        event.callbacks.append(told)
    if limit_s is not None:
        call_in(env, limit_s, it_is_over, DEADLINE)
    for presence in presences:
        presence.leaving[it_is_over] = None
        presence.watch()
    try:
        yield wake
    finally:  # Those that go on may be waited for again and again.
        for presence in presences:
            del presence.leaving[it_is_over]
        for event in watched:
            if event.callbacks is not None:
                event.callbacks.remove(told)
