"""What a framework is: the protocol of training, as processes on clients and server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from gapslsim.errors import ProtocolError
from gapslsim.frameworks.lateness import Lateness, Limited, latenesses
from gapslsim.frameworks.slots import Participation, participations
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import Family, component

__all__ = ["AtOnce", "Framework", "FreeFramework", "frameworks"]


class AtOnce(NamedTuple):
    """Mini-batches that a protocol has under way, at most; for the forecast of memory."""

    waiting: int
    """Forward passes that wait for their backward passes; 0 where clients train the whole model."""
    served: int
    """What one step of the server takes, or one average of whole models."""
    copies: int = 1
    """Server-side states that are trained beside one another."""
    is_joined: bool = False
    """Whether the server makes one pass of what a step takes, in any case."""


@component
class Framework(ABC):
    """Settings of a framework; a pydantic component whose `round` reads like its algorithm box.

    A framework never names an environment, a time-out event, a loss or an optimizer. It holds settings alone: what a
    protocol remembers are local variables of its `run`, and states of the learner.
    """

    shapes: ClassVar[tuple[str, ...]] = ()
    """Kinds of the shapes that it is made for; any that `two_parts_because` lets pass unless given."""
    needs_tail: ClassVar[bool] = False
    """Whether clients must have the last blocks, and with them labels and loss."""
    kind: str
    """Name in scenarios; each framework fixes its own."""
    serves_kept: ClassVar[bool] = False
    """Whether its server can keep what frozen clients have sent (`client_update.upload: once`)."""
    participation: Annotated[Participation, participations] = Field(
        default_factory=lambda: participations["everyone"]()
    )
    """Who takes part in a round."""
    lateness: Annotated[Lateness, latenesses] = Field(default_factory=lambda: latenesses["wait"]())
    """What is done about clients that are late, away or lost."""

    def run(self, w: Stage) -> Process[None]:
        """The protocol from beginning to end: round after round, with a barrier between them."""
        for _ in w.rounds(self):
            yield from self.round(w)

    def round(self, w: Stage) -> Process[None]:
        """One training round; for frameworks that leave `run` as it is."""
        raise ProtocolError(
            f"framework {self.kind!r} has no protocol; write `round`, or `run` if it remembers something from round to "
            "round or has no barrier between rounds."
        )

    def participants(self, w: Stage) -> tuple[int, ...]:
        """Clients that take part in the round that begins, ascending: chosen among those there and not busy."""
        candidates, rule = w.candidates, self.participation
        n = len(candidates)
        # Where fewer are there than the rule draws, all of them take part.
        few = n < w.n_clients and rule.problems(n)
        chosen = tuple(range(n)) if few or not n else rule.choose(n, lambda: w.random("participation"))
        extra = self.lateness.n_selected(len(chosen), n) - len(chosen)
        if extra > 0:
            others = sorted({*range(n)} - {*chosen})
            drawn = w.random("over_selection").choice(others, extra, replace=False).tolist()
            chosen = tuple(sorted((*chosen, *drawn)))
        return tuple(candidates[place] for place in chosen)

    def n_wanted(self, n_clients: int) -> int:
        """How many clients a round wants, as expected."""
        return max(1, round(self.participation.expected_share(n_clients) * n_clients))

    def at_once(self, n_clients: int) -> AtOnce:
        """What is under way: one mini-batch of each participant, unless a protocol says otherwise."""
        n = self.lateness.n_selected(self.n_wanted(n_clients), n_clients)
        return AtOnce(n, n)

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
        """Expected optimizer steps of one client-side and of one server-side model in a round, for schedules."""
        return 1.0, 1.0

    def optimizer_steps(
        self, n_rounds: int, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """As `optimizer_steps_per_round`, in the first `n_rounds` rounds: a protocol may change with time."""
        of_client, of_server = self.optimizer_steps_per_round(batch_sizes, shard_sizes)
        return n_rounds * of_client, n_rounds * of_server

    def server_rate_factor(self, batch_sizes: Sequence[int]) -> float:
        """What the learning rate of `training.server` is multiplied by: 1 unless a method scales it with the fleet.

        Args:
            batch_sizes: samples in one batch of each client.
        """
        return 1.0

    def server_steps_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """Expected steps of the server in a round, on all of its models."""
        n_copies = self.at_once(len(batch_sizes)).copies
        return n_copies * self.optimizer_steps_per_round(batch_sizes, shard_sizes)[1]

    def largest_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> tuple[int, int]:
        """Samples in the largest mini-batch of one client, and of several of a step on average; for memory.

        Args:
            batch_sizes: samples in one batch of each client.
            shard_sizes: training samples of each client.
        """
        return max(batch_sizes), max(batch_sizes)

    @property
    def draws_batch_sizes(self) -> bool:
        """Whether the sizes of mini-batches are the method's and not the scenario's, down to one sample."""
        return False

    @property
    def has_rounds(self) -> bool:
        """Whether the protocol itself says where a round ends."""
        return True

    @property
    def trains_by_the_clock(self) -> bool:
        """Whether what is trained depends on what is ready first, so that other hardware trains something else."""
        return isinstance(self.lateness, Limited) or self.lateness.retry is not None

    @property
    def reads_planned_rounds(self) -> bool:
        """Whether training depends on the planned number of rounds; if not, runs of any length share it."""
        return True

    @property
    def keeps_client_gradients(self) -> bool:
        """Whether the server holds one gradient per participant at once; counted in its memory."""
        return False

    @property
    def whole_gradients(self) -> str:
        """Why these must be on the device that computes them all at once, in words; empty if blocks will do."""
        return ""

    @property
    def one_cut_because(self) -> str:
        """Why all clients must cut the network at one place, in words; empty if each may where it likes."""
        return ""

    @property
    def two_parts_because(self) -> str:
        """Why a network is cut in two parts alone, client and server, in words; empty if mini-batches may pass stations
        and end on their clients (`frameworks/_mini_batch.py`).
        """
        return "its protocol knows of client and server alone"

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
        found = self.participation.problems(n_clients)
        update = getattr(self, "client_update", None)
        if update is not None and update.keeps and not self.serves_kept:
            found.append(
                f"client_update: in {self.kind} clients send every mini-batch; write upload: always, or take parallel "
                "split learning (psl, sfl, gapsl, parallel)"
            )
        return found or self.lateness.problems(n_clients, self.n_wanted(n_clients))

    def misfits(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[str]:
        """What keeps this framework from running on data that are divided like this, in words; empty if nothing.

        Args:
            batch_sizes: samples in one batch of each client, as the scenario says.
            shard_sizes: training samples of each client.
        """
        return []


@component
class FreeFramework(Framework):
    """A protocol without a barrier between rounds: asynchronous or pipelined. It defines `run`, which never ends.

    A round of such a protocol is as much training as a round of parallel split learning: it closes at the update of the
    server with which the samples trained on reach the next multiple of `samples_per_round`, one mini-batch of each
    participant. So rounds, epochs and the planned number of rounds T mean the same for all frameworks. Evaluations and
    stop conditions are looked at after every update of the server.
    """

    @abstractmethod
    def run(self, w: Stage) -> Process[None]:
        """The protocol from beginning to end; it is cancelled when a stop condition holds."""

    @property
    def has_rounds(self) -> bool:
        """No."""
        return False

    @property
    def trains_by_the_clock(self) -> bool:
        """Yes."""
        return True

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """One mini-batch of each participant."""
        return self.participation.expected_share(len(batch_sizes)) * sum(batch_sizes)

    def problems(self, n_clients: int) -> list[str]:
        """A rule for who is late, where nobody waits for anybody."""
        if isinstance(self.lateness, Limited):
            return [
                f"lateness cannot be limited: {self.kind} has no barrier at which a client could be late; leave it "
                "out, or write kind: wait with retry"
            ]
        return super().problems(n_clients)


frameworks: Family[Framework] = Family("framework", "gapslsim.frameworks.presets")
