"""What is known about each type of layer, as one table; whoever treats layers by their type looks here.

Costs are formulas on shapes. Conventions, per element unless said otherwise. A multiply-accumulate is 2 FLOP. A bias
costs nothing (it is fused).
- convolution, linear: forward 2 FLOP per multiply-accumulate; backward as much for the gradient of the
  weights and as much again for that of the input.
- attention: forward two matrix products and 5 FLOP per score (scale and softmax); backward four matrix
  products (no recomputation) and 5 per score. Scores are not stored (fused kernel): bytes are those of q, k,
  v and the output.
- norm: forward 8 (mean 1, variance 3, normalise 2, scale and shift 2); backward 5 for scale and shift and 8
  for the input.
- ReLU, leaky ReLU 1 each way; other activations 5 each way.
- pooling: forward one per element of the window; backward 1 per output (maximum) or one per window element
  (average).
- residual addition 1 forward; 1 backward (the gradients of the two branches are added where they part).
- embedding of tokens: 1 forward (position added), 1 backward (gradient of the positions, summed over the
  batch).
- resize (bilinear): 7 per output forward (three interpolations) and 8 backward (four weighted additions).
- dropout 2 forward, 1 backward. Views (flatten, identity) cost nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

from gapslsim.models import _shapes as shapes
from gapslsim.models import layers

__all__ = ["LayerType", "form_of", "n_bytes", "show_shapes_alone", "type_of"]

_Form = Literal["bare", "linear", "convolution", "group_norm", "other"]
"""How an output follows from a layer's tensors and its inputs: without any tensor, by weight and bias, or unknown."""

Count = Callable[[Any, Tensor, Tensor], int]
"""(layer, first input, output) to a count."""


def _nothing(layer: Any, x: Tensor, y: Tensor) -> int:
    return 0


@dataclass(frozen=True)
class LayerType:
    """One type of layer; costs map (layer, first input, output) to FLOP or bytes of the whole batch."""

    kind: str
    """Of the costs."""
    forward: Count = _nothing
    """FLOP of the forward pass."""
    weights: Count = _nothing
    """FLOP of the gradient of the layer's own parameters."""
    inputs: Count = _nothing
    """FLOP of the gradient of the layer's inputs."""
    kept: Count = _nothing
    """Bytes of forward tensors that the backward pass reads again."""
    is_view: bool = False
    """Whether it computes and moves nothing."""
    is_fused: bool = False
    """Whether one kernel does it all: what its operations would keep one by one is not kept."""
    form: _Form = "other"
    """With a bias, and padding by zeros alone; see `form_of`."""
    shown: Callable[[Any, Tensor], Tensor] | None = None
    """(layer, inputs) to an output of the right shape on the meta device, where PyTorch's own way there is slow."""


def type_of(layer: nn.Module) -> LayerType | None:
    """What is known about a layer; None if its forward pass is not one that the table knows."""
    known = _nearest_known(layer)
    # A subclass with a forward pass of its own may do anything.
    return _LAYER_TYPES[known] if known is not None and type(layer).forward is known.forward else None


def form_of(layer: nn.Module) -> _Form:
    """How a layer can be called with tensors from elsewhere; a subclass is not taken for its parent."""
    # Whatever it is: without tensors of its own a layer is called as it stands.
    if next(layer.parameters(), None) is None and next(layer.buffers(), None) is None:
        return "bare"
    known = _LAYER_TYPES.get(type(layer))
    if (
        known is None
        or getattr(layer, "bias", None) is None
        or getattr(layer, "padding_mode", "zeros") != "zeros"
    ):
        return "other"
    return known.form


def show_shapes_alone(layer: nn.Module) -> None:
    """Has a layer on the meta device show its shapes without PyTorch's shape functions, if its type can."""
    known = _LAYER_TYPES.get(type(layer))
    # In place, the output is the input, which a made-up output of the same shape would not be.
    if known is not None and known.shown is not None and not getattr(layer, "inplace", False):
        layer.forward = partial(known.shown, layer)


def _nearest_known(layer: nn.Module) -> type[nn.Module] | None:
    """A layer's class, or else the nearest one that it is derived from, that the table has."""
    return next((cls for cls in type(layer).__mro__ if cls in _LAYER_TYPES), None)


def n_bytes(*tensors: Tensor) -> int:
    """Bytes of tensors at their dtype."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _input_bytes(layer: Any, x: Tensor, y: Tensor) -> int:
    return n_bytes(x)


def _per_output(flop: int) -> Count:
    return lambda layer, x, y: flop * y.numel()


def _per_input(flop: int) -> Count:
    return lambda layer, x, y: flop * x.numel()


def _products(layer: Any, x: Tensor, y: Tensor) -> int:
    """Of a convolution or linear layer: every output sums over all weights but those of the other outputs."""
    return 2 * y.numel() * int(prod(layer.weight.shape[1:]))


def _window(layer: Any, x: Tensor, y: Tensor) -> int:
    side = layer.kernel_size
    return y.numel() * int(prod(side) if isinstance(side, tuple) else side**2)


def _scores(layer: Any, qkv: Tensor, y: Tensor) -> int:
    return int(qkv.shape[0] * layer.heads * qkv.shape[1] ** 2)


def _attention(n_products: int) -> Count:
    return lambda layer, qkv, y: 2 * n_products * y.numel() * y.shape[1] + 5 * _scores(layer, qkv, y)


def _attention_kept(layer: Any, qkv: Tensor, y: Tensor) -> int:
    """Bytes of q, k, v, the output, and one log-sum-exp per row of scores."""
    return n_bytes(qkv, y) + _scores(layer, qkv, y) // qkv.shape[1] * qkv.element_size()


_CONVOLUTION = LayerType("conv2d", _products, _products, _products, _input_bytes)
_NORM = LayerType("norm", _per_output(8), _per_output(5), _per_output(8), _input_bytes)
_RELU = LayerType("activation", _per_output(1), inputs=_per_output(1), kept=lambda layer, x, y: n_bytes(y))
_SMOOTH = LayerType("activation", _per_output(5), inputs=_per_output(5), kept=_input_bytes)

_LAYER_TYPES: dict[type[nn.Module], LayerType] = {
    nn.Conv2d: replace(_CONVOLUTION, form="convolution"),
    **dict.fromkeys((nn.Conv1d, nn.Conv3d), _CONVOLUTION),
    nn.Linear: replace(_CONVOLUTION, kind="linear", form="linear", shown=shapes.linear),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm), _NORM),
    nn.GroupNorm: replace(_NORM, form="group_norm", shown=shapes.group_norm),
    nn.ReLU: replace(_RELU, shown=shapes.relu),
    nn.LeakyReLU: _RELU,
    **dict.fromkeys((nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus), _SMOOTH),
    # Kept are the places of the maxima, int64.
    nn.MaxPool2d: LayerType("pool", _window, inputs=_per_output(1), kept=_per_output(8)),
    nn.AvgPool2d: LayerType("pool", _window, inputs=_window),
    nn.AdaptiveAvgPool2d: LayerType("pool", _per_input(1), inputs=_per_input(1)),
    nn.Dropout: replace(_RELU, forward=_per_output(2)),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.Identity), LayerType("reshape", is_view=True)),
    layers.Add: LayerType("activation", _per_output(1), inputs=_per_output(1)),
    layers.Tokens: LayerType("embedding", _per_output(1), weights=_per_output(1)),
    layers.ClassToken: LayerType("reshape"),
    layers.Resize: LayerType("reshape", _per_output(7), inputs=_per_output(8)),
    layers.SelfAttention: LayerType(
        "attention", _attention(2), inputs=_attention(4), kept=_attention_kept, is_fused=True
    ),
}
"""Costs of a class hold for a subclass too, unless that has its own `forward`."""
