"""A device with a queue: what a node does by itself. Its verb is `compute`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import repeat
from typing import TypeVar

import numpy as np
import simpy

from gapslsim.activity import Process
from gapslsim.clock_options import ClockOptions
from gapslsim.errors import LostError, StalledError
from gapslsim.hardware.device import Device
from gapslsim.hardware.overheads import Overheads
from gapslsim.network.network import Network
from gapslsim.sim.activities import Activities
from gapslsim.sim.fault import Crash
from gapslsim.sim.hazards import ClientFaults
from gapslsim.sim.overheads import NodeOverheads
from gapslsim.sim.patience import Patience
from gapslsim.sim.presence import Presence
from gapslsim.sim.radio import Radio
from gapslsim.sim.recorder import Recorder
from gapslsim.work import NO_COST, Work

__all__ = ["ATTEMPTS", "ComputingNode", "nothing"]

T = TypeVar("T")

ATTEMPTS = 1000
"""How often something is begun again before the run counts as stalled: time goes on, but nothing else does."""


class ComputingNode:
    """The computing half of a node; see `Node`.

    Args:
        name: `client-3`, `server`, `parameter-server`: also its name in the network.
        client: index of the client; None for a server.
        device: its kind of device.
        activities: of the event loop, for what goes on in the background.
        random: makes the node's own jitter stream; called once, when first needed.
        presence: whether it is there; None for a node that always is.
        faults: how faults strike it; None if none does.
        patience: what a sender does about messages that do not arrive; shared by all nodes.
        clock: what of the device's overheads counts; None for nothing but its computations.
    """

    def __init__(
        self,
        name: str,
        client: int | None,
        device: Device,
        env: simpy.Environment,
        network: Network,
        recorder: Recorder,
        activities: Activities,
        random: Callable[[], np.random.Generator],
        presence: Presence | None = None,
        faults: ClientFaults | None = None,
        patience: Patience | None = None,
        clock: ClockOptions | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.device = device
        self.presence = presence
        self._faults = faults
        self._patience = patience or Patience()
        self._env = env
        self._network = network
        self._recorder = recorder
        self._activities = activities
        self._random = random
        self._radio = Radio(env, client, recorder, presence)
        self._jitter: Iterator[float] | None = None if clock is None or clock.jitter else repeat(1.0)
        self._overheads: NodeOverheads | None = None
        if clock is not None and device.overheads != Overheads():
            self._overheads = NodeOverheads(device.overheads, clock)
        self._busy = False
        self._queue: deque[simpy.Event] | None = None
        """Computations that wait for their turn, first come first served; made when one first has to wait."""

    @property
    def present(self) -> bool:
        """Whether it is there now."""
        return self.presence is None or self.presence.is_there()

    @property
    def lives(self) -> int:
        """How often it has lost its state."""
        if self.presence is None:
            return 0
        self.presence.is_there()  # Looks up what has changed.
        return self.presence.lives

    def compute(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        """Queues for the device, holds it for the time its profile gives, and carries the work out at completion.

        A cancelled computation never happened: its call is not made. What it used until then is recorded. A node that
        goes away breaks it off; it is begun again when the node is back.

        Args:
            work: what to compute.
            on_behalf_of: clients that wait for it; their time is charged as queue and server computation.

        Raises:
            LostError: if the node loses its state.
        """
        if self._overheads is not None and self._overheads.loads and work.n_samples:
            return self._loaded(work, on_behalf_of, self._overheads)
        return self._computed(work, on_behalf_of)

    def _computed(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        if self.presence is None:
            return self._hold(work, on_behalf_of)
        return self._persist(work, on_behalf_of, self.presence)

    def _loaded(self, work: Work[T], on_behalf_of: Collection[int], overheads: NodeOverheads) -> Process[T]:
        """Waits for the samples of a computation, as far as loading them is not hidden, and carries it out."""
        passes_s = self.device.duration_s(work.cost) + work.n_batches * overheads.iteration_s
        wait_s = overheads.loading_s(self._env.now, work.n_batches, work.n_samples, passes_s)
        if wait_s:
            yield from self._computed(Work("loading", NO_COST, nothing, more_s=wait_s), on_behalf_of)
        return (yield from self._computed(work, on_behalf_of))

    def occupy(self, duration_s: float, work: Work[T]) -> Process[T | None]:
        """Holds the device for a given time [s] and carries the work out, unless it goes away meanwhile."""
        presences = [] if self.presence is None else [self.presence]
        activity = yield from self._activities.while_there(self._hold(work, (), duration_s), presences)
        return activity.value if activity.done else None

    def _persist(self, work: Work[T], on_behalf_of: Collection[int], presence: Presence) -> Process[T]:
        """Computes as often as it takes until it is there for long enough."""
        lives = presence.lives
        for _ in range(ATTEMPTS):
            yield from presence.come_back()
            self._has_lost(presence, lives, work.operation)
            activity = yield from self._activities.while_there(self._hold(work, on_behalf_of), [presence])
            if activity.done:
                return activity.value
            self._has_lost(presence, lives, work.operation)
        raise self._never_done(work.operation, presence)

    def _hold(
        self, work: Work[T], on_behalf_of: Collection[int], duration_s: float | None = None
    ) -> Process[T]:
        asked_s = self._env.now
        waiting = () if self.client is not None else on_behalf_of
        if waiting:
            self._recorder.begin(asked_s, *waiting)
        if self._busy:
            try:
                yield from self._turn()
            except BaseException:
                self._recorder.clients_waited(waiting, asked_s, self._env.now, self._env.now)
                raise
        self._busy = True
        start_s = self._env.now
        if self.client is not None:
            self._recorder.begin(start_s, self.client)
        duration_s, carry_out = self._begin(work) if duration_s is None else (duration_s, work.carry_out)
        crash = None
        if self._faults is not None:
            duration_s = self._faults.duration_s(start_s, duration_s)
            crash = self._faults.crash()
        name, share = work.operation, 1.0
        draws_w = self.device.power.busy_w(work.operation) - self.device.power.idle_w
        self._draws(draws_w)
        try:
            if crash is not None:
                yield from self._crash(crash, duration_s)
            yield self._env.timeout(duration_s)
            result = carry_out()
        except BaseException:
            name = f"cancelled_{name}"
            share = (self._env.now - start_s) / duration_s if duration_s else 1.0
            raise
        finally:
            self._draws(-draws_w)
            if self._overheads is not None:
                self._overheads.computed(start_s, self._env.now)
            self._let_next()
            self._record_computation(name, share * work.cost.work_flop, waiting, asked_s, start_s)
        return result

    def _draws(self, power_w: float) -> None:
        """Tells a battery that something begins (or ends, below zero) that takes so much beyond idle [W]."""
        if self.presence is not None:
            self.presence.draws(power_w)

    def _crash(self, crash: Crash, duration_s: float) -> Process[None]:
        """Goes on for a while and crashes; all that the node does is broken off then."""
        assert self.presence is not None
        yield self._env.timeout(crash.share * duration_s)
        self.presence.go_down(self._env.now + crash.restart_s, crash.loses_state)
        yield self._env.event()  # It is cancelled before anything else happens at this instant.

    def _has_lost(self, presence: Presence, lives: int, what: str) -> None:
        """Ends what goes on for a node that has lost its state since.

        Raises:
            LostError: if it has.
        """
        if presence.lives != lives:
            left_s = presence.absences[-1][0]
            raise LostError(
                f"{presence.name} went away at {left_s:g} s and lost its state; so is its {what}."
            )

    def _never_done(self, what: str, *presences: Presence) -> StalledError:
        who = " and ".join(presence.name for presence in presences) or self.name
        return StalledError(
            f"{self.name} has begun {what} {ATTEMPTS} times and never ended it: {who} never stay long enough, or no "
            "message arrives whole. Give the client longer stays or less to do at a time, or the framework a deadline "
            "(framework.lateness)."
        )

    def _begin(self, work: Work[T]) -> tuple[float, Callable[[], T]]:
        """How long the device is held [s], and what carries the work out at the end of that time."""
        duration_s, overheads = self.device.duration_s(work.cost) + work.more_s, self._overheads
        if self._jitter is None:
            self._jitter = self.device.jitter(self._random)
        if overheads is None:
            return duration_s * next(self._jitter), work.carry_out
        duration_s = (duration_s + work.n_batches * overheads.iteration_s) * next(self._jitter)
        return overheads.stretched_s(self._env.now, duration_s, work.cost is not NO_COST), work.carry_out

    def _turn(self) -> Process[None]:
        """Waits in line; the device stays busy as it is handed on."""
        if self._queue is None:
            self._queue = deque()
        turn = self._env.event()
        self._queue.append(turn)
        try:
            yield turn
        except BaseException:
            if turn.triggered:
                self._let_next()
            else:
                self._queue.remove(turn)
            raise

    def _let_next(self) -> None:
        if self._queue:
            self._queue.popleft().succeed()
        else:
            self._busy = False

    def _record_computation(
        self, phase: str, work_flop: float, waiting: Collection[int], asked_s: float, start_s: float
    ) -> None:
        end_s, power_w = self._env.now, self.device.power.busy_w(phase.removeprefix("cancelled_"))
        if self.client is not None:
            self._recorder.client_span(self.client, phase, start_s, end_s, power_w, work_flop=work_flop)
            return
        self._recorder.server_span(self.name, phase, start_s, end_s, power_w, work_flop)
        self._recorder.clients_waited(waiting, asked_s, start_s, end_s)


def nothing() -> None:
    """Carries out what takes time and computes nothing."""
