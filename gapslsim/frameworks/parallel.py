"""Parallel split learning as one protocol with rules in its slots; PSL, SFL, EPSL and GAPSL are settings of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from gapslsim.frameworks._mini_batch import Returned, returned, train, upload
from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import AtOnce, Framework
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.frameworks.server_schedule import ServerSchedule, server_schedules
from gapslsim.frameworks.slots import client_updates
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.rules import ClientUpdate, CutGradient, ServerUpdate, one_cut_because, whole_because
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData
    from gapslsim.learning.reply import ServerReply

__all__ = ["ParallelSplitLearning"]


@component
class ParallelSplitLearning(Framework):
    """One round for all participants side by side (Section II of [lin2026gapsl]).

    1. Each client: forward pass on a mini-batch, uplink of smashed data and labels.
    2. Server, when all have arrived that `lateness` waits for: forward and backward per client, the rule, one update.
       Where it serves on arrival (`clock.server`), a client's passes are made when its smashed data are there. Other
       schedules (`server_schedule`) step on each mini-batch by itself, then or as it arrives.
    3. Each client: downlink of its cut gradient, backward pass, update. Then the clients may synchronise.

    A round is one mini-batch of each participant. Where a slot counts epochs (`every: epoch`) it is a local epoch of
    each: a client takes part for its own mini-batches and then waits for the one with the most.
    """

    serves_kept: ClassVar[bool] = True
    client_update: Annotated[ClientUpdate, client_updates] = Field(
        default_factory=lambda: client_updates["own"]()
    )
    """What a client does with its gradient."""
    client_sync: Annotated[ClientSync, client_syncs] = Field(default_factory=lambda: client_syncs["never"]())
    """Whether and when the client-side models are averaged."""
    server_schedule: Annotated[ServerSchedule, server_schedules] = Field(
        default_factory=lambda: server_schedules["mean"]()
    )
    """How the server steps: once for all mini-batches, or for each."""
    cut_scale: Literal["own", "mean"] = "own"
    """Of which loss a client's cut gradient is: its own, or its part in the mean over the S mini-batches of a step,
    which is 1/S of that (in `joined`, its share of the samples). Public code that differentiates the server's mean loss
    does the latter."""

    @property
    def server_rule(self) -> ServerUpdate:
        """From the clients' gradients to the server's update; the mean unless a framework says otherwise."""
        return MeanUpdate()

    @property
    def cut_rule(self) -> CutGradient:
        """Which gradient at the cut layer a client gets; its own unless a framework says otherwise."""
        return CutGradient(scale=self.cut_scale)

    def _cut_rule(self, w: Stage, clients: tuple[int, ...]) -> CutGradient:
        """That of a step on mini-batches of these clients."""
        return self.cut_rule

    def round(self, w: Stage) -> Process[None]:
        """One training round."""
        yield from self._train_all(w, {c: self._mini_batches(w, c) for c in w.participants})
        yield from self.server_schedule.end_round(w)
        # What is kept is of the weights that clients have now.
        if not self.client_update.keeps_in(w.round, w.epoch):
            yield from self.client_sync.run(w)

    def _train_all(self, w: Stage, n_batches: Mapping[int, int]) -> Process[None]:
        """So many mini-batches of each client."""
        turns = self.server_schedule.turns(w, tuple(n_batches))
        for clients in turns:
            yield from w.gather("turn", {c: self._turn(w, c, n_batches[c]) for c in clients}, keep=False)
        for place in range(0 if turns else max(n_batches.values(), default=1)):
            going = [c for c, n in n_batches.items() if place < n]
            yield from self._together(w, _free(w, going) if place else going)

    def _together(self, w: Stage, clients: Collection[int]) -> Process[None]:
        """A mini-batch of each client, with a barrier before the server's step and one behind the backward passes."""
        sizes = self._batch_sizes(w, clients)
        yield from self._step(
            w,
            {
                c: self._upload(w, c) if n is None else self._upload_some(w, c, n)
                for c, n in sizes.items()
                if n != 0
            },
        )

    def _step(self, w: Stage, going: Mapping[int, Process[SmashedData]]) -> Process[None]:
        """The server's step on mini-batches that are under way, and their ways back."""
        smashed = yield from w.gather("upload", going)
        if self.server_schedule.steps_for_each:
            served = {client: self._serve(w, one) for client, one in smashed.items()}
            yield from w.gather("train", served, keep=False)
        elif smashed:
            trains = self.client_update.trains_in(w.round, w.epoch)
            if self.server_schedule.trains_first:
                yield from self.server_schedule.train(w, smashed)
                if not trains:
                    return
            rule = self.server_schedule.rule(self.server_rule)
            joined = self.server_schedule.joins_samples
            answers = trains or any(w.stations(client) for client in smashed)
            cut_rule = self._cut_rule(w, tuple(smashed))
            step = w.learner.server_step(smashed, rule, cut_rule, joined=joined, answers=answers)
            reply = yield from w.server.compute(step, on_behalf_of=tuple(smashed))
            through = returned(w, reply, trains)
            if trains:
                yield from self._download(w, reply, through)
            for end in through.values():
                yield from end

    def _turn(self, w: Stage, client: int, n_batches: int) -> Process[None]:
        """Mini-batches of one client, which waits for no other."""
        for _ in range(n_batches):
            keeps = self.client_update.keeps_in(w.round, w.epoch)
            smashed = yield from upload(w, client, keeps=keeps, state_of=self.server_schedule.model)
            yield from self._serve(w, smashed)

    def _serve(self, w: Stage, smashed: SmashedData) -> Process[None]:
        """A step of the server on one mini-batch, and its way back."""
        client, state_of = smashed.batch.client, self.server_schedule.model
        trains = self.client_update.trains_in(w.round, w.epoch)
        answers = trains or bool(w.stations(client))
        step = w.learner.server_step(
            [smashed], self.server_rule, self.cut_rule, model=state_of(client), answers=answers
        )
        reply = yield from w.server.compute(step, on_behalf_of=(client,))
        self.server_schedule.stepped(w, state_of(client))
        if trains:
            yield from train(w, smashed, reply, self.client_update, state_of)
        elif answers:
            yield from returned(w, reply, False, state_of)[client]

    def _batch_sizes(self, w: Stage, clients: Collection[int]) -> Mapping[int, int | None]:
        """Samples in the next mini-batch of each; None for its own size, 0 for those who take no part in the step."""
        return dict.fromkeys(clients)

    def _upload(self, w: Stage, client: int) -> Process[SmashedData]:
        return self._upload_some(w, client, None)

    def _upload_some(self, w: Stage, client: int, size: int | None) -> Process[SmashedData]:
        """A mini-batch of so many samples; of the client's own size with None."""
        keeps = self.client_update.keeps_in(w.round, w.epoch)
        smashed = yield from upload(w, client, keeps=keeps, size=size)
        if w.learner.serves_on_arrival:
            arrived = w.learner.server_pass(smashed, self.server_rule, self.cut_rule)
            yield from w.server.compute(arrived, on_behalf_of=(client,))
        return smashed

    def _download(
        self, w: Stage, reply: ServerReply, through: Mapping[int, Activity[Returned]] | None = None
    ) -> Process[None]:
        """Broadcasts what all clients share, sends each its own part; each goes on when it has both."""
        clients = [answer.batch.client for answer in reply.answers]
        shared: Mapping[int, Activity[Any]] = {}
        if reply.shared is not None:
            sharing = [answer.batch.client for answer in reply.answers if answer.shared is not None]
            arrivals = w.server.broadcast(reply.shared, w.clients(sharing), "downlink")
            shared = dict(zip(sharing, arrivals, strict=True))
        training = {
            c: self._train_client(w, c, (through or {}).get(c) or reply, shared.get(c)) for c in clients
        }
        yield from w.gather("train", training, keep=False)

    def _train_client(
        self, w: Stage, client: int, back: Activity[Returned] | ServerReply, arrival: Activity[Any] | None
    ) -> Process[None]:
        node = w.client(client)
        if arrival is not None:
            yield from arrival
        sender, reply = (yield from back) if isinstance(back, Activity) else Returned(w.server, back)
        if client in reply.own:
            yield from sender.send(reply.own[client], node, "downlink")
        yield from node.compute(w.learner.client_backward(client, reply, self.client_update))

    @property
    def _per_epoch(self) -> bool:
        """Whether a round is a local epoch of each participant."""
        return self.client_sync.per_epoch or self.server_schedule.per_epoch

    def _mini_batches(self, w: Stage, client: int) -> int:
        """Of a client in a round."""
        return w.learner.steps_per_epoch(client) if self._per_epoch else 1

    def _n_batches(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> list[int]:
        """Mini-batches of each client in a round."""
        if not self._per_epoch:
            return [1] * len(batch_sizes)
        return [math.ceil(n / b) for b, n in zip(batch_sizes, shard_sizes, strict=True)]

    def samples_per_round(self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]) -> float:
        """The mini-batches of each participant."""
        n_batches = self._n_batches(batch_sizes, shard_sizes)
        share = self.participation.expected_share(len(batch_sizes))
        return share * sum(b * n for b, n in zip(batch_sizes, n_batches, strict=True))

    def optimizer_steps_per_round(
        self, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """Of a client's model its mini-batches, as the mean over clients; of the server's as its schedule says."""
        n_batches = self._n_batches(batch_sizes, shard_sizes)
        share = self.participation.expected_share(len(n_batches))
        of_client = share * sum(n_batches) / len(n_batches)
        if not self.server_schedule.steps_for_each:
            turns = range(max(n_batches))
            going = [[b for b, n in zip(batch_sizes, n_batches, strict=True) if n > turn] for turn in turns]
            return of_client, sum(self.server_schedule.n_steps(sizes, share) for sizes in going)
        n_copies = self.server_schedule.n_copies(len(n_batches))
        return of_client, share * sum(n_batches) / n_copies

    def at_once(self, n_clients: int) -> AtOnce:
        """One mini-batch of each participant; the server takes them together or one by one."""
        made, schedule = super().at_once(n_clients), self.server_schedule
        return made._replace(
            served=1 if schedule.steps_for_each else made.served,
            copies=schedule.n_copies(n_clients),
            is_joined=schedule.joins_samples or schedule.trains_first,
        )

    def problems(self, n_clients: int) -> list[str]:
        """What the participation, the server's rule or its schedule cannot do."""
        found = super().problems(n_clients) or self._schedule_problems()
        if self.client_update.keeps and (own := self._own_ways):
            found.append(
                f"client_update: upload: once needs the way of parallel split learning, and {self.kind} has one of its "
                f"own ({', '.join(own)}); write upload: always"
            )
        if found:
            return found
        n_at_once = round(n_clients * self.participation.expected_share(n_clients))
        return self.server_rule.problems(n_clients, n_at_once)

    def _schedule_problems(self) -> list[str]:
        schedule, cut_rule, kind = self.server_schedule, self.cut_rule, self.server_schedule.kind
        found = []
        if kind != "mean" and not isinstance(self.server_rule, MeanUpdate):
            found.append(
                f"server_schedule: {kind} has no step in which a rule decides over the gradients of all clients, as "
                f"that of {self.kind} does; leave server_schedule out"
            )
        if (cut_rule.average and schedule.steps_for_each) or (
            cut_rule.shared_fraction and (schedule.steps_for_each or schedule.joins_samples)
        ):
            found.append(
                f"server_schedule: {kind} has no gradients of several clients in one step to average at the cut; write "
                "mean or sum, or phi: 0 and cut_gradient: own"
            )
        if self.cut_scale == "mean" and schedule.steps_for_each:
            found.append(
                f"cut_scale: mean has no effect where each step takes one mini-batch (server_schedule: {kind}); leave "
                "it out"
            )
        if schedule.n_copies(2) > 1 and getattr(self.client_sync, "server_blocks", "apart") == "joined":
            found.append(
                "client_sync.server_blocks: joined averages the server's one model with those of clients, and "
                f"server_schedule: {kind} has a copy for each client; write apart"
            )
        return found

    @property
    def trains_by_the_clock(self) -> bool:
        """As lateness and the server's schedule say."""
        return super().trains_by_the_clock or self.server_schedule.trains_by_the_clock

    @property
    def two_parts_because(self) -> str:
        """Where somebody needs what is neither sent to stations nor known to them, or goes a way of its own."""
        if own := self._own_ways:
            return f"it takes mini-batches on a way of its own ({', '.join(own)}), which may pass stations by"
        if self.cut_rule.shared_fraction or self.cut_rule.average:
            return "cut gradients are shared by broadcast (phi, average), which stations do not pass on"
        if self.server_rule.second_order:
            return "its rule differentiates the server's gradients again, whose loss lies elsewhere (gradient: exact)"
        if self.server_rule.n_generated:
            return "its rule makes samples up by their labels, which may stay on the clients (gas)"
        schedule = self.server_schedule
        takes_one = schedule.steps_for_each and schedule.n_copies(2) == 1
        if schedule.joins_samples or schedule.trains_first or takes_one:
            return f"server_schedule {schedule.kind} knows no pass of the server that waits for a gradient"
        if self.cut_scale == "mean":
            return "cut_scale: mean would scale what stations step on"
        if getattr(self.lateness, "late", "dropped") == "used_next":
            return "what comes late is used in the next round (late: used_next), when stations have moved on"
        if self.client_update.keeps:
            return "the server keeps what clients sent (upload: once), and stations and last blocks need it each time"
        return ""

    @property
    def _own_ways(self) -> list[str]:
        """What a framework that is derived from this one does its own way."""
        return [
            name for name in _THE_WAY if getattr(type(self), name) is not getattr(ParallelSplitLearning, name)
        ]

    @property
    def reads_planned_rounds(self) -> bool:
        """As the server's rule does."""
        return self.server_rule.reads_planned_rounds

    @property
    def keeps_client_gradients(self) -> bool:
        """As the server's rule needs."""
        return self.server_rule.needs_client_gradients

    @property
    def whole_gradients(self) -> str:
        """As the server's rule needs."""
        return whole_because(self.server_rule, self.cut_rule)

    @property
    def one_cut_because(self) -> str:
        """What the server's rule, the cut gradient or the schedule cannot do."""
        if self.server_schedule.joins_samples:
            return "the samples of all clients go through one pass of the server (server_schedule)"
        if self.server_schedule.trains_first:
            return "the samples of all clients are one pool, and are of one shape for that (server_schedule)"
        return one_cut_because(self.server_rule, self.cut_rule)

    @property
    def clients_train(self) -> bool:
        """As the client's rule says."""
        return self.client_update.trains


_THE_WAY: Final = ("round", "_together", "_turn", "_serve", "_upload", "_download", "_train_client")
"""What a framework that is derived from this one may have changed."""


def _free(w: Stage, clients: Collection[int]) -> list[int]:
    """Those that do not still do something that was late."""
    busy = {client for (phase, client), activity in w.pending.items() if phase or not activity.done}
    return [client for client in clients if client not in busy]
