"""Averages of clients that are cut unlike: block by block, over those who have it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

from gapslsim.errors import ProtocolError
from gapslsim.learning._learner_core import LearnerCore, Shares
from gapslsim.learning.holdings import Held
from gapslsim.learning.names import CLIENT, SERVER, Side, name_of
from gapslsim.learning.operation import SentWeights
from gapslsim.models.segments import OF_SERVER, Range
from gapslsim.work import Cost, Keyed, Work, content_key, derived_key

if TYPE_CHECKING:
    from gapslsim.learning.cuts_engine import CutsEngine
    from gapslsim.learning.engine import Engine

__all__ = ["CommonBlocks"]


class CommonBlocks(LearnerCore):
    """Offers averages of blocks that some clients have in common; see `Learner`."""

    def part_for(self, client: int, mean: SentWeights) -> SentWeights:
        """What a client gets of an average: its own blocks.

        Args:
            client: who is sent to.
            mean: of client-side weights; all of it, where all clients are cut alike.
        """
        if not mean.blocks:
            return mean
        (held,), (own,) = mean.blocks, self._segments.of_client(client)
        holds = self.holdings.of(name_of(client))
        key = derived_key(mean.key, "part", own.last)
        part = self._operations.held(
            key, (mean,), lambda e: _of(e).stretches.part(mean.value, (held,), own), light=True
        )
        return SentWeights(key, holds.size_bytes, part, side=CLIENT, holds=holds)

    def common_weights(self) -> SentWeights | None:
        """The server's copy of blocks that lie on some clients, as it is now; None where all are cut alike."""
        if not self._cuts_differ:
            return None
        return self._part_of_server(
            derived_key(self.states[SERVER].key, "common"), self.states[SERVER], SERVER
        )

    def common_part(self, mean: SentWeights) -> SentWeights:
        """Those blocks of an average of client-side weights.

        Args:
            mean: of client-side weights, the server's copy among them.
        """
        return self._part_of_server(derived_key(mean.key, "common"), mean, CLIENT)

    def install_common(self, mean: SentWeights, optimizer: Literal["keep", "restart"]) -> None:
        """Replaces the server's copy of blocks that lie on some clients; takes no time.

        Args:
            mean: `common_part` of an average.
            optimizer: its state of these blocks is kept, or starts anew.
        """
        state, blocks = self.states[SERVER], self._common
        self.states.named[SERVER] = self._keyed(
            derived_key(mean.key, "install", optimizer, state.key),
            self.holdings.of(SERVER).size_bytes,
            (state, mean),
            lambda e: _of(e).with_blocks(state.value, mean.value, blocks, optimizer == "restart"),
            is_state=True,
            light=True,
        )

    @property
    def _common(self) -> Range:
        """Blocks that some clients have and others go through on the server."""
        return Range(
            *(of(self.setup.cut_of(c) or 0 for c in range(self.setup.n_clients)) for of in (min, max))
        )

    def _part_of_server(self, key: str, whole: Keyed[Any], side: Side) -> SentWeights:
        """The common blocks of the server's state, or of a mean over clients."""
        blocks = self._common
        (held,) = self._segments.held(SERVER) if side == SERVER else whole.blocks  # type: ignore[attr-defined]
        pieces = self.holdings.pieces(blocks)
        holds = Held.of(pieces, self.setup.itemsize)
        part = self._operations.held(
            key, (whole,), lambda e: _of(e).stretches.part(whole.value, (held,), blocks), light=True
        )
        return SentWeights(key, holds.size_bytes, part, side=SERVER, holds=holds, blocks=(blocks,))

    def _average_blocks(
        self, weights: Mapping[int, SentWeights], shares: Shares, copy: SentWeights | None
    ) -> Work[SentWeights]:
        """Mean of weights by client; of a server-side copy those blocks count that its client goes through."""
        clients = tuple(sorted(weights))
        messages = [weights[client] for client in clients]
        if len({message.side for message in messages}) != 1:
            raise ProtocolError(
                f"average needs weights of one side, of at least one client; found {len(messages)}."
            )
        segments, side = self._segments, messages[0].side
        if side == CLIENT:
            having = [segments.of_client(client)[0] for client in clients]
            held, most = having, max(clients, key=segments.cut)
            blocks, holds = Range(0, segments.cut(most)), self.holdings.of(name_of(most))
        else:
            (blocks,) = segments.held(OF_SERVER)
            having = [Range(segments.cut(client), blocks.last) for client in clients]
            held, holds = [blocks] * len(clients), self.holdings.of(SERVER)

        common = Range(0, 0) if copy is None else self._common
        came = messages if copy is None else [*messages, copy]

        def carry_out() -> SentWeights:
            key = content_key("average", [shares, list(clients)], *(message.key for message in came))
            given = self._shares(clients, shares)
            mean = self._operations.held(
                key,
                came,
                lambda e: _of(e).average_blocks(
                    [m.value for m in came], [*held, common], [*having, common], given, blocks
                ),
            )
            of_clients = (blocks,) if side == CLIENT else ()
            return SentWeights(key, holds.size_bytes, mean, side=side, holds=holds, blocks=of_clients)

        return Work("average", self._cost_of_mean([*having, common], blocks), carry_out)

    def _cost_of_mean(self, having: list[Range], blocks: Range) -> Cost:
        """Of each piece, over those that have it."""
        parts = []
        for first, last in pairwise(self._segments.bounds):
            piece = Range(first, last)
            n = sum(own.holds(piece) for own in having)
            if n and blocks.holds(piece):
                (cost,) = self.holdings.pieces(piece)
                parts.append(self.costs.average(n, cost.n_trained))
        return Cost(parts=tuple(parts))


def _of(engine: Engine) -> CutsEngine:
    return cast("CutsEngine", engine)
