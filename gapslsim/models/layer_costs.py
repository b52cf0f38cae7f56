"""What each known kind of layer costs, as one table of formulas on shapes.

Conventions, per element unless said otherwise. A multiply-accumulate is 2 FLOP. A bias costs nothing (it is
fused).
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
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn

from gapslsim.models import layers

__all__ = ["FORMULAS", "Formula", "formula_of", "n_bytes"]

Count = Callable[[Any, Tensor, Tensor], int]
"""(layer, first input, output) to a count."""


def _nothing(layer: Any, x: Tensor, y: Tensor) -> int:
    return 0


@dataclass(frozen=True)
class Formula:
    """Cost of one kind of layer; every entry maps (layer, first input, output) to FLOP or bytes of the whole batch."""

    kind: str
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


def formula_of(layer: nn.Module) -> Formula | None:
    """The formula of a layer; None if its forward pass is not one that the table knows."""
    for cls in type(layer).__mro__:
        if cls in FORMULAS:
            return FORMULAS[cls] if type(layer).forward is cls.forward else None
    return None


def n_bytes(*tensors: Tensor) -> int:
    """Bytes of tensors at their dtype."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _input_bytes(layer: Any, x: Tensor, y: Tensor) -> int:
    return n_bytes(x)


def _output_bytes(layer: Any, x: Tensor, y: Tensor) -> int:
    return n_bytes(y)


def _both_bytes(layer: Any, x: Tensor, y: Tensor) -> int:
    return n_bytes(x, y)


def _per_output(flop: int) -> Count:
    return lambda layer, x, y: flop * y.numel()


def _per_input(flop: int) -> Count:
    return lambda layer, x, y: flop * x.numel()


def _convolution(layer: Any, x: Tensor, y: Tensor) -> int:
    return 2 * y.numel() * int(prod(layer.weight.shape[1:]))


def _linear(layer: Any, x: Tensor, y: Tensor) -> int:
    return 2 * y.numel() * int(layer.in_features)


def _window(layer: Any, x: Tensor, y: Tensor) -> int:
    side = layer.kernel_size
    return y.numel() * int(prod(side) if isinstance(side, tuple) else side**2)


def _scores(layer: Any, qkv: Tensor, y: Tensor) -> int:
    return int(qkv.shape[0] * layer.heads * qkv.shape[1] ** 2)


def _attention_forward(layer: Any, qkv: Tensor, y: Tensor) -> int:
    return 4 * y.numel() * y.shape[1] + 5 * _scores(layer, qkv, y)


def _attention_backward(layer: Any, qkv: Tensor, y: Tensor) -> int:
    return 8 * y.numel() * y.shape[1] + 5 * _scores(layer, qkv, y)


def _attention_kept(layer: Any, qkv: Tensor, y: Tensor) -> int:
    """Bytes of q, k, v, the output, and one log-sum-exp per row of scores."""
    return n_bytes(qkv, y) + _scores(layer, qkv, y) // qkv.shape[1] * qkv.element_size()


_CONVOLUTION = Formula("conv2d", _convolution, _convolution, _convolution, _input_bytes)
_NORM = Formula("norm", _per_output(8), _per_output(5), _per_output(8), _input_bytes)
_RELU = Formula("activation", _per_output(1), inputs=_per_output(1), kept=_output_bytes)
_SMOOTH = Formula("activation", _per_output(5), inputs=_per_output(5), kept=_input_bytes)
_MAX_POOL = Formula(
    "pool", _window, inputs=_per_output(1), kept=lambda layer, x, y: 8 * y.numel()
)  # int64 places of the maxima
_VIEW = Formula("reshape", is_view=True)

FORMULAS: dict[type[nn.Module], Formula] = {
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    nn.Conv3d: _CONVOLUTION,
    nn.Linear: Formula("linear", _linear, _linear, _linear, _input_bytes),
    nn.BatchNorm1d: _NORM,
    nn.BatchNorm2d: _NORM,
    nn.BatchNorm3d: _NORM,
    nn.GroupNorm: _NORM,
    nn.LayerNorm: _NORM,
    nn.ReLU: _RELU,
    nn.LeakyReLU: _RELU,
    nn.Tanh: _SMOOTH,
    nn.Sigmoid: _SMOOTH,
    nn.GELU: _SMOOTH,
    nn.SiLU: _SMOOTH,
    nn.ELU: _SMOOTH,
    nn.Softplus: _SMOOTH,
    nn.MaxPool2d: _MAX_POOL,
    nn.AvgPool2d: Formula("pool", _window, inputs=_window),
    nn.AdaptiveAvgPool2d: Formula("pool", _per_input(1), inputs=_per_input(1)),
    nn.Dropout: Formula("activation", _per_output(2), inputs=_per_output(1), kept=_output_bytes),
    nn.Flatten: _VIEW,
    nn.Unflatten: _VIEW,
    nn.Identity: _VIEW,
    layers.Add: Formula("activation", _per_output(1), inputs=_per_output(1)),
    layers.Tokens: Formula("embedding", _per_output(1), weights=_per_output(1)),
    layers.ClassToken: Formula("reshape"),
    layers.Resize: Formula("reshape", _per_output(7), inputs=_per_output(8)),
    layers.SelfAttention: Formula(
        "attention", _attention_forward, inputs=_attention_backward, kept=_attention_kept
    ),
}
"""Formulas by class. A subclass that has its own `forward` is not taken for its parent."""
