"""A step of the server for each mini-batch, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gapslsim.clock_options import ServerClock
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Stage
from gapslsim.registry import component

__all__ = ["SequentialSchedule"]


@server_schedules.register
@component
class SequentialSchedule(ServerSchedule):
    """A step for each mini-batch in turn, and its answer at once: the server of SplitFed V2 (arXiv 2004.12088)."""

    kind: Literal["sequential"] = "sequential"
    order: Literal["arrival", "index", "turns", "random_turns"] = "arrival"
    """`arrival`: the server takes each as it comes, so that the order on the clock is the order of training. `index`:
    by the clients' indices, once all have arrived that are waited for: the training is the same on any hardware.
    `turns`: all mini-batches of a client's round before those of the next client, by index; nobody computes while
    another has its turn. `random_turns`: so, in an order drawn for each round, as SplitFed's public code does."""
    step_optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of the server's optimizer state (momentum) from one step to the next: kept, or started anew for each
    mini-batch, as in SplitFed's public code."""

    @property
    def steps_for_each(self) -> bool:
        """Yes."""
        return True

    @property
    def forgets(self) -> bool:
        """As `step_optimizer` says."""
        return self.step_optimizer == "reset"

    @property
    def takes_as_they_come(self) -> bool:
        """In the order of arrival."""
        return self.order == "arrival"

    @property
    def trains_by_the_clock(self) -> bool:
        """In the order of arrival."""
        return self.order == "arrival"

    def turns(self, w: Stage, clients: tuple[int, ...]) -> Sequence[Sequence[int]]:
        """One by one in turns; all at once in the order of arrival."""
        if self.order == "random_turns":
            return [(clients[at],) for at in w.random("turns").permutation(len(clients)).tolist()]
        return [(client,) for client in clients] if self.order == "turns" else super().turns(w, clients)

    def unfit(self, server: ServerClock) -> dict[str, str]:
        """One pass for all; by index also a pass before its turn."""
        found = super().unfit(server)
        if self.order == "index" and server.serves == "on_arrival":
            found["serves"] = (
                "server_schedule sequential by index begins with the first client when all have arrived, and each pass "
                "needs the step before; write at_barrier, or order: arrival"
            )
        return found
