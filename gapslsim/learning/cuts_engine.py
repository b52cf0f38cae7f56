"""The engine of clients that are cut unlike: each goes through its own blocks, then through the server's after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gapslsim.learning._limits import limits_for
from gapslsim.learning.client_passes import ClientPasses
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.gradient_rows import GradientRows, Rows, columns_of, mean_of, new_rows
from gapslsim.learning.messages import Smashed, Weights
from gapslsim.learning.operation import ClientBackward, ClientForward, ServerStep
from gapslsim.learning.piecewise import Piecewise
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.learning.segmented_engine import SegmentedEngine
from gapslsim.learning.server_pass import ServerPass, server_pass, weighed
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, mean_weights, unflatten
from gapslsim.models.segments import OF_SERVER, Range

__all__ = ["CutsEngine"]

T = TypeVar("T")


class CutsEngine(SegmentedEngine):
    """An engine of client and server, cut where each client says; see `Engine`.

    The server holds all blocks that any client lacks. Gradients of a client are zero where it has a block itself. A
    block's update is over the clients that have it on the server, and a block that no client of a step has there takes
    no step.
    """

    def __init__(self, *given: Any, **how: Any) -> None:
        super().__init__(*given, **how)
        setup, segments = self._setup, self.stretches.segments
        (self._held,) = segments.held(OF_SERVER)
        costs, limits = OperationCosts(setup), limits_for(self._device)
        self._of_cut: dict[int, ClientPasses] = {}
        self._samples: dict[int, dict[str, int]] = {}
        """Most samples of a pass of the server after each cut."""
        for cut in self._cuts:
            sides = costs.split_at(cut, setup.batch_size)
            self._of_cut[cut] = self._passes_through(
                self.stretches.side(Range(0, cut), of_client=True), sides
            )
            self._samples[cut] = {
                name: limits.samples(most, sides.server, setup.batch_size)
                for name, most in (
                    ("joined_samples", limits.joined_bytes),
                    ("stacked_samples", limits.stacked_bytes),
                )
            }
        self.stacks_clients |= any(passes.stacks for passes in self._of_cut.values())
        self.in_waves |= self.stacks_clients

    @property
    def _cuts(self) -> list[int]:
        """All cuts, ascending."""
        segments = self.stretches.segments
        return sorted({segments.cut(client) for client in range(self._setup.n_clients)})

    def _cut(self, client: int) -> int:
        return self.stretches.segments.cut(client)

    def _sides(self, blocks: list[tuple[str, nn.Module]], examples: Sequence[Tensor]) -> tuple[Side, Side]:
        """As in the base class; the server steps piece by piece, from cut to cut."""
        client, server = super()._sides(blocks, examples)
        bounds = self.stretches.segments.bounds
        (held,) = self.stretches.segments.held(OF_SERVER)
        pieces = [Range(*piece) for piece in pairwise(bounds) if piece[0] >= held.first]
        counts = [self.stretches.places((piece,), piece)[0].stop for piece in pieces]
        server.optimizer = Piecewise(server.optimizer, counts)
        return client, server

    def client_forwards(self, calls: Sequence[ClientForward]) -> list[Smashed]:
        """See the base class; side by side go clients with one cut."""
        clients = [call.batch.client for call in calls]
        return self._by_cut(clients, lambda passes, places: passes.forward([calls[i] for i in places]))

    def client_backwards(self, calls: Sequence[ClientBackward]) -> list[SideState]:
        """See the base class; side by side go clients with one cut."""
        clients = [call.answer.batch.client for call in calls]
        return self._by_cut(clients, lambda passes, places: passes.backward([calls[i] for i in places]))

    def _by_cut(
        self, clients: Sequence[int], make: Callable[[ClientPasses, list[int]], Sequence[T]]
    ) -> list[T]:
        """What is made of the calls at the places of each cut's clients, in the order of all."""
        cuts = [self._cut(client) for client in clients]
        made: dict[int, T] = {}
        for cut in dict.fromkeys(cuts):
            places = [place for place, own in enumerate(cuts) if own == cut]
            made.update(zip(places, make(self._of_cut[cut], places), strict=True))
        return [made[place] for place in range(len(clients))]

    def _server_pass(
        self,
        step: ServerStep,
        side: Side,
        state: SideState,
        messages: Sequence[Smashed],
        n_shared: Sequence[int],
        seeds: Sequence[int],
        second_order: bool,
        *,
        keep_rows: bool = True,
        on_host: bool = False,
        **how: Any,
    ) -> ServerPass:
        """Passes of clients with one cut at a time, in order of the clients; statistics are handed on."""
        d = sum(parameter.numel() for parameter in state.parameters)
        like = state.parameters[0] if state.parameters else messages[0].activations
        rows: Rows = like.new_zeros(len(messages) if keep_rows else 1, d)
        if keep_rows and on_host:
            rows = new_rows(len(messages), d, like)
            rows.matrix.zero_()
        buffers, parts = state.buffers, []
        for cut, run in self._runs(step):
            blocks = Range(cut, self._held.last)
            weights = self.stretches.part(replace(state, buffers=buffers), (self._held,), blocks)
            n_after, columns = len(weights.buffers), slice(self._column(state, cut), None)
            limits = {
                name: self._samples[cut][name]
                for name, most in how.items()
                if most and name in self._samples[cut]
            }
            passed = server_pass(
                self.stretches.side(blocks),
                SideState(weights.parameters, weights.buffers, {}),
                messages[run],
                n_shared[run],
                [*seeds[run], seeds[-1]],
                second_order,
                keep_rows=keep_rows,
                criterion=self.criterion,
                into=_part_of(rows, run, columns) if keep_rows else None,
                **how | limits,
            )
            if not keep_rows and isinstance(passed.matrix, Tensor) and isinstance(rows, Tensor):
                rows[0, columns] += passed.matrix[0] * (run.stop - run.start)
            buffers = (*buffers[: len(buffers) - n_after], *passed.buffers)
            parts.append(passed)
        if not keep_rows and isinstance(rows, Tensor):
            for having, columns in self._pieces(step, range(len(messages))):
                rows[0, columns] /= len(having)
        return ServerPass(
            losses=torch.cat([part.losses for part in parts]),
            matrix=rows,
            cuts=[cut for part in parts for cut in part.cuts],
            shared_cut=None,
            buffers=buffers,
            hessian_product=None,
        )

    def _runs(self, step: ServerStep) -> Iterator[tuple[int, slice]]:
        """Mini-batches in a row whose clients have one cut."""
        first = 0
        for cut, group in groupby(self._cut(client) for client in step.clients):
            n = len(list(group))
            yield cut, slice(first, first + n)
            first += n

    def _column(self, state: SideState, block: int) -> int:
        """First column of a block in a gradient of all that the server holds."""
        parameters, _ = self.stretches.places((self._held,), Range(self._held.first, block))
        return sum(parameter.numel() for parameter in state.parameters[parameters])

    def _pieces(self, step: ServerStep, rows: Sequence[int]) -> Iterator[tuple[list[int], slice]]:
        """Columns from cut to cut, with those of the rows that have them on the server; without what nobody has."""
        for first, last in pairwise((*self._cuts, self._held.last)):
            having = [row for row in rows if self._cut(step.clients[row]) <= first]
            if having:
                yield having, slice(self._column(step.state, first), self._column(step.state, last))

    def _weighed(self, weights: Sequence[float], matrix: Rows, rule: ServerUpdate) -> Rows:
        """Rows in any case: who has a block is not the same for all."""
        return weighed(weights, matrix, True)

    def _first_compared(self, step: ServerStep) -> int:
        """Column from which on the rule decides."""
        return 0 if step.rule.compares == "own" else self._column(step.state, self._cuts[-1])

    def _compared(self, step: ServerStep, rows: Rows) -> Rows:
        """Columns that the rule decides on."""
        return columns_of(rows, slice(self._first_compared(step), None))

    def _gradients(self, step: ServerStep, passed: ServerPass, matrix: Rows) -> Gradients:
        """What the rule is told: of the columns that it compares."""
        rows = self._compared(step, matrix)
        if not step.rule.needs_client_gradients and len(rows) > 1:
            rows = mean_of(rows, range(len(rows)))[None]
        return super()._gradients(step, passed, rows)

    def _update(self, step: ServerStep, decision: Decision, matrix: Rows) -> tuple[Tensor, ...]:
        """The rule's update; before it, block by block, the mean over those that count and have it on the server."""
        first = self._first_compared(step)
        counts = [fate == "train" for fate in decision.fates]
        if decision.detail is not None:
            counts = [bool(admitted) for admitted in decision.detail.admitted]
        counted = [row for row, is_counted in enumerate(counts) if is_counted]
        sums, begins, parts = step.rule.sums_clients, first, []
        for having, columns in self._pieces(step, counted):
            begins = min(begins, columns.start)
            if columns.start >= first or columns.start == columns.stop:
                continue
            if len(matrix) == len(step.clients):
                parts.append(mean_of(columns_of(matrix, columns), having, total=sums))
            elif isinstance(matrix, Tensor):  # Their mean already.
                parts.append(matrix[0, columns] * (len(having) if sums else 1))
        of_own = min((self._cut(step.clients[row]) for row in counted), default=self._cuts[-1])
        if step.rule.compares == "own":
            parts.append(decision.update[self._column(step.state, of_own) :])
        else:
            parts.append(decision.update)
        taken, _ = self.stretches.places((self._held,), Range(of_own, self._held.last))
        return unflatten(torch.cat(parts), step.state.parameters[taken])

    def with_blocks(self, state: SideState, weights: Weights, blocks: Range, restarts: bool) -> SideState:
        """The server's state with other weights of some blocks.

        Args:
            state: of the server.
            weights: of the blocks.
            blocks: whose, whole pieces from the first cut on.
            restarts: whether their optimizer starts anew.
        """
        of_parameters, of_buffers = self.stretches.places((self._held,), blocks)
        parameters, buffers = list(state.parameters), list(state.buffers)
        parameters[of_parameters], buffers[of_buffers] = weights.parameters, weights.buffers
        slots = dict(state.optimizer)
        if restarts:
            n_pieces = sum(first < blocks.last for first in self._cuts)
            fresh = self.server.optimizer.initial(tuple(parameters))
            slots |= {name: held for name, held in fresh.items() if int(name.split("/")[0]) < n_pieces}
        return replace(state, parameters=tuple(parameters), buffers=tuple(buffers), optimizer=slots)

    def average_blocks(
        self,
        weights: Sequence[Weights],
        held: Sequence[Range],
        having: Sequence[Range],
        shares: Sequence[float],
        blocks: Range,
    ) -> Weights:
        """Weighted mean of some blocks, each over those that have it; what nobody has is as the first one holds it.

        Args:
            weights: of each client's state; besides, if any, of the server, which count for the clients without them.
            held: blocks that each holds.
            having: those of them that count.
            shares: weights of the clients, above 0.
            blocks: wanted.
        """
        n = len(shares)
        parts: list[Weights] = []
        for first, last in pairwise(self.stretches.segments.bounds):
            piece = Range(first, last)
            if not blocks.holds(piece):
                continue
            counted = {i: shares[i] for i in range(n) if having[i].holds(piece)}
            others = sum(shares[i] for i in range(n) if i not in counted)
            if others and any(own.holds(piece) for own in having[n:]):
                counted[n] = others
            if not counted:
                counted = {next(i for i, own in enumerate(held) if own.holds(piece)): 1.0}
            total = sum(counted.values())
            parts.append(
                mean_weights(
                    [self.stretches.part(weights[i], (held[i],), piece) for i in counted],
                    [share / total for share in counted.values()],
                )
            )
        return Weights(
            tuple(parameter for part in parts for parameter in part.parameters),
            tuple(buffer for part in parts for buffer in part.buffers),
        )


def _part_of(rows: Rows, run: slice, columns: slice) -> Rows:
    """A part of a matrix, to be written to."""
    if isinstance(rows, GradientRows):
        n = run.stop - run.start
        return GradientRows(rows.matrix[run, columns], rows.sums[run], tuple(range(n)))
    return rows[run, columns]
