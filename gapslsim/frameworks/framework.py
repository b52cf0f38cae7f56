"""What a framework is: the protocol of one training round, as processes on clients and server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gapslsim.frameworks.slots import Participation, participations
from gapslsim.registry import Family, component

if TYPE_CHECKING:
    from gapslsim.frameworks.world import World
    from gapslsim.sim.node import Process

__all__ = ["Framework", "frameworks"]


@component
class Framework(ABC):
    """Settings of a framework; a pydantic component whose `round` reads like its algorithm box.

    A framework never names an environment, a time-out, a loss or an optimizer.
    """

    kind: str
    """Name in scenarios; each framework fixes its own."""
    participation: Annotated[Participation, participations] = Field(
        default_factory=lambda: participations["everyone"]()
    )
    """Who takes part in a round."""

    @abstractmethod
    def round(self, w: World) -> Process[None]:
        """One training round."""

    def participants(self, w: World) -> tuple[int, ...]:
        """Clients that take part in the round that begins, ascending."""
        return self.participation.choose(w.n_clients, lambda: w.random("participation"))

    @abstractmethod
    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """Training samples that a round is expected to process.

        Args:
            batch_sizes: samples in one batch of each client.
            shard_sizes: training samples of each client.
        """

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Expected optimizer steps of one client-side model and of the server in a round, for schedules."""
        return 1.0, 1.0

    @property
    def reads_planned_rounds(self) -> bool:
        """Whether training depends on the planned number of rounds; if not, runs of any length share it."""
        return True

    @property
    def keeps_client_gradients(self) -> bool:
        """Whether the server holds one gradient per participant at once; counted in its memory."""
        return False

    @property
    def clients_hold_whole_model(self) -> bool:
        """Whether a client trains the whole network, so that its memory must hold it."""
        return False

    @property
    def clients_train(self) -> bool:
        """Whether the client-side model is ever trained, so that its memory must hold gradients."""
        return True

    def problems(self, n_clients: int) -> list[str]:
        """What keeps this framework from running with so many clients, in words; empty if nothing."""
        return self.participation.problems(n_clients)


frameworks: Family[Framework] = Family("framework", "gapslsim.frameworks.presets")
