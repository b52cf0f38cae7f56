"""Vanilla split learning: clients train one after another and hand the client-side model on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import PositiveInt

from gapslsim.frameworks._mini_batch import train, upload
from gapslsim.frameworks.framework import AtOnce, Framework, frameworks
from gapslsim.frameworks.lateness import Limited
from gapslsim.frameworks.rules.lateness.deadline import Deadline
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.names import CLIENT
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights

__all__ = ["VanillaSplitLearning"]


@frameworks.register
@component
class VanillaSplitLearning(Framework):
    """Vanilla SL: clients in turn, handing the client-side model on (Section IV-A of [lin2026gapsl]).

    A round is one turn of every participant. The last participant of a round hands over to the first of the next.
    """

    kind: Literal["sl"] = "sl"
    local_steps: PositiveInt | Literal["epoch"] = 1
    """Mini-batches of a client's turn; `epoch` is one pass over its own data, as public code hands over. The paper does
    not say; 1 makes a round see as many samples as one of PSL."""
    optimizer: Literal["carry", "keep", "reset"] = "carry"
    """The optimizer state travels with the model (and is paid for), stays with each client, or starts anew."""

    def run(self, w: Stage) -> Process[None]:
        """Turn after turn: whoever has the model hands it to the next. Who is away is skipped."""
        copies = _Copies({}, w.learner.weights(CLIENT, optimizer=True))
        for _round in w.rounds(self):
            for client in w.participants:
                # Unless there is nobody else to wait for.
                if w.client(client).present or not any(w.client(c).present for c in w.participants):
                    yield from self._turn(w, client, copies)

    def _turn(self, w: Stage, client: int, copies: _Copies) -> Process[None]:
        """A client gets the model and trains it; a turn that does not come to its end in time is undone."""
        holder, is_newest = self._holder(w, copies)
        if not is_newest:
            w.learner.install(CLIENT, copies.of(holder), "carry")
        before = w.learner.weights(CLIENT, optimizer=True)
        is_new = client not in copies.holders
        came = yield from w.gather("turn", {client: self._train(w, holder, client, is_new)}, keep=False)
        if came:
            copies.holders.pop(client, None)  # The last holder is the last of the dictionary.
            node, model = w.client(client), w.learner.weights(CLIENT, optimizer=True)
            copies.holders[client] = (node.lives, model)
        else:
            w.learner.install(CLIENT, before, "carry")

    def _holder(self, w: Stage, copies: _Copies) -> tuple[int | None, bool]:
        """Who hands the model on, and whether that is the newest: the last who still has it.

        Where the framework does not wait for everyone it is the last of those that are there; each keeps its copy. If
        nobody has one any more, training begins anew.
        """
        having = [c for c, (lives, _) in copies.holders.items() if w.client(c).lives == lives]
        there = [c for c in having if w.client(c).present] if isinstance(self.lateness, Limited) else []
        holder = next(reversed(there or having), None)
        return holder, holder == next(reversed(copies.holders), None)

    def _train(self, w: Stage, holder: int | None, client: int, is_new: bool) -> Process[None]:
        if holder is not None and holder != client:
            yield from self._hand_over(w, holder, client, is_new)
        n_steps = w.learner.steps_per_epoch(client) if self.local_steps == "epoch" else self.local_steps
        for _ in range(n_steps):
            yield from self._step(w, client)

    def _hand_over(self, w: Stage, holder: int, client: int, is_new: bool) -> Process[None]:
        """Sends the model on, and puts it together with the optimizer that it meets there."""
        model = w.learner.weights(CLIENT, optimizer=self.optimizer == "carry")
        yield from w.client(holder).send(model, w.client(client), "handover")
        if self.optimizer == "carry":
            return
        w.learner.install(_kept(holder), model, "keep", of=CLIENT)
        if self.optimizer == "keep" and not is_new:
            w.learner.install(CLIENT, model, "keep", of=_kept(client))
        else:
            w.learner.install(CLIENT, model, "reset")

    def _step(self, w: Stage, client: int) -> Process[None]:
        smashed = yield from upload(w, client, model=CLIENT)
        step = w.learner.server_step([smashed], server_updates["mean"](), CutGradient())
        reply = yield from w.server.compute(step, on_behalf_of=(client,))
        yield from train(w, smashed, reply, client_updates["own"]())

    @property
    def one_cut_because(self) -> str:
        """One model goes from hand to hand."""
        return "one client-side model is handed from client to client"

    @property
    def two_parts_because(self) -> str:
        """Nothing."""
        return ""

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    def at_once(self, n_clients: int) -> AtOnce:
        """One."""
        return AtOnce(1, 1)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """A turn's mini-batches of each participant."""
        share, steps = (
            self.participation.expected_share(len(batch_sizes)),
            self._steps(batch_sizes, shard_sizes),
        )
        return share * sum(b * n for b, n in zip(batch_sizes, steps, strict=True))

    def _steps(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        """Mini-batches of each client's turn."""
        own = self.local_steps
        epochs = (math.ceil(n / b) for b, n in zip(batch_sizes, shard_sizes, strict=True))
        return [epoch if own == "epoch" else own for epoch in epochs]

    def problems(self, n_clients: int) -> list[str]:
        """A rule for late clients that has no meaning where one client has its turn after the other."""
        late = self.lateness
        if isinstance(late, Limited) and (not isinstance(late, Deadline) or late.late != "dropped"):
            return [
                "lateness in sl is wait or deadline, with late: dropped: clients have their turns one after another, "
                "and a turn that is late is undone"
            ]
        return super().problems(n_clients)

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Those of all turns, for the server and for a model that carries its optimizer; else those of a client."""
        share = self.participation.expected_share(len(batch_sizes))
        all_turns = share * sum(self._steps(batch_sizes, shard_sizes))
        return all_turns if self.optimizer == "carry" else all_turns / len(batch_sizes), all_turns


class _Copies(NamedTuple):
    """The model as each client had it at the end of its last turn."""

    holders: dict[int, tuple[int, SentWeights]]
    """By client, the last one last: how often it had lost its state by then, and the model with its optimizer."""
    initial: SentWeights

    def of(self, holder: int | None) -> SentWeights:
        """A client's copy; the initial weights of nobody."""
        return self.initial if holder is None else self.holders[holder][1]


def _kept(client: int) -> str:
    """Name of the state in which a client's optimizer waits until the model comes back."""
    return f"kept-{client}"
