"""A server that crashes: checkpoints while it is up, and what it holds after a crash."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gapslsim.learning.learner import Learner
from gapslsim.learning.names import CLIENT
from gapslsim.learning.states import Snapshot
from gapslsim.sim.fault import ServerCrashes
from gapslsim.work import NO_COST, Work

if TYPE_CHECKING:
    from gapslsim.sim.activities import Activities
    from gapslsim.sim.node import Node

__all__ = ["Recovery"]


class Recovery:
    """Keeps checkpoints of what the server holds, and brings the last one back.

    Args:
        learner: has the states.
        crashes: when the server fails, and how often it writes a checkpoint.
        holds_whole_model: whether the common client-side model is the server's too, as in FedAvg.
    """

    def __init__(
        self,
        learner: Learner,
        crashes: ServerCrashes,
        server: Node,
        activities: Activities,
        holds_whole_model: bool,
    ) -> None:
        self._learner = learner
        self._crashes = crashes
        self._server = server
        self._activities = activities
        self._names = (CLIENT,) if holds_whole_model else ()
        self._n_updates = 0
        self._last = learner.states.snapshot(self._names)
        learner.when_updated.append(self._updated)

    def restore(self) -> None:
        """The server has crashed."""
        self._learner.states.restore(self._last)

    def _updated(self) -> None:
        self._n_updates += 1
        if self._n_updates % self._crashes.checkpoint_every == 0:
            snapshot = self._learner.states.snapshot(self._names)
            # It counts once it is written: a crash before that goes back to the one before.
            written = partial(self._written, snapshot)
            if self._crashes.write_s:
                write = Work("checkpoint", NO_COST, written)
                self._activities.spawn(self._server.occupy(self._crashes.write_s, write))
            else:
                written()

    def _written(self, snapshot: Snapshot) -> None:
        self._last = snapshot
