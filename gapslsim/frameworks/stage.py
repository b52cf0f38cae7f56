"""The stage that a framework acts on, and its actors: all that a protocol may ask for.

A protocol says who computes what, who sends what to whom, and what waits for what. How long that takes is the stage's
business: `stages/simulated.py` asks profiles and a network, `stages/measured.py` carries everything out on this machine
and times it. A protocol that is right on one is right on the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from gapslsim.activity import Activity, Late, Lost, Mailbox, Process
from gapslsim.errors import LostError
from gapslsim.work import Keyed, Work

if TYPE_CHECKING:
    from gapslsim.learning.learner import Learner

__all__ = ["Activity", "Actor", "Late", "Lost", "Mailbox", "Outcome", "Participants", "Process", "Stage"]

Outcome = Literal["came", "late", "stale", "lost"]
"""It came; it was waited for in vain and dropped, or kept for later; what was late is used now; it can never come."""

T = TypeVar("T")
K = TypeVar("K", bound=Keyed[Any])


class Actor(ABC):
    """A client, a server or a station between: a device that computes one thing at a time, and its place."""

    name: str
    """`client-3`, `server`, `parameter-server`, `edge-server-0`."""
    client: int | None
    """Index of the client; None for a server."""

    @property
    @abstractmethod
    def present(self) -> bool:
        """Whether it is there now. Who is asked for something while away does it once it is back."""

    @property
    @abstractmethod
    def lives(self) -> int:
        """How often it has lost its state."""

    @abstractmethod
    def compute(self, work: Work[T], on_behalf_of: Collection[int] = ()) -> Process[T]:
        """Waits for the device, holds it for as long as it takes, and carries the work out at completion.

        Args:
            work: an operation of the learner.
            on_behalf_of: clients that wait for a server's computation and for nothing else.
        """

    @abstractmethod
    def send(self, payload: K, to: Any, phase: str) -> Process[K]:
        """Sends a payload to another actor; ends with it when its last byte has arrived.

        Args:
            payload: what is sent; its size is exact.
            to: the receiver.
            phase: name of the span: `uplink`, `model_uplink`, `downlink`, `model_downlink`, `handover`; between others
                than clients `relay_up`, `relay_down`, `model_relay_up`, `model_relay_down`.
        """

    @abstractmethod
    def broadcast(self, payload: K, to: Sequence[Any], phase: str) -> list[Activity[K]]:
        """Sends one payload to many actors; one activity per receiver, which ends when it has it all."""


class Gathering(Protocol):
    """What `gather` needs of a framework: its `lateness`."""

    def gather(
        self, w: Stage, phase: str, processes: Mapping[int, Process[T]], keep: bool
    ) -> Process[dict[int, T]]:
        """See `Stage.gather`."""


class Participants(Protocol):
    """What `rounds` needs of a framework."""

    def participants(self, w: Stage) -> tuple[int, ...]:
        """Clients that take part in the round that begins, ascending."""

    def n_wanted(self, n_clients: int) -> int:
        """How many it wants."""


class Stage(ABC):
    """Where a framework acts. What it says of the present round is set by `rounds`."""

    learner: Learner
    """Offers the operations on the model's states."""
    n_clients: int
    round: int
    """t, from 1; 0 before the first."""
    epoch: float
    """Samples that were trained on before this round over the size of the training set."""
    participants: tuple[int, ...]
    """Clients that take part in the present round, ascending; none where all are busy with what was late."""
    n_wanted: int
    """How many the framework wants; fewer take part where fewer are there, more where it selects more than it needs."""
    server: Actor
    parameter_server: Actor
    """Averages client-side models."""
    lateness: Gathering
    """What the framework does about clients that are late, away or lost."""
    pending: dict[tuple[str, int], Activity[Any]]
    """What late clients still do, by the phase in which it will be used (empty if it will not) and the client. They are
    busy until it is used, or has ended."""

    @abstractmethod
    def client(self, index: int) -> Actor:
        """A client as an actor."""

    @abstractmethod
    def station(self, name: str) -> Actor:
        """A machine between clients and server as an actor: an edge server, a helper."""

    def stations(self, client: int) -> list[Actor]:
        """Those that a client's mini-batches pass on their way to the server, in this order; none as a rule."""
        return [self.station(name) for name in self.learner.stations(client)]

    def clients(self, indices: Iterable[int]) -> list[Actor]:
        """Several clients as actors."""
        return [self.client(index) for index in indices]

    @property
    @abstractmethod
    def now_s(self) -> float:
        """Time since the run began [s]. A protocol that trains otherwise for it says so (`trains_by_the_clock`)."""

    @property
    @abstractmethod
    def candidates(self) -> Sequence[int]:
        """Clients that can take part in a round that begins now, ascending: they are there and not busy.

        If nobody is there, those that come back first; then what they are asked for waits until they are.
        """

    @property
    @abstractmethod
    def may_lose(self) -> bool:
        """Whether clients can go away or messages be lost in this run, so that a protocol has to reckon with it."""

    def attempt(self, process: Process[T]) -> Process[T | Lost]:
        """The value of a process, or why it was lost: a client went away without its state, a message never arrived."""
        try:
            return (yield from process)
        except LostError as error:
            return Lost(str(error))

    def gather(
        self, phase: str, processes: Mapping[int, Process[T]], *, keep: bool = True
    ) -> Process[dict[int, T]]:
        """Runs a process of each client side by side and waits for those that the framework's `lateness` waits for.

        Args:
            phase: what it is, for records: `upload`, `train`, `average`.
            processes: by client.
            keep: whether what comes too late may be used in the next call for this phase.

        Returns:
            The values of those that came, by client, ascending; what came late from an earlier call included.
        """
        return self.lateness.gather(self, phase, processes, keep)

    @abstractmethod
    def gathered(self, phase: str, client: int, outcome: Outcome) -> None:
        """Notes now what becomes of a client's part in a phase, for the table `attendance`."""

    @abstractmethod
    def rounds(self, framework: Participants) -> Iterator[int]:
        """Opens one round after the other and ends when a stop condition holds.

        Each opens with the choice of its participants and closes with a barrier, records and, when due, an evaluation.
        """

    @abstractmethod
    def random(self, *purpose: str | int) -> np.random.Generator:
        """The random stream of a purpose in this round; the same whatever else is drawn."""

    @abstractmethod
    def together(self, processes: Iterable[Process[T]]) -> Process[list[T]]:
        """Runs processes side by side and ends with their values, in order, when all have ended: a barrier.

        The first error ends it and cancels the others.
        """

    @abstractmethod
    def first(
        self, processes: Iterable[Process[T] | Activity[T]], n: int = 1
    ) -> Process[tuple[list[Activity[T]], list[Activity[T]]]]:
        """Waits for the first `n` to end: those, in the order of their ends, and the rest.

        Args:
            processes: begun now, or activities: what is the rest of one call may be given to the next.
            n: how many.

        Raises:
            ProtocolError: if so many can never end.
        """

    @abstractmethod
    def within(self, limit_s: float, process: Process[T] | Activity[T]) -> Process[T | Late]:
        """The value of a process if it ends within a time [s], the very instant included; else `Late`.

        What is late is cancelled.
        """

    @abstractmethod
    def spawn(self, process: Process[T]) -> Activity[T]:
        """Begins a process and lets it go on in the background, until it ends, is cancelled or the run is over."""

    @abstractmethod
    def mailbox(self) -> Mailbox[Any]:
        """A new mailbox, through which processes hand values on without waiting for one another."""

    @abstractmethod
    def pause(self, duration_s: float) -> Process[None]:
        """Lets time pass [s]."""
