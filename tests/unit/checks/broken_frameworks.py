"""Frameworks that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from gapslsim.checks import framework as claims
from gapslsim.checks._world import Runs
from gapslsim.frameworks.framework import FreeFramework
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.slots import client_updates, server_updates
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.learning.rules import CutGradient
from gapslsim.registry import component
from gapslsim.work import Keyed


@component
class Base(ParallelSplitLearning):
    """PSL with something before and after each round."""

    kind: Literal["base"] = "base"

    def round(self, w: Stage) -> Process[None]:
        yield from self.before(w)
        yield from super().round(w)
        yield from self.after(w)

    def before(self, w: Any) -> Process[None]:
        yield from ()

    def after(self, w: Any) -> Process[None]:
        yield from ()


@component
class EndsEarly(Base):
    kind: Literal["ends_early"] = "ends_early"  # type: ignore[assignment]

    def run(self, w: Stage) -> Process[None]:
        for t in w.rounds(self):
            yield from self.round(w)
            if t == 3:
                return


@component
class TakesNoTime(Base):
    kind: Literal["takes_no_time"] = "takes_no_time"  # type: ignore[assignment]

    def round(self, w: Stage) -> Process[None]:
        yield from ()


@component
class RestsInRoundThree(Base):
    kind: Literal["rests"] = "rests"  # type: ignore[assignment]

    def round(self, w: Stage) -> Process[None]:
        if w.round != 3:
            yield from super().round(w)


@component
class StandsStill(Base):
    kind: Literal["stands_still"] = "stands_still"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        while True:
            yield from w.pause(0.0)


@component
class Spins(Base):
    kind: Literal["spins"] = "spins"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        while True:
            yield from w.together([])


@component
class NeverSteps(FreeFramework):
    kind: Literal["never_steps"] = "never_steps"

    def run(self, w: Stage) -> Process[None]:
        while True:
            yield from w.pause(1.0)


@component
class WaitsForEver(Base):
    kind: Literal["waits"] = "waits"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        held: list[Any] = []

        def other() -> Process[None]:
            yield from w.pause(0.001)
            yield from held[0]

        held.append(w.spawn(other()))
        yield from held[0]


@component
class NamesNobody(Base):
    kind: Literal["names_nobody"] = "names_nobody"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        yield from w.client(0).send(w.learner.weights("client-0"), w.servr, "uplink")


@component
class Lossy(FreeFramework):
    """Clients meet the server when they like; the server is put back to what it was when each began."""

    kind: Literal["lossy"] = "lossy"

    def run(self, w: Stage) -> Process[None]:
        yield from w.together(self.client(w, index) for index in range(w.n_clients))

    def client(self, w: Stage, index: int) -> Process[None]:
        node = w.client(index)
        while True:
            held = w.learner.weights("server")
            smashed = yield from node.compute(w.learner.client_forward(index))
            yield from node.send(smashed, w.server, "uplink")
            w.learner.install("server", held, "reset")
            step = w.learner.server_step([smashed], server_updates["mean"](), CutGradient())
            reply = yield from w.server.compute(step)
            yield from w.server.send(reply.own[index], node, "downlink")
            yield from node.compute(w.learner.client_backward(index, reply, client_updates["own"]()))


@component
class Free(Lossy):
    """The same without the loss: it keeps everything."""

    kind: Literal["free"] = "free"  # type: ignore[assignment]

    def client(self, w: Stage, index: int) -> Process[None]:
        node = w.client(index)
        while True:
            smashed = yield from node.compute(w.learner.client_forward(index))
            yield from node.send(smashed, w.server, "uplink")
            step = w.learner.server_step([smashed], server_updates["mean"](), CutGradient())
            reply = yield from w.server.compute(step)
            yield from w.server.send(reply.own[index], node, "downlink")
            yield from node.compute(w.learner.client_backward(index, reply, client_updates["own"]()))


@component
class Copies(Base):
    """A server-side copy for each client, averaged at the end of a round, with fresh optimizers: nothing is lost."""

    kind: Literal["copies"] = "copies"  # type: ignore[assignment]

    def round(self, w: Stage) -> Process[None]:
        yield from w.together(self.one(w, client) for client in w.participants)
        sent = {client: w.learner.weights(f"server-{client}") for client in w.participants}
        mean = yield from w.server.compute(w.learner.average(sent, "uniform"))
        for name in ("server", *(f"server-{client}" for client in w.participants)):
            w.learner.install(name, mean, "reset")

    def one(self, w: Stage, client: int) -> Process[None]:
        node, name = w.client(client), f"server-{client}"
        smashed = yield from node.compute(w.learner.client_forward(client))
        yield from node.send(smashed, w.server, "uplink")
        step = w.learner.server_step([smashed], self.server_rule, CutGradient(), model=name)
        reply = yield from w.server.compute(step, on_behalf_of=(client,))
        yield from w.server.send(reply.own[client], node, "downlink")
        yield from node.compute(w.learner.client_backward(client, reply, self.client_update))

    def optimizer_steps_per_round(self, batch_sizes: Any, shard_sizes: Any) -> tuple[float, float]:
        return 1.0, self.participation.expected_share(len(batch_sizes)) * len(batch_sizes)


@component
class ForgetsSteps(Base):
    kind: Literal["forgets_steps"] = "forgets_steps"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        state = w.learner.states["server"]
        forgotten = Keyed(state.key, state.size_bytes, replace(state.value, n_updates=0))
        w.learner.states["server"] = forgotten
        yield from ()


@component
class ComputesForNothing(Base):
    kind: Literal["for_nothing"] = "for_nothing"  # type: ignore[assignment]

    def round(self, w: Any) -> Process[None]:
        smashed = yield from w.together(self._upload(w, client) for client in w.participants)
        reply = w.learner.server_step(smashed, self.server_rule, CutGradient()).carry_out()
        yield from self._download(w, reply)


@component
class PaysForNothing(Base):
    kind: Literal["pays"] = "pays"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        work = w.learner.client_forward(0)
        yield from w.client(0).compute(replace(work, carry_out=lambda: None))


@component
class BackwardTwice(Base):
    kind: Literal["backward_twice"] = "backward_twice"  # type: ignore[assignment]

    def _train_client(self, w: Any, client: int, reply: Any, arrival: Any) -> Process[None]:
        yield from super()._train_client(w, client, reply, arrival)
        yield from w.client(client).compute(w.learner.client_backward(client, reply, self.client_update))


@component
class BackwardOfAnother(Base):
    kind: Literal["backward_of_another"] = "backward_of_another"  # type: ignore[assignment]

    def _train_client(self, w: Any, client: int, reply: Any, arrival: Any) -> Process[None]:
        yield from w.client(0).compute(w.learner.client_backward(client, reply, self.client_update))


@component
class LooksAtValues(Base):
    kind: Literal["looks_at_values"] = "looks_at_values"  # type: ignore[assignment]

    def _upload(self, w: Any, client: int) -> Process[Any]:
        smashed = yield from super()._upload(w, client)
        assert smashed.value is not None
        return smashed


@component
class LooksAtLosses(Base):
    kind: Literal["looks_at_losses"] = "looks_at_losses"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        if w.learner.observed.losses:
            yield from w.pause(0.5)


@component
class Remembers(Base):
    kind: Literal["remembers"] = "remembers"  # type: ignore[assignment]
    n_rounds: ClassVar[int] = 0

    def after(self, w: Any) -> Process[None]:
        Remembers.n_rounds += 1
        yield from w.pause(0.01 * Remembers.n_rounds)


@component
class WrongPhase(Base):
    kind: Literal["wrong_phase"] = "wrong_phase"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        yield from w.client(0).send(w.learner.weights(0), w.server, "weights")


@component
class TurnedPhases(Base):
    kind: Literal["turned_phases"] = "turned_phases"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        yield from w.client(0).send(w.learner.weights(0), w.server, "downlink")


@component
class TurnedRelays(Base):
    kind: Literal["turned_relays"] = "turned_relays"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        for station in w.stations(0):
            yield from station.send(w.learner.weights(station.name), w.server, "uplink")

    @property
    def two_parts_because(self) -> str:
        return ""


@component
class BeyondTheEnd(Base):
    kind: Literal["beyond"] = "beyond"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        w._recorder.server_span("server", "other", 0.0, 1e9, 1.0, 0.0)
        yield from ()


@component
class MakesEnergy(Base):
    kind: Literal["makes_energy"] = "makes_energy"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        w._recorder.server_span("server", "other", 0.0, 0.001, -1.0, 0.0)
        yield from ()


@component
class ChargesTwice(Base):
    kind: Literal["charges_twice"] = "charges_twice"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        w._recorder.rows.append(("client-0", 0, "waiting", w.round, 0.0, 0.01, 0, 0.0, 0.0, 0.0))
        yield from ()


@component
class LosesTime(Base):
    kind: Literal["loses_time"] = "loses_time"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        filled_until = w._recorder._filled_until
        filled_until.update({client: until_s + 5e-9 for client, until_s in filled_until.items()})
        yield from ()


@component
class Miscounts(Base):
    kind: Literal["miscounts"] = "miscounts"  # type: ignore[assignment]

    def samples_per_round(self, batch_sizes: Any, shard_sizes: Any) -> float:
        return 2 * super().samples_per_round(batch_sizes, shard_sizes)

    def optimizer_steps_per_round(self, batch_sizes: Any, shard_sizes: Any) -> tuple[float, float]:
        return 1.0, 5.0


@component
class NeedsTwo(Base):
    kind: Literal["needs_two"] = "needs_two"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        yield from w.first([w.pause(0.1) for _ in w.participants], n=2)


@component
class NeedsAll(Base):
    kind: Literal["needs_all"] = "needs_all"  # type: ignore[assignment]

    def before(self, w: Any) -> Process[None]:
        if len(w.participants) < w.n_clients:
            raise ValueError("somebody is missing")
        yield from ()


@component
class LeavesBehind(Base):
    kind: Literal["leaves_behind"] = "leaves_behind"  # type: ignore[assignment]

    def after(self, w: Any) -> Process[None]:
        w.spawn(w.pause(1e4))
        yield from ()


@component
class RefusesAll(Base):
    kind: Literal["refuses_all"] = "refuses_all"  # type: ignore[assignment]

    def problems(self, n_clients: int) -> list[str]:
        return [f"{n_clients} clients are not enough"]


@component
class NeedsFour(Base):
    """Sound, for fleets of four or more."""

    kind: Literal["needs_four"] = "needs_four"  # type: ignore[assignment]

    def problems(self, n_clients: int) -> list[str]:
        return [] if n_clients >= 4 else [f"{n_clients} clients are not enough"]


def of(cls: type[Any]) -> Any:
    return lambda: Runs(cls())


CASES: list[tuple[Any, Any, str]] = [
    (claims.runs_to_its_end, of(EndsEarly), "ended by itself after 2 rounds"),
    (claims.runs_to_its_end, of(TakesNoTime), "took no simulated time"),
    (claims.runs_to_its_end, of(RestsInRoundThree), "round 3 begins and ends at"),
    (claims.runs_to_its_end, of(StandsStill), "time stands still at 0 s"),
    (claims.runs_to_its_end, of(Spins), "did not end within 0.5 s of wall time"),
    (claims.runs_to_its_end, of(NeverSteps), "4 rounds have not ended"),
    (claims.runs_to_its_end, of(WaitsForEver), "something that can never happen"),
    (claims.runs_to_its_end, of(NamesNobody), "broken_frameworks.py:"),
    (
        claims.runs_to_its_end,
        of(RefusesAll),
        "it refuses fleets of 1 to 10 clients; for 3: 3 clients are not enough",
    ),
    (claims.runs_to_its_end, of(BackwardTwice), "is asked for twice"),
    (claims.no_step_of_the_server_is_lost, of(Lossy), "are in no server-side state at the end"),
    (claims.states_count_the_steps, of(ForgetsSteps), "counts 0 optimizer steps, and 4 were made"),
    (
        claims.operations_take_time,
        of(ComputesForNothing),
        "4 operations 'server_step' were carried out, and 0",
    ),
    (
        claims.operations_take_time,
        of(PaysForNothing),
        "12 operations 'client_forward' were carried out, and 16 are on the clock",
    ),
    (
        claims.backward_passes_follow_forward_passes,
        of(BackwardOfAnother),
        "client-0 made 12 backward passes after 4",
    ),
    (claims.dry_is_real, of(LooksAtValues), "reads a value of a tensor"),
    (claims.dry_is_real, of(LooksAtLosses), "a dry run has another timeline (first "),
    (claims.replay_is_the_first_run, of(LooksAtValues), "computed tensors again"),
    (claims.replay_is_the_first_run, of(Remembers), "a replay from the journal has another timeline"),
    (claims.same_seed_same_run, of(Remembers), "a second run has another timeline"),
    (claims.bytes_arrive_where_they_are_charged, of(WrongPhase), "a phase of another name"),
    (claims.bytes_arrive_where_they_are_charged, of(TurnedPhases), "client-0 sent"),
    (claims.phases_fill_the_time, of(BeyondTheEnd), "and the run from 0 to"),
    (claims.phases_fill_the_time, of(MakesEnergy), "energy is 0 or more"),
    (claims.phases_fill_the_time, of(ChargesTwice), "the phases of client-0 sum to"),
    (claims.phases_fill_the_time, of(LosesTime), "has no span for 5e-09 s from"),
    (claims.works_in_every_shape, of(TurnedRelays), "in shape 'tiers': stations and servers moved"),
    (claims.samples_are_as_expected, of(Miscounts), "samples_per_round says 30"),
    (claims.works_with_one_client, of(NeedsTwo), "The first 2 of 1 activities were asked for"),
    (claims.works_with_a_sample, of(NeedsAll), "ValueError: somebody is missing"),
]
"""A claim, what breaks it, and what must be said."""

NOTES: list[tuple[Any, Any, str]] = [
    (claims.steps_are_as_expected, of(Miscounts), "says 5 steps of the server in a round, and 1 were made"),
    (claims.nothing_goes_on_at_the_end, of(LeavesBehind), "4 activities go on"),
]
SOUND = [of(Free), of(Copies), of(NeedsFour)]
