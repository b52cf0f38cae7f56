"""The slot of parallel split learning that says how the server steps on the mini-batches of a round."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gapslsim.clock_options import ServerClock
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.names import SERVER
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import Family

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["ServerSchedule", "server_schedules"]


class ServerSchedule(ABC):
    """One step for all mini-batches, by the framework's rule, unless a schedule says otherwise."""

    kind: str
    """Name in scenarios; each schedule fixes its own."""

    @property
    def steps_for_each(self) -> bool:
        """Whether there is a step for each mini-batch, and not one for all."""
        return False

    @property
    def takes_as_they_come(self) -> bool:
        """Whether each is stepped on when it arrives, so that no client waits for another within a round."""
        return False

    def turns(self, w: Stage, clients: tuple[int, ...]) -> Sequence[Sequence[int]]:
        """Who goes through all of a round's mini-batches side by side, group after group; none where all wait for one
        another at each mini-batch.
        """
        return [clients] if self.takes_as_they_come else []

    @property
    def joins_samples(self) -> bool:
        """Whether all samples go through one pass, whatever the layers do with them."""
        return False

    @property
    def trains_by_the_clock(self) -> bool:
        """Whether what is trained depends on what arrives first."""
        return False

    @property
    def per_epoch(self) -> bool:
        """Whether it counts local epochs, so that a round must be one."""
        return False

    @property
    def trains_first(self) -> bool:
        """Whether the server trains by itself on what has arrived (`train`), and then answers without a step."""
        return False

    def train(self, w: Stage, smashed: Mapping[int, SmashedData]) -> Process[None]:
        """What it does then."""
        yield from ()

    def n_steps(self, batch_sizes: Sequence[int], share: float = 1.0) -> float:
        """Steps for one mini-batch of each of some clients, where there is not one for each.

        Args:
            batch_sizes: of the clients.
            share: of them that take part, as expected.
        """
        return 1.0

    def rule(self, rule: ServerUpdate) -> ServerUpdate:
        """What becomes of the framework's rule."""
        return rule

    def stepped(self, w: Stage, model: str) -> None:
        """What becomes of a state that has just stepped on one mini-batch."""
        if self.forgets:
            w.learner.install(model, w.learner.weights(model), "restart")

    def model(self, client: int, owner: str = SERVER) -> str:
        """Name of the state that is stepped on a client's mini-batches, at the server or at a station on the way."""
        return owner

    def n_copies(self, n_clients: int) -> int:
        """Server-side states that are trained beside one another."""
        return 1

    @property
    def forgets(self) -> bool:
        """Whether the server's optimizer starts anew for each mini-batch."""
        return False

    def end_round(self, w: Stage) -> Process[None]:
        """What the server does when all of a round is trained on."""
        yield from ()

    def unfit(self, server: ServerClock) -> dict[str, str]:
        """What of the clock's options has no meaning with it, and why, in words; empty if nothing."""
        if self.steps_for_each and server.computes == "joined":
            why = f"server_schedule {self.kind} makes a pass and a step for each mini-batch; write auto"
            return {"computes": why}
        return {}


server_schedules: Family[ServerSchedule] = Family(
    "server_schedule", "gapslsim.frameworks.rules.server_schedule"
)
