"""One run of one side of a network on the meta device: what its layers, and the functions between them, cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gapslsim.models._op_counts import OperationCounter, count, tensors_in
from gapslsim.models._shapes import is_shown
from gapslsim.models.layer_types import LayerType, n_bytes, show_shapes_alone, type_of
from gapslsim.models.side_cost import SideCost
from gapslsim.work import Cost, LayerCost, Phase

__all__ = ["Trace", "costed_layers", "in_words"]

_FUSED: Final = {F.scaled_dot_product_attention, F.multi_head_attention_forward}
"""Functions that one kernel does: scores of attention are not kept."""
_LOSS_FORWARD, _LOSS_BACKWARD = 5, 2
"""FLOP of softmax cross-entropy per logit: maximum, difference, exp, sum, log; and (probability - target) / B."""


class Trace(TorchFunctionMode):
    """One run of one side on the meta device, layer by layer; what is computed between layers, function by function.

    Args:
        side: that is run, its tensors on the meta device.
        inputs: a batch that enters.
    """

    def __init__(self, side: nn.Module, inputs: Tensor) -> None:
        super().__init__()
        # In training mode: batch norm and dropout cost and keep other things in evaluation.
        self._side = side.train()
        self._inputs = inputs
        self._batch_size = inputs.shape[0]
        self._layers: dict[Phase, list[LayerCost]] = {"forward": [], "backward": []}
        self._workspace = 0
        self._kept: dict[int, torch.UntypedStorage] = {}
        self._kept_elsewhere = 0
        self._depth = 0
        """Above 0 inside what keeps nothing, or keeps what is known: a fused kernel, a count."""
        self._inside = 0
        """Above 0 inside a layer that is costed as one: its functions are no costs of their own."""
        self._around: list[str] = []
        """Names of the modules that are being called, the innermost last."""
        self._own_functions: set[Any] = set()
        """Autograd nodes of users that are costed with the layer that they lie in."""
        self._parameters = {p.untyped_storage()._cdata: p.numel() for p in side.parameters()}
        """Elements by storage, of those that no function has used yet."""

    def run(self, ends_in_loss: bool = False) -> tuple[Any, SideCost]:
        """The side's output, which should be a tensor, and its cost."""
        layers = dict(costed_layers(self._side))
        for name, layer in layers.items():
            self._watch(name, layer)
            show_shapes_alone(layer)
        for name, module in self._side.named_modules():
            if not any(module is layer for layer in layers.values()):
                self._name(name, module)
        keep = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor)
        # Tensors that a module makes in its pass (a state of zeros) are on the meta device, too.
        with keep, torch.device("meta"), self:
            output = self._side(self._inputs)
        self._add_own_functions(tensors_in(output))
        if ends_in_loss and isinstance(output, Tensor):
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
            output_bytes=n_bytes(*tensors_in(output)),
            activation_bytes=kept + self._kept_elsewhere,
            workspace_bytes=self._workspace,
        )
        return output, cost

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carries out a function and, between layers, adds its cost."""
        kwargs = kwargs or {}
        if self._inside:
            return func(*args, **kwargs)
        counts, fused = count(func, args, kwargs), func in _FUSED and not kwargs.get("need_weights")
        used = {tensor.untyped_storage()._cdata for tensor in tensors_in((args, kwargs))}
        # What the parts of a fused kernel would save one by one is never in memory.
        self._depth += fused
        result = func(*args, **kwargs)
        self._depth -= fused
        if not counts[0].moved_bytes:
            return result
        inputs, outputs = tensors_in((args, kwargs)), tensors_in(result)
        self._workspace = max(self._workspace, n_bytes(*inputs, *outputs))
        n_parameters = sum(self._parameters.pop(place, 0) for place in used)
        name = ".".join(filter(None, (self._around[-1], func.__name__)))
        grown = [tensor for tensor in inputs if tensor.requires_grad]
        if fused and outputs[0].requires_grad:
            self._keep_function(func, inputs[:3], outputs[0])
        if len(grown) > 1 and not counts[1].moved_bytes and outputs and outputs[0].requires_grad:
            # As for `layers.Add`: the gradients of two branches are added where they part.
            counts[1].flop["activation"] = outputs[0].numel()
            counts[1].moved_bytes["activation"] = n_bytes(*grown, outputs[0])
        self._add_counted(name, counts, n_parameters, outputs)
        return result

    def _keep(self, tensor: Tensor) -> Tensor:
        if not self._depth:
            storage = tensor.untyped_storage()
            # The storage is held, or its address could be given to another one during the pass.
            self._kept[storage._cdata] = storage
        return tensor

    def _keep_function(self, func: Any, inputs: list[Tensor], output: Tensor) -> None:
        """Attention keeps what comes in and out, and what lies between: its projections, and a number per row."""
        for tensor in (*inputs, output):
            self._keep(tensor)
        if func is F.multi_head_attention_forward:
            self._kept_elsewhere += 4 * n_bytes(output)
        else:
            self._kept_elsewhere += n_bytes(inputs[0]) // inputs[0].shape[-1]

    def _name(self, name: str, module: nn.Module) -> None:
        """Has a module that is looked into say when it is called."""

        def leave(module: nn.Module, args: Any, result: Any) -> None:
            self._around.pop()

        module.register_forward_pre_hook(lambda module, args: self._around.append(name))
        module.register_forward_hook(leave)

    def _watch(self, name: str, layer: nn.Module) -> None:
        """Has a layer tell its cost whenever it is called."""
        known = type_of(layer)
        fused = known is not None and known.is_fused

        def before(module: nn.Module, args: Any) -> None:
            self._inside += 1
            self._depth += fused

        def after(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self._depth -= fused
            if not self._depth:
                inputs, outputs = tensors_in((args, kwargs)), tensors_in(result)
                self._workspace = max(self._workspace, n_bytes(*inputs, *outputs))
                if known is None:
                    self._measure(name, module, args, kwargs, outputs)
                elif not known.is_view:
                    self._apply(name, module, known, inputs, outputs[0])
                if known is not None and fused:
                    self._keep_fused(inputs[0], outputs[0], known.kept(module, inputs[0], outputs[0]))
            self._inside -= 1

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
        read = (output,) if known.reads_rows else (*layer.parameters(), *layer.buffers())
        moved = n_bytes(*inputs, output, *read)
        n_parameters = sum(parameter.numel() for parameter in layer.parameters())
        self._add(
            "forward", name, known.kind, known.forward(layer, first, output), moved, n_parameters, output
        )
        if not output.requires_grad:
            return
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        flop = known.weights(layer, first, output) if parameters else 0
        flop += known.inputs(layer, first, output) if wanted else 0
        back = n_bytes(output, *parameters) + known.kept(layer, first, output)
        back += n_bytes(*layer.parameters(), *wanted) if wanted else 0
        self._add("backward", name, known.kind, flop, back, n_parameters, output)

    def _measure(self, name: str, module: nn.Module, args: Any, kwargs: Any, outputs: list[Tensor]) -> None:
        """Adds a module that no formula knows and that has no layers of its own."""
        self._own_functions |= _own_nodes(outputs)
        # Counting runs the module again, and its hooks must not count that.
        self._depth += 1
        counts = count(module, args, kwargs, module.parameters())
        self._depth -= 1
        self._add_counted(name, counts, sum(parameter.numel() for parameter in module.parameters()), outputs)

    def _add_own_functions(self, outputs: list[Tensor]) -> None:
        """Adds the backward passes of autograd functions of a user's own between layers."""
        for node in _own_nodes(outputs) - self._own_functions:
            counter, layer = OperationCounter(), type(node).__name__
            gradients = [torch.empty(shape.shape, device="meta") for shape in node._input_metadata]
            with counter:
                node.apply(*gradients)
            self._add_phase("backward", layer, counter, 0, gradients)

    def _add_counted(
        self,
        name: str,
        counts: tuple[OperationCounter, OperationCounter],
        n_parameters: int,
        outputs: list[Tensor],
    ) -> None:
        """Adds what was counted forward and backward."""
        self._add_phase("forward", name, counts[0], n_parameters, outputs)
        if any(output.requires_grad for output in outputs):
            self._add_phase("backward", name, counts[1], n_parameters, outputs)

    def _add_phase(
        self, phase: Phase, name: str, counter: OperationCounter, n_parameters: int, outputs: list[Tensor]
    ) -> None:
        """Adds what was counted, each kind of layer as a layer; the first has the plain name and the parameters."""
        for place, kind in enumerate(counter.kinds()):
            flop, moved = counter.flop[kind], counter.moved_bytes[kind]
            self._add(
                phase,
                f"{name}.{kind}" if place else name,
                kind,
                flop,
                moved,
                0 if place else n_parameters,
                *outputs,
            )

    def _add(
        self, phase: Phase, name: str, kind: str, flop: int, moved: int, n_parameters: int, *outputs: Tensor
    ) -> None:
        cost = LayerCost(
            name=name,
            kind=kind,
            phase=phase,
            work_flop=float(flop),
            moved_bytes=float(moved),
            n_parameters=n_parameters,
            n_activations=sum(output.numel() for output in outputs),
            batch_size=self._batch_size,
        )
        self._layers[phase].append(cost)

    def _add_loss(self, logits: Tensor) -> None:
        """Adds softmax cross-entropy: logits are read; backward, logits are read and their gradient written."""
        n, size, what = logits.numel(), n_bytes(logits), ("loss", "activation/loss")
        self._add("forward", *what, _LOSS_FORWARD * n, size, 0, logits)
        self._add("backward", *what, _LOSS_BACKWARD * n, 2 * size, 0, logits)


def in_words(output: Any) -> str:
    """What a block gives, in words."""
    if isinstance(output, (tuple, list, dict)):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"


def _own_nodes(outputs: list[Tensor]) -> set[Any]:
    """Nodes of autograd functions that torch does not know, in the graph of tensors."""
    todo: list[Any] = [output.grad_fn for output in outputs]
    seen: set[Any] = set()
    found: set[Any] = set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [before for before, _ in node.next_functions]
        if isinstance(node, torch.autograd.function.BackwardCFunction) and not is_shown(node):
            found.add(node)
    return found


def costed_layers(side: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that are costed as one layer each, with names: those with a formula, and those without children."""
    children = list(side.named_children())
    if type_of(side) is None and children:
        for name, child in children:
            yield from costed_layers(child, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, side
