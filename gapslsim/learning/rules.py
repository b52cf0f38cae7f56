"""The slots of parallel split learning that touch tensors; their rules live in `frameworks/rules/`.

A rule is a pydantic component and a pure function. Its files import torch inside methods only, so that scenarios
are read without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from gapslsim.learning.logit_adjustment import LogitAdjustment
from gapslsim.work import NO_COST, Cost

if TYPE_CHECKING:
    from torch import Tensor

    from gapslsim.learning.alignment import Gram
    from gapslsim.learning.messages import Smashed

__all__ = [
    "AlignmentDetail",
    "ClientUpdate",
    "Compared",
    "CutGradient",
    "Decision",
    "Fate",
    "Gradients",
    "ServerUpdate",
    "one_cut_because",
    "whole_because",
]

Fate = Literal["train", "zero", "freeze"]
"""What becomes of a client in a round: its own cut gradient; a zero cut gradient; no update at all."""


Compared = Literal["shared", "own"]
"""Where clients are cut unlike: the gradients of those of the server's blocks that all clients go through there, or of
all of them, with zeros where a client has a block itself."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """What the server knows when it decides on an update.

    S is the number of participants, d the number of server-side parameters; where clients are cut unlike, of those that
    the rule compares (`ServerUpdate.compares`).
    """

    matrix: Tensor
    """g_i as rows, detached, float [S, d]; their mean as one row for a rule without `needs_client_gradients`. Where
    they do not fit, a rule that says `reads_blocks` gets `GradientRows`: rows one by one, or blocks of columns."""
    losses: Tensor
    """L_i, detached, float [S]."""
    clients: tuple[int, ...]
    """Index of the client of each row, ascending."""
    round: int
    """t, from 1."""
    planned_rounds: int | None
    """T; None if the scenario does not tell."""
    state: Mapping[str, float]
    """What the rule returned as `Decision.state` in the round before; `initial_state` at first."""
    random: np.random.Generator
    """A stream of this rule and this round."""
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    """What the rule returned as `Decision.memory` in the round before; empty at first. Never written to."""
    hessian_product: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None = None
    """(row, v [d]) to (H_i v [d], its counterpart at the cut, of the smashed data's shape); d(g_i . v)/d(parameters,
    smashed data). Given only to rules that say `second_order`."""

    smashed: Sequence[Smashed] = ()
    """What arrived from each client; given only to rules that say `n_generated`."""
    at: Callable[[Tensor, Tensor], Tensor] | None = None
    """(activations [n, *smashed_shape], labels [n]) to the gradient of their mean loss, float [d]; given likewise."""

    @cached_property
    def gram(self) -> Gram:
        """Inner products of all pairs of rows; computed once, for the rule and for the geometry."""
        from gapslsim.learning import alignment

        return alignment.gram(self.matrix)


@dataclass(frozen=True, eq=False)
class AlignmentDetail:
    """Gradient geometry of one round, for the `alignment` table; arrays [S], NaN where a figure has no meaning."""

    score_rad: np.ndarray
    in_leader_set: np.ndarray
    angle_to_leader_rad: np.ndarray
    admitted: np.ndarray
    gradient_norm: np.ndarray
    threshold_rad: float
    selection_ratio: float
    dispersion_rad: float


@dataclass(frozen=True, eq=False)
class Decision:
    """What a server rule decides."""

    update: Tensor
    """Gradient handed to the server's optimizer, float [d]."""
    fates: tuple[Fate, ...]
    """One per row."""
    losses: Tensor
    """Losses as the rule reports them (Eq. (7) for GAPSL), float [S]."""
    state: Mapping[str, float] = field(default_factory=dict)
    """What the rule remembers; plain numbers only."""
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    """What the rule remembers in tensors: kept with the server's state, like that of an optimizer."""
    detail: AlignmentDetail | None = None
    cut_terms: tuple[Tensor | None, ...] | None = None
    """Added to the cut gradient of each row (exact differentiation of Eq. (7)); None for nothing."""
    updates_server: bool = True
    """False: the server's optimizer makes no step in this round, not even with a zero gradient."""


class ServerUpdate(ABC):
    """From the participants' server-side gradients to one update of the server."""

    @property
    def needs_client_gradients(self) -> bool:
        """Whether it must see each client's gradient; False lets the learner use the mean alone."""
        return True

    @property
    def steps(self) -> bool:
        """Whether it ever steps; False: the server only answers, and its losses are no training losses."""
        return True

    @property
    def second_order(self) -> bool:
        """Whether it asks for `Gradients.hessian_product`."""
        return False

    @property
    def reads_blocks(self) -> bool:
        """Whether `decide` takes gradients that lie elsewhere, in blocks of columns (`GradientRows`)."""
        return False

    @property
    def n_generated(self) -> int:
        """Samples that it makes up for each step, which the server passes forward and backward; 0 for none."""
        return 0

    @property
    def compares(self) -> Compared:
        """What of clients' gradients it is given, where clients are cut unlike."""
        return "shared"

    @property
    def sums_clients(self) -> bool:
        """Whether its update is a sum over clients, not a mean; then so it is on blocks that it is not given."""
        return False

    @property
    def reads_planned_rounds(self) -> bool:
        """Whether `decide` depends on `Gradients.planned_rounds`; if not, runs of any length share their training."""
        return True

    def initial_state(self) -> Mapping[str, float]:
        """What the rule remembers before the first round."""
        return {}

    def problems(self, n_clients: int, n_at_once: int) -> list[str]:
        """What keeps the rule from working with so many clients, in words; empty if nothing.

        Args:
            n_clients: size of the fleet.
            n_at_once: participants of a round.
        """
        return []

    @abstractmethod
    def decide(self, gradients: Gradients) -> Decision:
        """One update from the gradients; pure."""

    @abstractmethod
    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """What deciding costs on the server: the Gram matrix of LGI and the like (phase `other`)."""


@dataclass(frozen=True, slots=True)
class CutGradient:
    """Which gradient at the cut layer a client gets: that of its own loss, unless one of these says otherwise."""

    shared_fraction: float = 0.0
    """phi: share of each batch whose last-layer gradients are averaged over the clients and backpropagated once for
    all (EPSL), in [0, 1]; its cut gradient is broadcast."""
    average: bool = False
    """Whether clients get the mean over clients of the cut gradients, sample by sample, broadcast."""
    averaged: tuple[int, ...] | None = None
    """With `average`, who gets the mean and is in it, others getting their own; everyone unless given."""
    scale: Literal["own", "mean"] = "own"
    """Of whose loss it is: the client's own, or its part in the mean over the S mini-batches of the step: times 1/S, or
    in a joined pass times the client's share of the samples."""
    adjustment: LogitAdjustment | None = None
    """Of the logits, in a joined pass: the step is on the adjusted losses of the step's P, and a client's cut gradient
    is of its loss adjusted by its own P. None for losses as they are."""

    def factors(self, sizes: Sequence[int], joined: bool) -> tuple[float, ...] | None:
        """What the cut gradient of each mini-batch of a step is multiplied by; None for 1."""
        if self.scale == "own":
            return None
        return tuple(size / sum(sizes) if joined else 1 / len(sizes) for size in sizes)

    def averages(self, client: int) -> bool:
        """Whether a client gets the mean."""
        return self.average and (self.averaged is None or client in self.averaged)

    def n_broadcast(self, client: int, batch_size: int) -> int:
        """Samples of a client's batch whose cut gradient is broadcast."""
        return batch_size if self.averages(client) else self.n_shared(batch_size)

    def n_shared(self, batch_size: int) -> int:
        """Samples of a batch that are backpropagated once for all."""
        return int(self.shared_fraction * batch_size + 1e-9)


class ClientUpdate(ABC):
    """What a client does with its gradient."""

    @property
    def trains(self) -> bool:
        """False: the client-side model never changes."""
        return True

    def trains_in(self, round: int, epoch: float) -> bool:
        """Whether clients train in a round; if not, no cut gradient is sent and no backward pass is made.

        Args:
            round: t, from 1.
            epoch: samples processed before the round over the size of the training set.
        """
        return self.trains

    @property
    def keeps(self) -> bool:
        """Whether the server keeps what clients send while they do not train, so that they send each sample once."""
        return False

    def keeps_in(self, round: int, epoch: float) -> bool:
        """Whether it does so in a round; see `trains_in`."""
        return self.keeps and not self.trains_in(round, epoch)

    @property
    def adjusts_as(self) -> ClientUpdate:
        """The rule whose `adjust` it has, for content keys: training that is the same is then found under one key."""
        return self

    @abstractmethod
    def adjust(
        self, gradients: tuple[Tensor, ...], parameters: tuple[Tensor, ...], initial: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Gradients for the optimizer, from those of the loss, the parameters and the shared initial weights."""

    def cost(self, n_parameters: int) -> Cost:
        """What adjusting costs on the client beyond its backward pass."""
        return NO_COST


def one_cut_because(rule: ServerUpdate, cut_rule: CutGradient) -> str:
    """Why all clients must be cut alike, in words; empty if they need not."""
    if cut_rule.shared_fraction or cut_rule.average:
        return "gradients at the cut are averaged over clients (phi, cut_gradient), and are of one shape for that"
    if rule.second_order:
        return "gradient: exact differentiates all clients' losses by the same weights of the server"
    if rule.n_generated:
        return "smashed data are generated from those of all clients, which are of one shape for that"
    return ""


def whole_because(rule: ServerUpdate, cut_rule: CutGradient) -> str:
    """Why clients' gradients must be on the device all at once, in words; empty if blocks of columns will do."""
    if rule.needs_client_gradients and not rule.reads_blocks:
        return "the server's rule reads all gradients at once"
    return (
        "phi adds the shared samples' part to every gradient at the end" if cut_rule.shared_fraction else ""
    )
