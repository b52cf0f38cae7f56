"""The learner: split learning as keyed operations on named states, each offered to the clock as `Work`.

An operation reads the states that it names when it is carried out, not when it is asked for: it may wait in a queue,
be overtaken, be cancelled. What belongs to one mini-batch travels with its messages (`MiniBatch`). Every operation is
a deterministic function of named inputs and has a content key: a hash of its name, settings and inputs' keys. A dry
learner makes the same operations, keys, sizes and costs, without tensors. With a journal, an operation that is known
is not computed: what it let us see is read, and its value waits until somebody needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gapslsim.errors import LostError, ProtocolError
from gapslsim.learning._auxiliary import AuxiliaryOperations
from gapslsim.learning._common_blocks import CommonBlocks
from gapslsim.learning._forwards import ClientForwards
from gapslsim.learning._learner_core import Shares
from gapslsim.learning._observations import geometry_record, is_of_step, step_record
from gapslsim.learning._relays import served
from gapslsim.learning._server_training import ServerTraining
from gapslsim.learning.logit_adjustment import unfit
from gapslsim.learning.names import SERVER, name_of, of_side
from gapslsim.learning.operation import (
    ClientBackward,
    SentWeights,
    ServerOutcome,
    ServerStep,
    SmashedData,
)
from gapslsim.learning.operations import Alike
from gapslsim.learning.reply import ServerReply, make_reply
from gapslsim.learning.rules import ClientUpdate, CutGradient, ServerUpdate
from gapslsim.learning.state import SideState
from gapslsim.learning.states import RuleMemory
from gapslsim.work import Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.engine import Engine

__all__ = ["Learner"]


class Learner(CommonBlocks, ServerTraining, ClientForwards, AuxiliaryOperations):
    """Offers every operation on the named states of one training.

    A client trains the state `client-3` of its own unless a protocol names another; the server trains `server`, or
    copies whose names begin so. What a state holds that was never written, `States` says.

    Args:
        setup: data, model, optimizers.
        engine: does the tensor work, or makes what does when it is first needed; None for a dry run.
        journal: what is known of this training; None to compute everything.
        evaluation_batch: samples per forward pass of the engine's evaluations; part of their keys.
        server_clock: how the server makes its passes; it changes what they cost, and not what is trained.
        most_joined: samples that the server's memory holds in a joined pass.
    """

    def server_pass(
        self, smashed: SmashedData, rule: ServerUpdate, cut_rule: CutGradient
    ) -> Work[SmashedData]:
        """FP and BP of the server side on a mini-batch that arrives; what comes out shows in the step that takes it."""
        size, client = smashed.batch.size, smashed.batch.client
        cost = self.costs.server_pass(size, cut_rule.n_shared(size), rule, self.setup.cut_of(client))
        cost = self._hops.charged(cost, received=[self._arriving(client, size)])

        def carry_out() -> SmashedData:
            smashed.batch.is_served = True
            return smashed

        return Work("server_pass", cost, carry_out, (SERVER,))

    def server_step(
        self,
        smashed: Mapping[int, SmashedData] | Iterable[SmashedData],
        rule: ServerUpdate,
        cut_rule: CutGradient,
        model: str = SERVER,
        weights: Mapping[int, float] | None = None,
        joined: bool = False,
        answers: bool = True,
    ) -> Work[ServerReply]:
        """FP and BP of the server side per mini-batch, the rule's decision, one update.

        Args:
            smashed: of one client or more, several mini-batches of a client too.
            rule: from the gradients of all to the update.
            cut_rule: which cut gradient each gets.
            model: name of the server-side state that is stepped; it begins with `server`.
            weights: by client, a factor on the gradients of its mini-batches before the rule decides; 1 unless given.
            joined: all samples go through one pass, whose gradient is that of the clients' losses weighted by samples;
                batch norm and dropout see them together. For rules without client gradients.
            answers: whether cut gradients will be sent; only then they are encoded.

        Raises:
            ProtocolError: if there is nothing to step with, for a state of the client side, if samples that are joined
                are to give gradients of single clients or a shared part, or if logits cannot be adjusted.
        """
        messages = list(smashed.values() if isinstance(smashed, Mapping) else smashed)
        if not messages:
            raise ProtocolError("A server step needs smashed data of at least one client; found none.")
        messages.sort(key=lambda message: (message.batch.client, message.batch.step))
        batches = [message.batch for message in messages]
        clients, sizes = tuple(batch.client for batch in batches), [batch.size for batch in batches]
        shared = [cut_rule.n_shared(size) for size in sizes]
        n_broadcast = [cut_rule.n_broadcast(batch.client, batch.size) for batch in batches]
        name = of_side(model, SERVER)
        factors = tuple((weights or {}).get(client, 1.0) for client in clients)
        weighing = factors if any(factor != 1 for factor in factors) else None
        if joined and (rule.needs_client_gradients or weighing is not None or any(shared)):
            raise ProtocolError("A joined pass gives no gradient of a single client, and no shared part.")
        cut_factors, adjustment = cut_rule.factors(sizes, joined), cut_rule.adjustment
        if adjustment is not None and (why := unfit(self.setup.loss, self.setup.data.target, joined)):
            raise ProtocolError(f"{why}.")

        def carry_out() -> ServerReply:
            operations, states, round = self._operations, self.states, self.round
            state, memory, turn = states[name], states.rule_memory(name), states.turn(name)
            measures = self.measures_geometry and len(clients) > 1 and not turn and name == SERVER
            # What is drawn: a stream per round, and per step where there are several.
            stream: tuple[int | str, ...] = (
                round,
                *([turn] if turn else []),
                *([name] if name != SERVER else []),
            )
            settings = [
                self._settings(rule),
                [cut_rule.shared_fraction, cut_rule.average],
                list(clients),
                stream,
                self.setup.planned_rounds,
                *([] if weighing is None else [list(weighing)]),
                *(["joined"] if joined else []),
                *([] if cut_factors is None else [cut_rule.scale]),
                *([] if cut_rule.averaged is None else [list(cut_rule.averaged)]),
                *([] if adjustment is None else adjustment.content(self.setup.shard_keys, clients)),
            ]
            # The state as a step left it has that step, and with it what the rule remembers, in its key.
            remembered = () if state.key.startswith(memory.key) else (memory.key,)
            arrived = [self._arrived(name, batch) for batch in batches] if self.has_tails else []
            inputs = [state, *messages, *arrived]
            key = content_key("server_step", settings, *(given.key for given in inputs), *remembered)

            def compute(engine: Engine) -> ServerOutcome:
                return engine.server_step(
                    ServerStep(
                        batches,
                        state.value,
                        served([message.value for message in messages], [came.value for came in arrived]),
                        rule,
                        rule.initial_state() if memory.values is None else memory.values,
                        shared,
                        [cut_rule.averages(client) for client in clients],
                        round,
                        stream,
                        state.key,
                        weighing,
                        measures,
                        joined,
                        cut_factors,
                        None if not arrived else [message.value.labels for message in messages],
                        adjustment,
                    )
                )

            outcome, record = operations.outcome(
                key,
                inputs,
                compute,
                lambda made: step_record(made, round, clients),
                fits=lambda found: is_of_step(found, round, clients, rule.steps),
            )
            if measures and outcome is not None:
                operations.observe(
                    content_key("geometry", None, key), [outcome], lambda _: geometry_record(outcome.value)
                )
            after: Keyed[SideState] = operations.part(
                derived_key(key, SERVER),
                self.holdings.of(name).size_bytes,
                outcome,
                lambda made: made.state,
                is_state=True,
            )
            if self.journal is not None:
                needs = (state, *(kept for batch in batches for kept in (batch.state, *batch.needs)))
                for batch in batches:
                    batch.needs = needs
            if rule.steps:
                memory = RuleMemory(key, record.get("rule_state"))
                states.stepped(name, after, clients, self._newly_counted(batches), memory)
                self._updated()
            else:
                states.named[name] = after  # with the statistics of its passes
            reply = make_reply(
                key,
                batches,
                n_broadcast,
                self.holdings.served_bytes,
                record.get("fates"),
                outcome,
                operations.part,
            )
            return self._hops.reply(states, reply, name, stream, messages) if answers else reply

        is_served = all(batch.is_served for batch in batches)
        if joined:
            cost = self.costs.joined_step(sizes, rule, adjusted=answers and adjustment is not None)
        else:
            cuts = [cut for client in clients if (cut := self.setup.cut_of(client)) is not None]
            cost = self.costs.server_step(sizes, shared, rule, served=is_served, cuts=cuts)
        came = (
            []
            if is_served or not rule.steps
            else [self._arriving(batch.client, batch.size) for batch in batches]
        )
        sent = self._hops.downloaded(batches, n_broadcast) if answers else ()
        cost = self._hops.charged(cost, received=came, sent=sent)
        n_loops = len(sizes) if self.costs.server.computes == "in_sequence" else 1
        return Work("server_step" if rule.steps else "cut_gradients", cost, carry_out, (name,), n_loops)

    def client_backward(self, whom: int | SmashedData, reply: ServerReply, rule: ClientUpdate) -> Work[None]:
        """BP of the client side from the cut gradient of a mini-batch, and the client's update.

        The gradient is that of the weights that the forward pass was made with; it updates the weights that the
        client has when the computation is carried out. Running statistics become those of this forward pass.

        Args:
            whom: the client, or its smashed data where the server's step took several mini-batches of it.
            reply: of the step that took it.
            rule: what the client does with its gradient.

        Raises:
            ProtocolError: if the step took nothing of the client.
            LostError: when carried out, if the client has lost its state since the forward pass.
        """
        answer = reply.to(whom)
        batch = answer.batch
        initial = self._initial(batch.model)

        def carry_out() -> None:
            states = self.states
            if states.lives.get(batch.client, 0) != batch.life:
                raise LostError(
                    f"client-{batch.client} has lost its state, and with it its forward pass {batch.step}."
                )
            states.use(batch)
            state = states.named[batch.model]
            cut = [part for part in (answer.shared, answer.own) if part is not None]
            # The server's step has this forward pass among its inputs, and with it the state that it began with.
            changed = () if batch.key.startswith(state.key) else (state.key,)
            # What error feedback adds is no part of the step.
            sent = [part.key for part in cut if self._hops.remembers("gradients")]
            key = derived_key(
                reply.key,
                "backward",
                batch.client,
                batch.step,
                self._rule_key(rule.adjusts_as),
                *changed,
                *sent,
            )
            call: Alike[SideState] = Alike(
                _backwards, lambda: ClientBackward(answer, state.value, rule, initial.value)
            )
            tail = () if batch.tail is None else (batch.tail,)
            inputs = (state, batch.state, initial, *cut, *tail)
            states.named[batch.model] = self._keyed(
                key, self.holdings.of(batch.model).size_bytes, inputs, call, is_state=True
            )

        optimizer = self.setup.optimizer_of(batch.client)
        cost = self.costs.client_backward(batch.size, rule, optimizer, self.setup.cut_of(batch.client))
        cost = self._hops.charged(cost, received=self._hops.answered(reply, answer))
        return Work("client_backward", cost, carry_out, (batch.model,))

    def weights(self, model: int | str, optimizer: bool = False) -> SentWeights:
        """Weights as a message, as they are now: parameters and buffers.

        Args:
            model: a client, or the name of a state.
            optimizer: whether the optimizer's state travels along, and is paid for.
        """
        name = name_of(model)
        state, side = self.states[name], self._side_of(name)
        n_slots = getattr(self.setup, f"{side}_optimizer").n_slots if optimizer else 0
        key = derived_key(state.key, "weights", optimizer)
        held = self._operations.held(key, (state,), lambda e: e.weights(state.value, optimizer), light=True)
        holds = self.holdings.of(name)
        return SentWeights(key, holds.size_bytes + n_slots * holds.slot_bytes, held, side=side, holds=holds)

    def average(
        self, weights: Mapping[int, SentWeights], shares: Shares, copy: SentWeights | None = None
    ) -> Work[SentWeights]:
        """Mean of the weights of one side; where clients are cut unlike, of each block over those who have it there.

        Args:
            weights: by client.
            shares: weight of each in the mean.
            copy: `common_weights` of the server, which count for the clients that go through them there.

        Raises:
            ProtocolError: if there are none, or of both sides.
        """
        if self._cuts_differ:
            return self._average_blocks(weights, shares, copy)
        clients = tuple(sorted(weights))
        messages = [weights[client] for client in clients]
        settings = [shares, list(clients)]
        return self._sum("average", settings, messages, lambda: self._shares(clients, shares))

    def combine(self, terms: Sequence[tuple[SentWeights, float]]) -> Work[SentWeights]:
        """Sum of weights of one side, each times a factor; what is no floating-point number is that of the first.

        Args:
            terms: weights and factors, at least one.

        Raises:
            ProtocolError: if there are none, or of both sides.
        """
        factors = [factor for _, factor in terms]
        return self._sum("combine", factors, [message for message, _ in terms], lambda: factors)

    def _sum(
        self,
        name: str,
        settings: Any,
        messages: Sequence[SentWeights],
        factors: Callable[[], Sequence[float]],
    ) -> Work[SentWeights]:
        """A sum of weights with factors; `settings` say in the content key what they are."""
        sides = {message.side for message in messages}
        if len(sides) != 1:
            raise ProtocolError(
                f"{name} needs weights of one side, of at least one client; found {len(messages)} "
                f"of {len(sides)} sides."
            )
        (side,), holds = sides, messages[0].holds

        def carry_out() -> SentWeights:
            key, given = content_key(name, settings, *(message.key for message in messages)), factors()
            held = self._operations.held(
                key, messages, lambda e: e.average([message.value for message in messages], given)
            )
            return SentWeights(key, holds.size_bytes, held, side=side, holds=holds)

        return Work("average", self.costs.average(len(messages), holds.n_trained), carry_out)

    def install(
        self,
        model: int | str,
        weights: SentWeights,
        optimizer: Literal["carry", "keep", "restart", "reset"],
        of: int | str | None = None,
    ) -> None:
        """Replaces the weights of a state by received ones; takes no time.

        Args:
            model: a client, or the name of a state.
            weights: received.
            optimizer: its state comes with the weights (`carry`), is kept, or starts anew; the count of its steps, for
                schedules, then goes on (`restart`) or not (`reset`).
            of: whose optimizer is kept; that of `model` unless given.

        Raises:
            ProtocolError: for weights of the other side.
        """
        name = name_of(model)
        if self._side_of(name) != weights.side:
            of_side(name, weights.side)
        kept = self.states[name if of is None else name_of(of)] if optimizer in ("keep", "restart") else None
        self.states[name] = self._keyed(
            derived_key(weights.key, "install", optimizer, *([] if kept is None else [kept.key])),
            weights.holds.size_bytes,
            (weights,) if kept is None else (weights, kept),
            lambda e: e.install(weights.side, weights.value, optimizer, None if kept is None else kept.value),
            is_state=True,
            light=True,
        )


def _backwards(engine: Engine, calls: list[ClientBackward]) -> list[SideState]:
    return engine.client_backwards(calls)
