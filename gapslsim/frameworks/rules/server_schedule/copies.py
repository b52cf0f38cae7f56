"""A server-side copy for each client, averaged now and then."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.stage import Actor, Process, Stage
from gapslsim.learning.names import SERVER
from gapslsim.registry import component

__all__ = ["CopiesSchedule"]


@server_schedules.register
@component
class CopiesSchedule(ServerSchedule):
    """A server-side copy for each client, stepped on its mini-batches as they arrive: SplitFed V1 (arXiv 2004.12088).

    At the end of a round in which it is due, the server averages the copies that took a step in this round, and gives
    the mean to every client's copy; that takes the server's time and no traffic. Machines between clients and server
    have a copy for each of their clients too, and average theirs at the same time.
    """

    kind: Literal["copies"] = "copies"
    every: PositiveInt | Literal["epoch"] = 1
    """Rounds from one averaging to the next; with `epoch` a round is a local epoch of each client."""
    weights: Literal["uniform", "samples"] = "uniform"
    """Weight of each copy in the mean: the same for all, or the training samples of its client."""
    optimizer: Literal["keep", "reset"] = "keep"
    """What becomes of each copy's optimizer state (momentum) when its weights are replaced. Schedules of the learning
    rate go on in either case."""
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
        """Yes: no copy waits for another."""
        return True

    @property
    def per_epoch(self) -> bool:
        """With `every: epoch`."""
        return self.every == "epoch"

    def model(self, client: int, owner: str = SERVER) -> str:
        """Name of a client's copy."""
        return f"{owner}-{client}"

    def n_copies(self, n_clients: int) -> int:
        """One for each client."""
        return n_clients

    def end_round(self, w: Stage) -> Process[None]:
        """Averages the copies, if that is due."""
        if self.every != "epoch" and w.round % self.every:
            return
        stations = {s.name: s for c in range(w.n_clients) for s in w.stations(c)}
        if stations:
            yield from w.together(self._average(w, actor) for actor in (*stations.values(), w.server))
        else:
            yield from self._average(w, w.server)

    def _average(self, w: Stage, actor: Actor) -> Process[None]:
        """Averages the copies of the server or of a station, there."""
        learner, owner = w.learner, actor.name
        stepped = [c for c in range(w.n_clients) if learner.states.turn(self.model(c, owner))]
        if not stepped:
            return
        weights = {c: learner.weights(self.model(c, owner)) for c in stepped}
        mean = yield from actor.compute(learner.average(weights, self.weights), on_behalf_of=tuple(stepped))
        learner.install(owner, mean, "reset")  # A copy that is not there yet begins so.
        copies = {self.model(c, owner) for c in range(w.n_clients)}
        for name in [name for name in learner.states if name in copies]:
            learner.install(name, mean, "keep" if self.optimizer == "keep" else "restart")
