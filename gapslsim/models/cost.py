"""What the two sides of a split network cost, forward and backward, from shapes on the meta device.

Nothing is computed and no clock is read: the network is built on torch's meta device and run once there, so
that each layer shows its shapes. The formulas and their conventions are in `layer_types`; a module that has
none (a user's own) is counted operation by operation (`op_counts`), so that no layer is free by being
unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gapslsim.models._op_counts import count_module, tensors_in
from gapslsim.models.layer_types import LayerType, n_bytes, show_shapes_alone, type_of
from gapslsim.models.model import Model
from gapslsim.models.split import cut_blocks
from gapslsim.work import Cost, LayerCost, Phase

__all__ = ["SideCost", "SplitCost", "split_cost"]

_LOSS_FORWARD, _LOSS_BACKWARD = 5, 2
"""FLOP of softmax cross-entropy per logit: maximum, difference, exp, sum, log; and (probability - target) / B."""


@dataclass(frozen=True, eq=False)
class SideCost:
    """Cost of one side of a split network for one batch, and the sizes that its memory is made of."""

    forward: Cost
    """Layers in order. The server's last entry is the loss."""
    backward: Cost
    """Layers in reverse order: gradients of parameters and of inputs. A layer with nothing to learn before it needs no
    gradient of its input: the client's first one. The server's first layer needs one: the cut gradient."""
    n_parameters: int
    n_trained: int
    """Of those, the ones that are not frozen (`requires_grad_(False)`), of which gradients, optimizers, messages and
    averages are."""
    n_buffers: int
    """Elements of the running statistics of batch norms and the like."""
    parameter_bytes: int
    trained_bytes: int
    """Of the parameters that are not frozen."""
    buffer_bytes: int
    input_bytes: int
    """The batch that enters: of inputs at the client, of smashed data at the server."""
    output_bytes: int
    """The batch that leaves: smashed data, whose gradient has the same size, or logits."""
    activation_bytes: int
    """Forward tensors that autograd keeps for the backward pass: the distinct storages that are neither the side's
    input nor its parameters nor buffers. Attention keeps q, k, v, its output and one number per row (fused
    kernel)."""
    workspace_bytes: int
    """Inputs and outputs of the layer where they are largest: what a pass needs at a time beyond what is kept, be it
    values (forward) or their gradients (backward)."""


@dataclass(frozen=True, eq=False)
class SplitCost:
    """Cost of a split network for one batch."""

    client: SideCost
    server: SideCost
    smashed_shape: tuple[int, ...]
    """Shape of one sample's cut-layer activations, without the batch."""


def split_cost(model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int) -> SplitCost:
    """Cost of both sides of a model for one batch; the same object for the same settings.

    Raises:
        ValueError: if the cut is out of range, the input or the batch does not fit, or the model cannot be
            run on shapes alone.
        TypeError: if the model's settings cannot be hashed.
    """
    try:
        # Asked here: the cache below would raise an error that does not say whose settings it means.
        hash(model)
    except TypeError as error:
        raise TypeError(
            f"settings of {type(model).__name__} must be hashable; use tuples, not lists."
        ) from error
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, found {batch_size}.")
    return _split_cost(model, tuple(input_shape), n_classes, batch_size)


@lru_cache(maxsize=256)
def _split_cost(model: Model, input_shape: tuple[int, ...], n_classes: int, batch_size: int) -> SplitCost:
    with torch.device("meta"):
        blocks = model.blocks(input_shape, n_classes)
        inputs = torch.empty(batch_size, *input_shape, dtype=torch.float32)
    sides = cut_blocks(model, blocks, input_shape, n_classes)
    try:
        smashed, client = _Trace(sides.client, inputs).run()
        # A leaf of its own, as at the cut: the server does give a gradient of its input.
        _, server = _Trace(sides.server, smashed.detach().requires_grad_()).run(ends_in_loss=True)
    # What a model raises on shapes it does not fit; anything else is a fault of the program.
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"model {getattr(model, 'kind', type(model).__name__)} with inputs {input_shape} and batches of"
            f" {batch_size} cannot be run on shapes alone: {error}"
        ) from error
    return SplitCost(client, server, tuple(smashed.shape[1:]))


class _Trace:
    """One run of one side on the meta device, layer by layer."""

    def __init__(self, side: nn.Module, inputs: Tensor) -> None:
        # In training mode: batch norm and dropout cost and keep other things in evaluation.
        self._side = side.train()
        self._inputs = inputs
        self._batch_size = inputs.shape[0]
        self._layers: dict[Phase, list[LayerCost]] = {"forward": [], "backward": []}
        self._workspace = 0
        self._kept: dict[int, torch.UntypedStorage] = {}
        self._kept_elsewhere = 0
        self._depth = 0
        """Above 0 inside a layer whose saved tensors, or whose inner layers, are not to be looked at."""

    def run(self, ends_in_loss: bool = False) -> tuple[Tensor, SideCost]:
        """The side's output and its cost."""
        for name, layer in costed_layers(self._side):
            self._watch(name, layer)
            show_shapes_alone(layer)
        with torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor):
            output: Tensor = self._side(self._inputs)
        if ends_in_loss:
            self._add_loss(output)
        parameters, buffers = list(self._side.parameters()), list(self._side.buffers())
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        known = [self._inputs, *parameters, *buffers]
        # By storage, not by tensor: a saved view of a parameter takes no further memory.
        apart = {tensor.untyped_storage()._cdata for tensor in known}
        kept = sum(storage.nbytes() for place, storage in self._kept.items() if place not in apart)
        cost = SideCost(
            forward=Cost(tuple(self._layers["forward"])),
            backward=Cost(tuple(reversed(self._layers["backward"]))),
            n_parameters=sum(tensor.numel() for tensor in parameters),
            n_trained=sum(tensor.numel() for tensor in trained),
            n_buffers=sum(tensor.numel() for tensor in buffers),
            parameter_bytes=n_bytes(*parameters),
            trained_bytes=n_bytes(*trained),
            buffer_bytes=n_bytes(*buffers),
            input_bytes=n_bytes(self._inputs),
            output_bytes=n_bytes(output),
            activation_bytes=kept + self._kept_elsewhere,
            workspace_bytes=self._workspace,
        )
        return output, cost

    def _keep(self, tensor: Tensor) -> Tensor:
        if not self._depth:
            storage = tensor.untyped_storage()
            # The storage is held, or its address could be given to another one during the pass.
            self._kept[storage._cdata] = storage
        return tensor

    def _watch(self, name: str, layer: nn.Module) -> None:
        """Has a layer tell its cost whenever it is called."""
        known = type_of(layer)
        fused = known is not None and known.is_fused

        def before(module: nn.Module, args: Any) -> None:
            # What the parts of a fused kernel would save one by one is never in memory.
            self._depth += fused

        def after(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self._depth -= fused
            if self._depth:
                return
            inputs, outputs = tensors_in((args, kwargs)), tensors_in(result)
            self._workspace = max(self._workspace, n_bytes(*inputs, *outputs))
            if known is None:
                # Counting runs the module again, and its hooks must not count that.
                self._depth += 1
                self._measure(name, module, args, kwargs, outputs)
                self._depth -= 1
                return
            if not known.is_view:
                self._apply(name, module, known, inputs, outputs[0])
            if fused:
                self._keep_fused(inputs[0], outputs[0], known.kept(module, inputs[0], outputs[0]))

        layer.register_forward_pre_hook(before)
        layer.register_forward_hook(after, with_kwargs=True)

    def _keep_fused(self, qkv: Tensor, output: Tensor, kept_bytes: int) -> None:
        """Attention keeps q, k, v and its output, and one log-sum-exp per row, not its scores."""
        if output.requires_grad:
            self._keep(qkv)
            self._keep(output)
            self._kept_elsewhere += kept_bytes - n_bytes(qkv, output)

    def _apply(
        self, name: str, layer: nn.Module, known: LayerType, inputs: list[Tensor], output: Tensor
    ) -> None:
        """Adds a layer by its known.

        Bytes forward: inputs, outputs, parameters and buffers once each. Bytes backward: the gradient of the
        output and what was kept are read; gradients of the parameters are written; for the gradient of the
        inputs, the parameters are read and it is written.
        """
        first, parameters = inputs[0], [p for p in layer.parameters() if p.requires_grad]
        moved = n_bytes(*inputs, output, *layer.parameters(), *layer.buffers())
        self._add("forward", name, known.kind, known.forward(layer, first, output), moved, layer, output)
        if not output.requires_grad:
            return
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        flop = known.weights(layer, first, output) if parameters else 0
        flop += known.inputs(layer, first, output) if wanted else 0
        back = n_bytes(output, *parameters) + known.kept(layer, first, output)
        back += n_bytes(*layer.parameters(), *wanted) if wanted else 0
        self._add("backward", name, known.kind, flop, back, layer, output)

    def _measure(self, name: str, module: nn.Module, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
        """Adds a module that no formula knows, its inner layers included."""
        forward, backward = count_module(module, args, kwargs)
        # The nearest of the kinds that devices were measured with: products are bound by arithmetic, all else
        # by memory.
        kind = "linear" if forward.n_products else "activation"
        self._add("forward", name, kind, forward.flop, forward.moved_bytes, module, *outputs)
        if any(output.requires_grad for output in outputs):
            self._add("backward", name, kind, backward.flop, backward.moved_bytes, module, *outputs)

    def _add(
        self, phase: Phase, name: str, kind: str, flop: int, moved: int, layer: nn.Module, *outputs: Tensor
    ) -> None:
        cost = LayerCost(
            name=name,
            kind=kind,
            phase=phase,
            work_flop=float(flop),
            moved_bytes=float(moved),
            n_parameters=sum(parameter.numel() for parameter in layer.parameters()),
            n_activations=sum(output.numel() for output in outputs),
            batch_size=self._batch_size,
        )
        self._layers[phase].append(cost)

    def _add_loss(self, logits: Tensor) -> None:
        """Adds softmax cross-entropy: logits are read; backward, logits are read and their gradient written."""
        n, size = logits.numel(), n_bytes(logits)
        what, without_parameters = ("loss", "activation/loss"), nn.Identity()
        self._add("forward", *what, _LOSS_FORWARD * n, size, without_parameters, logits)
        self._add("backward", *what, _LOSS_BACKWARD * n, 2 * size, without_parameters, logits)


def costed_layers(side: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that are costed as one layer each, with their names.

    Those are modules with a formula, and modules that compute something themselves as far as one can tell;
    only plain `nn.Sequential` and classes that say `costed_by_parts = True` are looked into.
    """
    # Only of these is it certain that they do nothing but call their children in turn.
    plain = type(side).forward is nn.Sequential.forward
    if type_of(side) is None and (plain or getattr(side, "costed_by_parts", False)):
        for name, child in side.named_children():
            yield from costed_layers(child, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, side
