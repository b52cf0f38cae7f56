"""What operations of PyTorch cost, from the shapes that its profiler records.

The same conventions as for models of gapslsim (`models/layer_types.py`): a multiply-accumulate is 2 FLOP, bytes are
those of inputs, outputs and parameters, each once, in float32.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

__all__ = ["OPS", "OpCost", "Shapes"]

_BYTES = 4
Shapes = Sequence[Sequence[int]]


class OpCost(NamedTuple):
    """Of the forward and backward pass of one operation."""

    kind: str
    forward_flop: float
    weights_flop: float
    """Of the gradient of its parameters."""
    inputs_flop: float
    """Of the gradient of its input."""
    forward_bytes: float
    kept_bytes: float
    """That the backward pass reads again."""
    n_input: int
    n_parameters: int
    n_output: int
    batch_size: int

    def backward(self, needs_input: bool) -> tuple[float, float]:
        """FLOP and bytes of the backward pass.

        Args:
            needs_input: whether the gradient of the input is computed, too; not for the first layer of a network.
        """
        moved = _BYTES * (self.n_output + self.n_parameters) + self.kept_bytes
        if needs_input:
            moved += _BYTES * (self.n_parameters + self.n_input)
        flop = (self.weights_flop if self.n_parameters else 0.0) + (self.inputs_flop if needs_input else 0.0)
        return flop, moved


def _listed(text: str, n: int, default: int) -> list[int]:
    values = ast.literal_eval(text) if text else []
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    return [int(value) for value in values] * (n if len(values) == 1 else 1) or [default] * n


def _made(
    kind: str,
    shapes: Shapes,
    out: Sequence[int],
    n_parameters: int,
    flop: tuple[float, float, float],
    kept: int,
    *,
    extra: int = 0,
) -> OpCost:
    x, y = prod(shapes[0]), prod(out)
    moved = _BYTES * (x + y + n_parameters) + extra
    return OpCost(kind, *flop, moved, kept, x, n_parameters, y, int(shapes[0][0]) if shapes[0] else 1)


def _window_output(
    x: Sequence[int], sides: Sequence[int], stride: Sequence[int], pad: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    n = len(sides)
    return [
        (size + 2 * p - d * (side - 1) - 1) // s + 1
        for size, side, s, p, d in zip(x[-n:], sides, stride, pad, dilation, strict=True)
    ]


def _convolution(shapes: Shapes, settings: Sequence[str]) -> OpCost:
    x, weight = shapes[0], shapes[1]
    n = len(weight) - 2
    stride, pad, dilation = (_listed(settings[3 + k], n, default) for k, default in enumerate((1, 0, 1)))
    out = [x[0], weight[0], *_window_output(x, weight[2:], stride, pad, dilation)]
    products = 2.0 * prod(out) * prod(weight[1:])
    n_parameters = prod(weight) + (prod(shapes[2]) if shapes[2] else 0)
    return _made("conv2d", shapes, out, n_parameters, (products,) * 3, _BYTES * prod(x))


def _linear(shapes: Shapes, settings: Sequence[str]) -> OpCost:
    x, weight = shapes[0], shapes[1]
    out = [*x[:-1], weight[0]]
    products = 2.0 * prod(out) * weight[1]
    n_parameters = prod(weight) + (prod(shapes[2]) if len(shapes) > 2 and shapes[2] else 0)
    return _made("linear", shapes, out, n_parameters, (products,) * 3, _BYTES * prod(x))


def _norm(first: int, buffers: bool) -> Callable[[Shapes, Sequence[str]], OpCost]:
    """Scale and shift are inputs `first` and the next one; `buffers` are as large again, with a count."""

    def cost(shapes: Shapes, settings: Sequence[str]) -> OpCost:
        n = prod(shapes[0])
        size = sum(prod(shape) for shape in shapes[first : first + 2] if shape)
        return _made(
            "norm",
            shapes,
            shapes[0],
            size,
            (8.0 * n, 5.0 * n, 8.0 * n),
            _BYTES * n,
            extra=(_BYTES * size + 8) * buffers,
        )

    return cost


def _each(flop: int, back: int, kept: bool = True) -> Callable[[Shapes, Sequence[str]], OpCost]:
    """So many FLOP per element of the output, which is as large as the input."""

    def cost(shapes: Shapes, settings: Sequence[str]) -> OpCost:
        n = prod(shapes[0])
        return _made(
            "activation", shapes, shapes[0], 0, (float(flop) * n, 0.0, float(back) * n), _BYTES * n * kept
        )

    return cost


def _pool(is_max: bool) -> Callable[[Shapes, Sequence[str]], OpCost]:
    def cost(shapes: Shapes, settings: Sequence[str]) -> OpCost:
        x = shapes[0]
        sides = _listed(settings[1], 2, 1)
        stride = _listed(settings[2], 2, 0) if settings[2] not in ("", "[]") else sides
        pad = _listed(settings[3], 2, 0)
        dilation = _listed(settings[4], 2, 1) if is_max else [1, 1]
        out = [*x[:-2], *_window_output(x, sides, stride, pad, dilation)]
        n, window = prod(out), float(prod(out) * prod(sides))
        return _made("pool", shapes, out, 0, (window, 0.0, float(n) if is_max else window), 8 * n * is_max)

    return cost


OPS: dict[str, Callable[[Shapes, Sequence[str]], OpCost]] = {
    **dict.fromkeys(("aten::conv1d", "aten::conv2d", "aten::conv3d"), _convolution),
    "aten::linear": _linear,
    "aten::batch_norm": _norm(1, buffers=True),
    "aten::group_norm": _norm(2, buffers=False),
    "aten::layer_norm": _norm(2, buffers=False),
    **dict.fromkeys(("aten::relu", "aten::relu_", "aten::leaky_relu", "aten::hardtanh"), _each(1, 1)),
    **dict.fromkeys(
        ("aten::gelu", "aten::silu", "aten::sigmoid", "aten::tanh", "aten::elu", "aten::softmax"), _each(5, 5)
    ),
    "aten::max_pool2d": _pool(is_max=True),
    "aten::avg_pool2d": _pool(is_max=False),
}
"""Cost of an operation from the shapes of its inputs and its other arguments as text (`Concrete Inputs`)."""
