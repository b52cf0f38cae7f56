"""Cost of what no formula knows (a function, an own module), counted operation by operation on the meta device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import prod
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from gapslsim.models.layer_types import n_bytes

__all__ = ["OperationCounter", "count", "tensors_in"]

_KINDS: Final = {
    "addmm": "linear", "mm": "linear",
    "baddbmm": "attention", "bmm": "attention", "_scaled_dot": "attention",
    "convolution": "conv2d", "embedding": "embedding",
    "native_layer_norm": "norm", "native_group_norm": "norm", "native_batch_norm": "norm",
    "_native_batch_norm": "norm", "_fused_rms_norm": "norm", "batch_norm": "norm",
    "max_pool": "pool", "avg_pool": "pool", "_adaptive_avg_pool": "pool", "adaptive_max_pool": "pool",
    "upsample": "reshape", "cat": "reshape", "clone": "reshape", "copy": "reshape", "pad": "reshape",
    "constant_pad": "reshape", "roll": "reshape", "stack": "reshape", "index": "reshape",
}  # fmt: skip
"""Kinds of layers by how an operation's name begins; all else is an activation, that is bound by memory. Products in
batches have no weights: they are those of attention."""
_NORM_FLOP: Final = {False: 8, True: 13}
"""Per element, forward and backward; see `layer_types`."""


def tensors_in(tree: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what every operation inside its context costs, by kind of layer.

    Matrix products and convolutions cost 2 FLOP per multiply-accumulate, norms what `layer_types` says; any other
    operation costs 1 FLOP per element of its largest tensor. Bytes are those of its inputs and outputs. Views are free.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop: Counter[str] = Counter()
        self.moved_bytes: Counter[str] = Counter()

    def kinds(self) -> list[str]:
        """Kinds seen, that with most FLOP first."""
        return sorted(self.moved_bytes, key=lambda kind: -self.flop[kind])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carries out one operation and adds its cost."""
        result = func(*args, **(kwargs or {}))
        # A view moves nothing. An operation in place is an alias too, but it writes.
        if any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):
            return result
        tensors = tensors_in((args, kwargs, result))
        if name := _reads_and_writes(func, result):
            kind = next((kind for begin, kind in _KINDS.items() if name.startswith(begin)), "activation")
            self.moved_bytes[kind] += n_bytes(*tensors)
            self.flop[kind] += _flop(name, kind, func, args, kwargs or {}, result, tensors)
        return result


def _reads_and_writes(func: Any, result: Any) -> str:
    """An operation's name; empty for those that only ask for memory or for shapes."""
    name: str = func._overloadpacket.__name__
    return "" if name.startswith(("empty", "new_empty", "detach")) or not tensors_in(result) else name


def _flop(
    name: str, kind: str, func: Any, args: Any, kwargs: dict[str, Any], result: Any, tensors: list[Tensor]
) -> int:
    if kind == "conv2d":
        return _convolution(name, args, result)
    formula: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
    if formula is not None:
        return int(formula(*args, **kwargs, out_val=result))
    largest = max((tensor.numel() for tensor in tensors), default=0)
    return largest * (_NORM_FLOP["backward" in name] if kind == "norm" else 1)


def _convolution(name: str, args: Any, result: Any) -> int:
    """PyTorch's own counter leaves out the groups of the gradient of the weights."""
    is_backward = name.endswith("backward")
    inputs, weight, transposed = (*args[1:3], args[7]) if is_backward else (*args[:2], args[6])
    outputs = args[0] if is_backward else result
    once: int = 2 * (inputs if transposed else outputs).numel() * int(prod(weight.shape[1:]))
    return once * sum(args[10][:2]) if is_backward else once


def count(
    call: Callable[..., Any], args: Any, kwargs: dict[str, Any], parameters: Iterable[Tensor] = ()
) -> tuple[OperationCounter, OperationCounter]:
    """Counts of the forward and the backward pass of a call on the meta device, on fresh tensors of the same shapes.

    The backward pass gives the gradients of the parameters and of those arguments that require one.

    Args:
        call: a function or a module.
        args: its arguments.
        kwargs: those by name.
        parameters: that it reads and that are no arguments.
    """
    leaves: list[Tensor] = []

    def fresh(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        leaves.append(torch.empty_like(value, requires_grad=value.requires_grad))
        # Not the leaf itself: the call may work in place.
        return leaves[-1].clone() if value.requires_grad else leaves[-1]

    forward, backward = OperationCounter(), OperationCounter()
    # Fresh leaves: the backward pass must end here, not run on into what came before.
    args, kwargs = tree_map(fresh, (args, kwargs))
    with forward:
        result = call(*args, **kwargs)
    wanted = [tensor for tensor in (*leaves, *parameters) if tensor.requires_grad]
    outputs = [tensor for tensor in tensors_in(result) if tensor.requires_grad]
    if wanted and outputs:
        # On the meta device there are no values, so that any tensor of the shape will do.
        ones = [torch.empty_like(output) for output in outputs]
        with backward:
            torch.autograd.grad(outputs, wanted, ones, allow_unused=True)
    return forward, backward
