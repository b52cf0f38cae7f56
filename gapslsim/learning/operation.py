"""One client's way with one mini-batch, and what the engine is asked for where it takes several operations at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gapslsim.data.batches import Drawn
from gapslsim.errors import ProtocolError
from gapslsim.learning.logit_adjustment import LogitAdjustment
from gapslsim.learning.messages import Smashed, Weights
from gapslsim.learning.names import Side
from gapslsim.learning.rules import AlignmentDetail, ClientUpdate, Fate, ServerUpdate
from gapslsim.models.segments import Range
from gapslsim.records import LossRow
from gapslsim.work import Deferred, Keyed

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.geometry import Geometry
    from gapslsim.learning.holdings import Held
    from gapslsim.learning.state import SideState

__all__ = [
    "Alignment",
    "Answer",
    "ClientBackward",
    "ClientForward",
    "MiniBatch",
    "PoolTraining",
    "RelayStep",
    "SentWeights",
    "ServerOutcome",
    "ServerStep",
    "SmashedData",
    "TailPass",
    "Trained",
]


@dataclass(slots=True, eq=False, weakref_slot=True)
class MiniBatch:
    """A forward pass of the client side that waits for its backward pass; travels with the smashed data."""

    client: int
    step: int
    """How many mini-batches the client began before; which samples these are."""
    size: int
    model: str
    """Name of the client-side state that it went through and that its backward pass updates."""
    key: str
    """Content key of the forward pass."""
    state: Keyed[SideState]
    """The weights that it was made with: its gradient is theirs, whatever the model has become since."""
    drawn: Drawn | None = None
    """Where its samples lie, if its size is not the client's own."""
    tape: Any = field(default=None, repr=False)
    """The engine's: what the backward pass needs. Gone with the mini-batch, or once it is used."""
    is_used: bool = False
    is_counted: bool = False
    """Whether its samples are among those trained on: by the server's step, or by a local one before."""
    is_kept: bool = False
    """Whether its smashed data are used again after its backward pass."""
    is_served: bool = False
    """Whether the server's passes on it have been charged as it arrived, and are no part of the step's cost."""
    n_updates: int = 0
    """Steps that the server-side state that serves the client had taken by then."""
    life: int = 0
    """How often the client had lost its state before; its backward pass is of the same life, or never made."""
    needs: tuple[Keyed[SideState], ...] = field(default=(), repr=False)
    """States from which its answer can be made again, once the server has taken it; kept for checkpoints alone."""

    arrived: dict[str, tuple[Keyed[Smashed], str]] | None = field(default=None, repr=False)
    """What it brought to stations that wait for its gradient, with the key of the weights that it met there."""
    tail: Deferred[TailPass] | None = field(default=None, repr=False)
    """Of a client that has the last blocks too: their gradients, which wait for the cut gradient."""

    def use(self) -> None:
        """Notes that the backward pass is made.

        Raises:
            ProtocolError: if it was made before.
        """
        if self.is_used:
            raise ProtocolError(
                f"client {self.client}: the backward pass of mini-batch {self.step} is asked for twice; every forward "
                "pass has one backward pass. Send the answer to each `client_forward` to one `client_backward`."
            )
        self.is_used = True


@dataclass(slots=True, eq=False)
class SmashedData(Keyed[Smashed]):
    """The message that a forward pass leaves: smashed data and labels, and whose they are."""

    batch: MiniBatch = field(kw_only=True)


@dataclass(slots=True, eq=False)
class SentWeights(Keyed[Weights]):
    """Weights of one side as a message."""

    side: Side = field(kw_only=True)
    holds: Held = field(kw_only=True)
    """What the state that they are of holds."""
    blocks: tuple[Range, ...] = field(default=(), kw_only=True)
    """Of a mean over clients that are cut unlike: all blocks that any of them has."""


class Answer(NamedTuple):
    """What the server has for one mini-batch."""

    batch: MiniBatch
    own: Keyed[Tensor] | None
    """Cut gradient of the samples that are the client's own; None if all of it is shared."""
    shared: Keyed[Tensor] | None
    """Cut gradients that all clients of the step share; None if there are none."""
    n_shared: int
    """Leading samples of the batch whose cut gradient is in the shared part."""
    fate: Fate | None
    """What becomes of the client; None in a dry run."""


class ClientForward(NamedTuple):
    """A client's forward pass."""

    batch: MiniBatch
    state: SideState
    """Of the mini-batch."""
    keeps: bool = False
    """Whether the client is frozen and the server keeps what it sends; then there is no backward pass."""


class ClientBackward(NamedTuple):
    """A client's backward pass and update."""

    answer: Answer
    state: SideState
    """The weights that are updated."""
    rule: ClientUpdate
    initial: SideState
    """The shared initial weights."""


@dataclass(frozen=True, eq=False)
class TailPass:
    """A pass through the last blocks on a client."""

    gradient: Tensor
    """dL_i/d(features), [b, ...]."""
    loss: Tensor
    """L_i, a scalar."""
    parameters: tuple[Tensor, ...]
    """dL_i/d(parameters of the last blocks)."""
    buffers: tuple[Tensor, ...]
    """After the pass."""

    def message(self) -> Smashed:
        """What goes up: the gradient, and the loss [1] where labels would be."""
        return Smashed(self.gradient, self.loss[None])


class RelayStep(NamedTuple):
    """A step of a station."""

    station: str
    places: Sequence[tuple[int, int]]
    """Client and step of each mini-batch."""
    state: SideState
    messages: Sequence[Smashed]
    """What came of each on its way to the server."""
    answers: Sequence[Answer]
    """What came back."""


class Alignment(NamedTuple):
    """How an auxiliary network is brought near the server."""

    client: int
    """Whose it is."""
    round: int
    """t."""
    epochs: int
    """Passes over the kept samples."""
    batch_size: int
    """Samples of a step."""
    of_all: bool
    """Whether the server's gradients are those of the mean loss over all kept samples, not over those of a step."""


class ServerStep(NamedTuple):
    """A step of the server."""

    batches: Sequence[MiniBatch]
    """Whose the smashed data are, by client and step."""
    state: SideState
    messages: Sequence[Smashed]
    """Smashed data of each."""
    rule: ServerUpdate
    """From the gradients to the update."""
    rule_state: Mapping[str, float]
    """What the rule remembers."""
    n_shared: Sequence[int]
    """m_i, samples of each batch that are backpropagated once for all."""
    averaged: Sequence[bool]
    """Whether each gets the mean of the cut gradients of those that do."""
    round: int
    """t."""
    draw: tuple[int | str, ...]
    """Name of this step's random streams."""
    state_key: str
    """Of the server's state, for messages."""
    weights: tuple[float, ...] | None
    """Factor on the gradient of each mini-batch, before the rule decides; None for 1."""
    measures: bool
    """Whether the geometry of the gradients is wanted."""
    joined: bool = False
    """Whether all samples go through one pass, whatever its layers do with them."""
    cut_factors: tuple[float, ...] | None = None
    """Factor on the cut gradient of each mini-batch; None for 1."""
    losses: Sequence[Tensor] | None = None
    """L_i [1] of each, where clients took them: labels are then the gradients that they sent."""
    adjustment: LogitAdjustment | None = None
    """Of the logits that losses are taken of."""

    @property
    def clients(self) -> tuple[int, ...]:
        """Of each mini-batch."""
        return tuple(batch.client for batch in self.batches)


class PoolTraining(NamedTuple):
    """Training of the server on a pool of smashed data."""

    batches: Sequence[MiniBatch]
    """Whose samples they are, by client and step."""
    state: SideState
    messages: Sequence[Smashed]
    """Smashed data of each."""
    weights: Sequence[float]
    """Of a sample of each in the mean of a step."""
    epochs: int
    """Passes over all samples."""
    sizes: tuple[int, ...]
    """Samples of each step of a pass."""
    round: int
    draw: tuple[int | str, ...]
    """Name of its random streams."""
    state_key: str
    """Of the state, for messages."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of such a training."""

    state: SideState
    losses: list[LossRow]
    """Mean over the samples of each mini-batch, as they were when they were stepped on."""


@dataclass(frozen=True, eq=False)
class ServerOutcome:
    """Result of one server step, row by row of the mini-batches that it took."""

    state: SideState
    rule_state: Mapping[str, float]
    own: Sequence[Tensor]
    """Cut gradient of each batch without its shared part, [b_i - m_i, ...]."""
    shared: Tensor | None
    """Cut gradient of the shared samples, [max m_i, ...]."""
    fates: Sequence[Fate]
    losses: list[LossRow]
    reported_losses: list[float]
    detail: AlignmentDetail | None
    geometry: Geometry | None = None
    """Of the gradients, where it was asked for."""
