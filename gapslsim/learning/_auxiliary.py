"""Operations of clients that take a loss of their own, by an auxiliary network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gapslsim.errors import ProtocolError
from gapslsim.learning._learner_core import LearnerCore
from gapslsim.learning._observations import has_losses
from gapslsim.learning.names import SERVER, auxiliary_of, name_of
from gapslsim.learning.operation import Alignment, Answer, MiniBatch, SmashedData
from gapslsim.learning.reply import ServerReply
from gapslsim.records import LossRow
from gapslsim.work import Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.auxiliary_passes import LocalStep
    from gapslsim.learning.engine import Engine
    from gapslsim.learning.optimizer import Optimizer
    from gapslsim.learning.state import SideState

__all__ = ["AuxiliaryOperations"]


class AuxiliaryOperations(LearnerCore):
    """Offers local losses; see `Learner`."""

    def models_of(self, client: int) -> tuple[str, ...]:
        """States of a client that are averaged together: its own, and its auxiliary network if that is one of them."""
        auxiliary = self.setup.auxiliary
        own = (name_of(client),)
        return (*own, auxiliary_of(client)) if auxiliary is not None and auxiliary.averaged else own

    def auxiliary_step(self, smashed: SmashedData, trains: bool = True) -> Work[ServerReply]:
        """A client's local loss on its own mini-batch: the cut gradient for `client_backward`, which nobody sends.

        Args:
            smashed: of the forward pass.
            trains: whether the auxiliary network takes a step too.

        Raises:
            ProtocolError: if clients have none.
        """
        batch, states = smashed.batch, self.states
        name, optimizer = auxiliary_of(batch.client), self._auxiliary_optimizer(batch.client)

        def carry_out() -> ServerReply:
            operations, state, round = self._operations, states[name], self.round
            key = content_key("auxiliary_step", [trains], state.key, smashed.key)

            def compute(engine: Engine) -> LocalStep:
                return engine.auxiliary.step(batch.client, state.value, smashed.value, trains, round)

            def record_of(step: LocalStep) -> dict[str, Any]:
                return {"local_losses": [LossRow(round, batch.client, step.loss, batch.size)]}

            made, _ = operations.outcome(
                key,
                (state, smashed),
                compute,
                record_of,
                later=True,
                fits=lambda found: has_losses(found, round, (batch.client,), "local_losses"),
            )
            if trains:
                states[name] = operations.part(
                    derived_key(key, name), state.size_bytes, made, lambda step: step.state, is_state=True
                )
            self.states.samples_seen += self._newly_counted([batch])
            size_bytes = batch.size * self.holdings.served_bytes(batch.client)
            cut = operations.part(derived_key(key, "cut"), size_bytes, made, lambda step: step.cut)
            return ServerReply(key, (Answer(batch, cut, None, 0, None if operations.is_dry else "train"),))

        return Work(
            "auxiliary_step", self.costs.auxiliary_step(batch.size, trains, optimizer), carry_out, (name,)
        )

    def align_auxiliary(
        self,
        client: int,
        kept: Sequence[SmashedData],
        epochs: int,
        batch_size: int,
        of_all: bool = False,
        model: str = SERVER,
    ) -> Work[str]:
        """Brings the server's copy of an auxiliary network near the server, on smashed data that it has kept.

        Args:
            client: whose.
            kept: its mini-batches, at least one.
            epochs: passes over their samples.
            batch_size: samples of a step.
            of_all: whether the server's gradients are those of the mean loss over all, not over those of a step.
            model: name of the server-side state.

        Returns:
            Name of the state of that copy.
        """
        # As they are now: the caller goes on with its list.
        messages, n = list(kept), sum(smashed.batch.size for smashed in kept)
        name, optimizer = auxiliary_of(client, SERVER), self._auxiliary_optimizer(client)

        def carry_out() -> str:
            state, server, round = self.states[name], self.states[model], self.round
            how = Alignment(client, round, epochs, batch_size, of_all)
            key = content_key("align", list(how), state.key, server.key, *(one.key for one in messages))

            def compute(engine: Engine) -> SideState:
                return engine.auxiliary.align(how, state.value, server.value, [one.value for one in messages])

            made: Keyed[SideState] = self._keyed(
                key, state.size_bytes, (state, server, *messages), compute, is_state=True
            )
            self.states[name] = made
            return name

        cost = self.costs.alignment(n, epochs, batch_size, optimizer)
        return Work("align_auxiliary", cost, carry_out, (name, model))

    def _newly_counted(self, batches: Sequence[MiniBatch]) -> int:
        """Samples that are trained on for the first time: a mini-batch may serve a local step and one of the server."""
        new = [batch for batch in batches if not batch.is_counted]
        if self.setup.auxiliary is not None:
            for batch in new:
                batch.is_counted = True
        return sum(batch.size for batch in new)

    def _auxiliary_optimizer(self, client: int) -> Optimizer:
        if self.setup.auxiliary is None:
            raise ProtocolError(
                "Clients have no auxiliary network here, so they have no loss of their own; give the framework a "
                "setting `auxiliary`."
            )
        return self.setup.auxiliary_optimizer(client)
