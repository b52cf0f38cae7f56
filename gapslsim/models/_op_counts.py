"""Cost of a layer that no formula knows, counted operation by operation on the meta device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from gapslsim.models.layer_types import n_bytes

__all__ = ["count_module", "tensors_in"]


def tensors_in(tree: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class _OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what every operation inside its context costs.

    Matrix products and convolutions cost what `torch.utils.flop_counter` says; any other operation costs 1
    FLOP per element of its largest tensor. Bytes are those of its inputs and outputs. Views are free.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = 0
        self.moved_bytes = 0
        self.n_products = 0
        """Matrix products and convolutions seen."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carries out one operation and adds its cost."""
        result = func(*args, **(kwargs or {}))
        # A view moves nothing. An operation in place is an alias too, but it writes.
        if any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):
            return result
        tensors = tensors_in((args, kwargs, result))
        self.moved_bytes += n_bytes(*tensors)
        formula: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flop += formula(*args, **(kwargs or {}), out_val=result)
            self.n_products += 1
        else:
            self.flop += max((tensor.numel() for tensor in tensors), default=0)
        return result


def count_module(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[_OperationCounter, _OperationCounter]:
    """Counts of the forward and the backward pass of a module on the meta device, on fresh inputs of the same shapes.

    The backward pass gives the gradients of the parameters and of those inputs that require one.
    """

    def fresh(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.empty_like(value, requires_grad=value.requires_grad)

    forward, backward = _OperationCounter(), _OperationCounter()
    # Fresh leaves: the backward pass must end at this module, not run on into those before it.
    args, kwargs = tree_map(fresh, (args, kwargs))
    with forward:
        result = module(*args, **kwargs)
    leaves = [*tensors_in((args, kwargs)), *module.parameters()]
    wanted = [tensor for tensor in leaves if tensor.requires_grad]
    outputs = [tensor for tensor in tensors_in(result) if tensor.requires_grad]
    if wanted and outputs:
        # On the meta device there are no values, so that any tensor of the shape will do.
        ones = [torch.empty_like(output) for output in outputs]
        with backward:
            torch.autograd.grad(outputs, wanted, ones, allow_unused=True)
    return forward, backward
