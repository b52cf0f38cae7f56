"""A node's radio on the clock: awake while bits move, in its tail for a while after, else asleep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import simpy

from gapslsim.events import call_in
from gapslsim.hardware.device import PowerStates
from gapslsim.network.network import Airtime
from gapslsim.sim.presence import Presence
from gapslsim.sim.recorder import Recorder

__all__ = ["Radio"]


class Radio:
    """Tells the battery what moving bits take beyond idle power, and battery and recorder of the tail behind them.

    The spans of transfers are charged from their airtime. So a client that has neither battery nor tail needs no
    radio, and none listens.

    Args:
        env: the event loop.
        client: index of the client; None for a server, whose radio nobody asks for.
        recorder: gets the tails.
        presence: has the battery; None for a node that is always there.
    """

    def __init__(
        self, env: simpy.Environment, client: int | None, recorder: Recorder, presence: Presence | None
    ) -> None:
        self._env = env
        self._client = client
        self._recorder = recorder
        self._presence = presence
        self._n_moving = 0
        self._tail: float | None = None
        """Power that the battery is charged with beyond idle, as long as the tail goes on [W]."""
        self._n_tails = 0

    def follow(self, airtime: Airtime, extra_w: float, power: PowerStates) -> Callable[[], None] | None:
        """Follows a transfer that has been submitted now; returns what ends that, if there is anything to end.

        Args:
            airtime: of the transfer at this node's end.
            extra_w: what it takes beyond idle power [W].
            power: of the device.
        """
        if self._client is None or (self._presence is None and not power.tail_s):
            return None
        is_on = False

        def tell(moves: bool) -> None:
            nonlocal is_on
            if moves != is_on:
                is_on = moves
                self._turn(moves, extra_w, power)

        def end() -> None:
            airtime.listeners.remove(tell)
            tell(False)

        if airtime.since_s is not None:  # There was no latency to wait for.
            tell(True)
        if airtime.until_s is not None:
            tell(False)
        airtime.listeners.append(tell)
        return end

    def _turn(self, is_on: bool, extra_w: float, power: PowerStates) -> None:
        assert self._client is not None
        now_s = self._env.now
        self._n_moving += 1 if is_on else -1
        if is_on:
            self._recorder.end_tail(self._client, now_s)
            self._sleep(self._n_tails)
        self._draws(extra_w if is_on else -extra_w)
        if self._n_moving or not power.tail_s:
            return
        tail_w = power.tail_w - power.idle_w
        self._recorder.begin_tail(self._client, now_s, now_s + power.tail_s, tail_w)
        if self._presence is not None:
            self._tail, self._n_tails = tail_w, self._n_tails + 1
            self._draws(tail_w)
            call_in(self._env, power.tail_s, partial(self._sleep, self._n_tails))

    def _sleep(self, tail: int) -> None:
        """Ends a tail for the battery, unless that has happened already."""
        if self._tail is not None and tail == self._n_tails:
            self._draws(-self._tail)
            self._tail = None

    def _draws(self, power_w: float) -> None:
        if self._presence is not None:
            self._presence.draws(power_w)
