"""SFL for a while; then clients are frozen, send each sample once, and the server trains on what it keeps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gapslsim.frameworks._mini_batch import upload
from gapslsim.frameworks.client_sync import ClientSync, client_syncs
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.rules.client_sync.average import Average
from gapslsim.frameworks.rules.client_update.warmup import WarmupClientUpdate
from gapslsim.frameworks.slots import client_updates
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.rules import ClientUpdate
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["SflReplay"]


@frameworks.register
@component
class SflReplay(ParallelSplitLearning):
    """SFL in the first rounds, replay of kept smashed data in all others. A rule of this project, from no paper.

    1. Warm-up: rounds of SFL. It ends with an average, so that all clients are frozen with the same weights.
    2. In the first round after it each client sends all its samples, mini-batch by mini-batch. The server keeps them.
    3. Each round is then server steps on as many kept mini-batches as a round wants clients, shared out among
       `replay_steps` steps. Whose, is drawn without replacement from a list with every client's mini-batches of one
       local epoch. So clients count by their samples, where in SFL they count alike. Nobody sends anything any more.

    Nearest in the literature: Ampere (Zhang et al., arXiv 2507.07130) trains the client side with a local loss, sends
    activations once and mixes those of all devices; here the warm-up has SFL's gradients from the server. SplitFrozen
    (2503.18986) freezes clients from the start, CycleSL (2511.18611) resamples the features of each round, FedFreeze
    (Wu et al.) and SmartFreeze (2408.09101) freeze layers in federated learning. Abstracts were at hand.

    The server holds smashed data and labels of all samples: memory, and a greater loss if it leaks. Who has not sent
    everything yet sends the rest when it takes part; the server replays clients that it has whole. A client that loses
    its state after the warm-up begins with the initial weights, as everywhere, and sends its samples again.
    A warm-up in epochs may end between two averages of `every: k`; one in rounds is held to them.
    """

    kind: Literal["sfl_replay"] = "sfl_replay"
    client_update: Annotated[ClientUpdate, client_updates] = Field(
        default_factory=lambda: WarmupClientUpdate(rounds=45, upload="once")
    )
    """How long the warm-up is: `warmup` with `then: frozen` and `upload: once`; `frozen` for none."""
    client_sync: Annotated[ClientSync, client_syncs] = Field(default_factory=Average)
    """When the client-side models are averaged in the warm-up."""
    replay_steps: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Server steps of a round of replay; at most one for each of its mini-batches."""

    def run(self, w: Stage) -> Process[None]:
        """Rounds of SFL, then of replay."""
        due: list[int] = []
        for _ in w.rounds(self):
            if not self.client_update.keeps_in(w.round, w.epoch):
                yield from self.round(w)
                continue
            yield from w.gather("upload", {c: self._send_all(w, c) for c in w.participants}, keep=False)
            batches = self._draw(w, due)
            for one in range(min(self.replay_steps, len(batches))):
                dealt = batches[one :: self.replay_steps]
                step = w.learner.server_step(dealt, self.server_rule, self.cut_rule, answers=False)
                yield from w.server.compute(step, on_behalf_of=w.participants)

    def _send_all(self, w: Stage, client: int) -> Process[None]:
        """A client sends what the server has not of its samples; ends at once if that is nothing."""
        while not w.learner.has_all(client):
            yield from upload(w, client, keeps=True)

    def _draw(self, w: Stage, due: list[int]) -> list[SmashedData]:
        """The mini-batches of a round: the next of each client that is due, and again from its list where that ends."""
        whole = [client for client in range(w.n_clients) if w.learner.has_all(client)]
        due[:] = [client for client in due if client in whole]
        while whole and len(due) < w.n_wanted:
            epoch = [client for client in whole for _ in range(w.learner.steps_per_epoch(client))]
            due += w.random("replay", len(due)).permutation(epoch).tolist()
        taken, due[:] = due[: w.n_wanted], due[w.n_wanted :]
        return [w.learner.kept_batch(client) for client in taken]

    def optimizer_steps(
        self, n_rounds: int, batch_sizes: Sequence[int], shard_sizes: Sequence[int]
    ) -> tuple[float, float]:
        """One per round of the warm-up, `replay_steps` in each round after it."""
        epochs = self.samples_per_round(batch_sizes, shard_sizes) / sum(shard_sizes)
        begun = range(1, n_rounds + 1)
        n_warm = bisect_left(begun, 1, key=lambda t: self.client_update.keeps_in(t, (t - 1) * epochs))
        n_steps = min(self.replay_steps, self.n_wanted(len(batch_sizes)))
        return float(n_rounds), n_warm + float(n_steps * (n_rounds - n_warm))

    def problems(self, n_clients: int) -> list[str]:
        """Clients that are not frozen in the end, or a server that steps otherwise."""
        found = super().problems(n_clients)
        update = self.client_update
        if not update.keeps or update.trains_in(10**12, 1e12):
            found.append(
                f"client_update: {self.kind} replays what frozen clients have sent; write for instance "
                "{kind: warmup, rounds: 45, then: frozen, upload: once}, or {kind: frozen, upload: once}"
            )
        if self.server_schedule.kind != "mean" or self.cut_scale != "own":
            found.append(f"server_schedule: {self.kind} knows mean alone, and cut_scale own; leave them out")
        every = getattr(self.client_sync, "every", 1)
        if every == "epoch":
            found.append(
                "client_sync: a round of sfl_replay is a mini-batch, no local epoch; count rounds (every)"
            )
        elif isinstance(update, WarmupClientUpdate) and (update.rounds or 0) % every:
            found.append(
                f"client_sync: {update.rounds} rounds of warm-up end without an average, so that clients are frozen "
                f"apart; write a multiple of {every} rounds (every)"
            )
        return found
