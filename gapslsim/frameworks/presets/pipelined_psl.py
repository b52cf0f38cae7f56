"""Pipelined parallel split learning: the next forward pass does not wait for the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from gapslsim.frameworks._mini_batch import train, upload
from gapslsim.frameworks.framework import AtOnce, Framework, frameworks
from gapslsim.frameworks.lateness import Limited
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Activity, Lost, Process, Stage
from gapslsim.learning.rules import ClientUpdate, CutGradient
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["PipelinedSplitLearning"]

T = TypeVar("T")


@frameworks.register
@component
class PipelinedSplitLearning(Framework):
    """Pipelined PSL: a client computes its next mini-batch while its cut gradient is under way; staleness one.

    A round is one step of the server on a mini-batch of every client, as in PSL. When its smashed data have gone up, a
    client begins the forward pass of the next mini-batch, with weights that lack the update to come; it never has more
    than two in flight. Source: pipelining as in PipeDream's weight stashing (arXiv 1806.03377): each backward pass uses
    the weights of its own forward pass.
    """

    kind: Literal["pipelined_psl"] = "pipelined_psl"
    client_update: Annotated[ClientUpdate, client_updates] = Field(
        default_factory=lambda: client_updates["own"]()
    )
    """What a client does with its gradient."""

    def run(self, w: Stage) -> Process[None]:
        """Round after round; what is under way goes on from one to the next."""
        training: dict[int, Activity[Lost | None]] = {}
        ahead: dict[int, Activity[SmashedData | Lost]] = {}
        for _round in w.rounds(self):
            now = ahead or {client: w.spawn(self._upload(w, client)) for client in w.participants}
            ahead = {c: w.spawn(self._upload(w, c, now[c], training.get(c))) for c in now}
            arrived = yield from w.together(_value(activity) for activity in now.values())
            smashed = [one for one in arrived if not isinstance(one, Lost)]
            if not smashed:
                continue
            w.learner.note_staleness(smashed, [1.0] * len(smashed))
            clients = tuple(one.batch.client for one in smashed)
            step = w.learner.server_step(smashed, server_updates["mean"](), CutGradient())
            reply = yield from w.server.compute(step, on_behalf_of=clients)
            training = {
                one.batch.client: w.spawn(w.attempt(train(w, one, reply, self.client_update)))
                for one in smashed
            }

    def _upload(self, w: Stage, client: int, *before: Activity[Any] | None) -> Process[SmashedData | Lost]:
        """The next mini-batch as far as the server, once the last has gone up and the one before it is trained."""
        for activity in before:
            if activity is not None:
                yield from activity
        return (yield from w.attempt(upload(w, client)))

    def at_once(self, n_clients: int) -> AtOnce:
        """Two of each client: one that is trained, and one ahead."""
        return AtOnce(2 * n_clients, n_clients)

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """One mini-batch of each client."""
        return sum(batch_sizes)

    @property
    def trains_by_the_clock(self) -> bool:
        """Yes: whether a forward pass comes before or after the update of the mini-batch before."""
        return True

    @property
    def reads_planned_rounds(self) -> bool:
        """No."""
        return False

    @property
    def clients_train(self) -> bool:
        """As the client's rule says."""
        return self.client_update.trains

    def problems(self, n_clients: int) -> list[str]:
        """A choice of participants, or a limit to what is waited for: neither has a meaning in a pipeline."""
        found = super().problems(n_clients)
        if self.participation.expected_share(n_clients) < 1:
            found.append("participation: in pipelined_psl every client takes part; leave it out")
        if isinstance(self.lateness, Limited):
            found.append(
                "lateness: pipelined_psl waits for everyone; leave it out, or write kind: wait with retry"
            )
        return found


def _value(activity: Activity[T]) -> Process[T]:
    return (yield from activity)
