"""What passes keep and take at their peak: they are made on the meta device, with shapes and without any memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gapslsim.learning._joining import stacked_client_samples
from gapslsim.learning._limits import Limits
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.live_bytes import LiveBytes
from gapslsim.learning.messages import Smashed
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.probe import Traits
from gapslsim.learning.relay_passes import RECEIVED
from gapslsim.learning.server_pass import server_pass
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, differentiate, unflatten
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Segments
from gapslsim.models.split import blocks_on_meta, cut_at
from gapslsim.registry import is_shipped

__all__ = ["Client", "PassMemory", "Server"]


class Client(NamedTuple):
    """Bytes of client-side passes, made side by side where the engine does so."""

    batch: int
    """Inputs and labels of one mini-batch."""
    smashed: int
    """Smashed data of one mini-batch."""
    kept: int
    """What one forward pass keeps for its backward pass, smashed data among it, the batch not."""
    forward: int
    """Peak of the forward pass above what it keeps, of all that are side by side."""
    backward: int
    """Peak of the backward pass, with its gradients, of all side by side."""
    update: int
    """Peak of an update without its new state: gradients of all side by side, what is left of their passes."""


class Server(NamedTuple):
    """Bytes of a server's pass over a group of mini-batches, without the clients' gradients where they are wanted."""

    peak: int
    left: int
    """What stays: cut gradients; the graph, where it is to be differentiated again."""

    def on_line_to(self, other: Server, steps: int, of: int) -> Server:
        """What lies `steps` away on a line through both, which lie `of` steps apart."""
        return Server(*(mine + (its - mine) * steps // of for mine, its in zip(self, other, strict=True)))


_FEW: Final = 512
"""Mini-batches of a joined pass that are measured one by one: they take a tenth of a second."""
_MESSAGES: Final = 64
"""Messages that stand for more than these, at most."""


class PassMemory:
    """Measures passes of one mini-batch, each when first asked for.

    Args:
        setup: model, optimizers, loss.
        batch_size: samples of a mini-batch.
        limits: of the device.
        cut: blocks on the client; where the model says unless given.
    """

    def __init__(self, setup: LearningSetup, batch_size: int, limits: Limits, cut: int | None = None) -> None:
        self._data, self._size = setup.data, batch_size
        # Ways of making a training ask for the same passes.
        self._clients, self._servers = cache(self._client_passes), cache(self._server_passes)
        shape, n_classes = setup.data.input_shape, setup.data.n_classes
        blocks = blocks_on_meta(setup.model, shape, n_classes)
        place = setup.model.cut_index(shape, n_classes) if cut is None else cut
        client, server, others = _parts(setup.segments, blocks, place)
        stacks_all = not limits.is_cache
        self._client = _side(client, setup.client_optimizer, stacks_all)
        self._server = _side(server, setup.server_optimizer, stacks_all)
        # The modules are there and do not count: passes see views of them.
        modules = (client, server, *(other.module for other in others))
        tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
        self._meter = LiveBytes(tensors, device="meta")
        self._criterion = Criterion.of(setup.loss, None, torch.empty(0, device="meta"), setup.data.target)
        costs = OperationCosts(setup).split_at(cut, batch_size)
        # As the engine chooses; where passes of a user's model draw or mix is not known from shapes.
        apart = not is_shipped(setup.model) or any(map(_draws_or_mixes, server.modules()))
        together = is_shipped(setup.model) and not any(map(_draws_or_mixes, client.modules()))
        most = stacked_client_samples(self._client, costs, batch_size, limits) if together else 0
        self.n_stacked = most // batch_size
        """Client-side passes side by side; 0 where they are made one after the other."""
        self.n_joined, self.n_beside = (
            1 if apart else max(1, limits.samples(size, costs.server, batch_size) // batch_size)
            for size in (limits.joined_bytes, limits.stacked_bytes)
        )
        """Mini-batches in a pass of the server, for their mean and for each one's gradient."""
        if not self._server.stackable:
            self.n_beside = 1
        with self._measuring() as states:
            self._of_client, self._of_server = self._client.initial(), self._server.initial()
        self.n_server = sum(p.numel() for p in self._of_server.parameters)
        """d: server-side parameters that are trained."""
        self.n_compared = self.n_server
        """Of those, the ones whose gradients are compared."""
        self.client_state = _bytes(self._of_client)
        self.weights = sum(_bytes(s.parameters, s.buffers) for s in (self._of_client, self._of_server))
        """Of both sides, without optimizers."""
        self.server_state = states.left - self.client_state
        """Weights, running statistics and optimizer's state."""
        self._others = [_of(other, setup, stacks_all) for other in others]
        of_others = [(other, _bytes(state)) for other, (_, state) in zip(others, self._others, strict=True)]
        self.between_state = sum(n_bytes * other.n_states for other, n_bytes in of_others)
        """Of all stations between clients and server."""
        self.client_state += sum(n_bytes for other, n_bytes in of_others if other.is_tail)
        self.weights += sum(_bytes(state.parameters, state.buffers) for _, state in self._others)
        self._is_tailed = any(other.is_tail for other in others)
        with self._measuring() as copies:
            # Layers make copies of themselves in the first pass of each mode that is not stacked.
            if not self.n_stacked:
                self._client.forward(self._of_client, self._inputs(2), 0)
            smashed = self._client.predict(self._of_client, self._inputs(2))
            for side, state in self._others[: -1 if self._is_tailed else None]:
                smashed = side.predict(state, smashed)
            self._server.forward(self._of_server, smashed, 0)
            outputs = self._server.predict(self._of_server, smashed)
            self._smashed_shape, self._left_shape = smashed.shape[1:], outputs.shape[1:]
            for side, state in self._others[-1:] if self._is_tailed else ():
                outputs = side.predict(state, outputs)
            self.n_outputs = outputs.numel() // 2
            del smashed, outputs
        sides = (costs.client, costs.server)
        self.modules = copies.left + sum(side.parameter_bytes + side.buffer_bytes for side in sides)
        self.modules += sum(_bytes(*other.module.parameters(), *other.module.buffers()) for other in others)
        """The modules that passes are made through, and their copies."""

    def _client_passes(self, n_clients: int) -> Client:
        n = max(1, min(self.n_stacked, n_clients))
        batches = self._inputs(n * self._size)
        begun = self._meter.now_bytes
        with self._measuring() as forward:
            if self.n_stacked:
                stack = [torch.stack([p] * n) for p in self._of_client.parameters]
                tape = self._client.forward_stacked(
                    stack, batches.view(n, self._size, *self._data.input_shape)
                )
                del stack
            else:
                tape = self._client.forward(self._of_client, batches, 0)
        smashed = _bytes(tape.output)
        with self._measuring() as backward:
            gradients = self._client.backward(tape, torch.empty_like(tape.output))
            own = tuple(gradient[0] for gradient in gradients) if self.n_stacked else gradients
        # The graph is gone by now, all but its leaves.
        self._meter.restart()
        with self._meter:
            after = self._client.update(self._of_client, own, tape.buffers)
            del after, gradients, own
        batch = _bytes(batches, *[self._labels()] * n)
        return Client(
            batch=batch // n,
            smashed=smashed // n,
            kept=forward.left // n,
            forward=forward.peak - forward.left,
            backward=backward.peak,
            update=max(self._meter.peak_bytes - begun - self.client_state, 0),
        )

    def client(self, n_clients: int) -> Client:
        """Forward and backward passes of so many clients, and their updates."""
        return self._clients(n_clients)

    def server(self, n_batches: int, keeps_rows: bool, second_order: bool) -> Server:
        """A pass of the server.

        More than `_FEW` that are joined to one tensor are measured as fewer messages of the same samples: what a
        message adds beside its samples (its loss) is the same for each. A number without two divisors that small is
        taken for one of the next three that has them.

        Args:
            n_batches: mini-batches in it.
            keeps_rows: each one's own gradient is wanted, and not their sum.
            second_order: gradients are differentiated again.
        """
        if keeps_rows or second_order or n_batches <= _FEW:
            return self._servers(n_batches, self._size, keeps_rows, second_order)
        # Messages of one size, since losses of unlike ones are means of another kind.
        while len(found := [m for m in range(2, _MESSAGES + 1) if not n_batches * self._size % m]) < 2:
            n_batches += 1
        few, more = found[-2:]
        of_few, of_more = (self._servers(m, n_batches * self._size // m, False, False) for m in (few, more))
        return of_few.on_line_to(of_more, n_batches - few, more - few)

    def _server_passes(self, n_messages: int, size: int, keeps_rows: bool, second_order: bool) -> Server:
        """Measured: messages of `size` samples each."""
        with self._meter:  # What has arrived is no part of what the pass takes.
            smashed = [torch.empty(size, *self._smashed_shape, device="meta") for _ in range(n_messages)]
            received = [torch.empty(size, *self._left_shape, device="meta") for _ in smashed]
        labels = received if self._is_tailed else [self._labels(size) for _ in smashed]
        messages = [Smashed(one, told) for one, told in zip(smashed, labels, strict=True)]
        del received, labels
        most = n_messages * size
        before = self._meter.now_bytes
        with self._measuring(fused=not second_order) as taken:
            passed = server_pass(
                self._server,
                self._of_server,
                messages,
                [0] * n_messages,
                [0] * (n_messages + 1),
                second_order,
                keep_rows=keeps_rows,
                joined_samples=most,
                stacked_samples=most,
                criterion=RECEIVED if self._is_tailed else self._criterion,
            )
            matrix = _bytes(passed.matrix) if keeps_rows else 0
            left = self._meter.now_bytes
            if passed.hessian_product is not None:
                passed.hessian_product(0, torch.empty(self.n_server, device="meta"))
        return Server(taken.peak - matrix, left - before - _bytes(passed.matrix))

    @cached_property
    def update(self) -> int:
        """Peak of the server's update, its new state among it."""
        state = self._of_server
        with self._meter:
            gradient = torch.empty(sum(p.numel() for p in state.parameters), device="meta")
        with self._measuring() as taken:
            after = self._server.update(state, unflatten(gradient, state.parameters), state.buffers)
            del after
        return taken.peak

    @cached_property
    def local_training(self) -> int:
        """Peak of a step of the whole model with the client's optimizer, its new state among it."""
        batch, optimizer = self._inputs(self._size), self._client.optimizer
        with self._measuring() as taken:
            slots = optimizer.initial(self._of_client.parameters + self._of_server.parameters)
            lower = self._client.forward(self._of_client, batch, 0)
            upper = self._server.forward(self._of_server, lower.output, 0)
            loss = self._criterion.mean(upper.output, self._labels())
            found = differentiate(loss, lower.parameters + upper.parameters)
            del loss
            after = optimizer.step(lower.parameters + upper.parameters, optimizer.clipped(found), slots, 0, 1)
            del after
        return taken.peak

    def evaluation(self, batch_size: int) -> int:
        """Peak of a pass of an evaluation through both sides."""
        inputs = self._inputs(batch_size)
        with self._measuring() as taken:
            passed = self._client.predict(self._of_client, inputs)
            n = len(self._others) - self._is_tailed
            way = [*self._others[:n], (self._server, self._of_server), *self._others[n:]]
            for side, state in way:
                passed = side.predict(state, passed)
            del passed
        return taken.peak

    def _inputs(self, n: int) -> Tensor:
        dtype = torch.int64 if self._data.input_dtype == "int64" else torch.float32
        with self._meter:
            made = torch.empty(n, *self._data.input_shape, dtype=dtype, device="meta")
            return made.contiguous(memory_format=torch.channels_last) if made.dim() == 4 else made

    def _labels(self, n: int | None = None) -> Tensor:
        dtype = torch.float32 if self._data.target == "numbers" else torch.int64
        with self._meter:
            shape = self._size if n is None else n, *self._data.train.labels.shape[1:]
            return torch.empty(*shape, dtype=dtype, device="meta")

    @contextmanager
    def _measuring(self, fused: bool = True) -> Iterator[_Taken]:
        """What is made inside: its peak, and what is left at the end."""
        taken, before = _Taken(), self._meter.now_bytes
        self._meter.restart()
        with _FusedAttention() if fused else nullcontext(), self._meter:
            yield taken
        taken.peak, taken.left = self._meter.peak_bytes - before, self._meter.now_bytes - before


class _Taken:
    peak = left = 0


class _FusedAttention(TorchFunctionMode):
    """Attention as one kernel: on the meta device PyTorch takes it apart, and would keep the scores."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # A mask, and whether it is causal, are of no account to what is kept.
        if func is F.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_efficient_attention(*args[:3], None, True)[0]
        # Which calls the function above.
        with self if func is F.multi_head_attention_forward else nullcontext():
            return func(*args, **(kwargs or {}))


class _Other(NamedTuple):
    """Blocks that are neither a client's first ones nor the server's."""

    module: nn.Sequential
    n_states: int
    """Of stations; 0 for the last blocks of clients, whose states hold them."""
    is_tail: bool


def _parts(
    segments: Segments | None, blocks: list[tuple[str, nn.Module]], place: int
) -> tuple[nn.Sequential, nn.Sequential, list[_Other]]:
    """The first blocks of clients, those of the server, and the others along a path."""
    if segments is None or segments.is_two_parts:
        client, server = cut_at(blocks, (0, place, len(blocks)))
        return client, server, []
    owners, others = segments.owners, []
    client, *rest = cut_at(blocks, segments.bounds)
    server = client
    for stretch, module in zip(segments.paths[0][1:], rest, strict=True):
        if stretch.owner == OF_SERVER:
            server = module
        else:
            alike = [s for path in set(segments.paths) for s in path if s.blocks == stretch.blocks]
            n_states = len({s.owner for s in alike} & set(owners))
            others.append(_Other(module, n_states, stretch.owner == OF_CLIENT))
    return client, server, others


def _of(other: _Other, setup: LearningSetup, stacks_all: bool) -> tuple[Side, SideState]:
    optimizer = setup.client_optimizer if other.is_tail else setup.server_optimizer
    side = _side(other.module, optimizer, stacks_all)
    return side, side.initial()


def _side(module: nn.Module, optimizer: Optimizer, stacks_all: bool) -> Side:
    side = Side(module, optimizer, 1, stacks_all=stacks_all)
    # Nothing is drawn on the meta device, and groups are given.
    side.traits = Traits(False, False, False, False)
    return side


def _draws_or_mixes(module: nn.Module) -> bool:
    return bool(getattr(module, "p", 0)) or any(True for _ in module.buffers(recurse=False))


def _bytes(*things: Any) -> int:
    """Of all tensors in them."""
    from torch.utils._pytree import tree_leaves

    given = [vars(thing) if hasattr(thing, "parameters") else thing for thing in things]
    tensors = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
