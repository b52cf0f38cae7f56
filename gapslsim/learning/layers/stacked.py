"""Layers of several models of one shape side by side, each on a batch of its own.

Parameters [n, ...] and inputs [n, b, ...] have a leading dimension for the model. Everything is a batched matrix
product or works sample by sample: what comes out of a model does not depend on the models beside it. It is that of a
pass of its own up to rounding. For layers that take microseconds this is several times faster than a pass per model.

On a GPU, where each call costs the same whatever its size, every layer has a stacked form: convolutions with unlike
kernels are one grouped convolution, and what has no form of its own here goes through `torch.vmap`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from gapslsim.models.layer_types import form_of

__all__ = ["StackedCall", "stacked_call"]

StackedCall = Callable[[Sequence[Tensor], Tensor], Tensor]
"""From a layer's parameters, each [n, ...], and its inputs [n, b, ...] to its outputs in training mode [n, b, ...]."""


def stacked_call(layer: Any, grouped: bool = False) -> StackedCall | None:
    """The stacked form of a layer; None if there is none.

    Args:
        layer: of a model.
        grouped: whether convolutions are grouped ones, not products of patches.
    """
    if grouped and type(layer) is nn.Embedding and layer.max_norm is layer.padding_idx is None:
        return _embedding
    match form_of(layer):
        case "bare":
            return partial(_bare, copy.deepcopy(layer).train())
        case "linear":
            return _linear
        # Groups would need a product per group; padding given by name has no numbers to pad by.
        case "convolution" if layer.groups == 1 and not isinstance(layer.padding, str):
            sizes = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            return partial(_convolution, _Window(*sizes), grouped)
        case "group_norm":
            return partial(_group_norm, layer.num_groups, layer.eps)
    return None


def _bare(
    layer: nn.Module, parameters: Sequence[Tensor], inputs: Float[Tensor, "n b ..."]
) -> Float[Tensor, "n b ..."]:
    """A layer without tensors works on each sample: all models' samples are one batch to it."""
    output: Tensor = layer(inputs.flatten(0, 1))
    return output.view(*inputs.shape[:2], *output.shape[1:])


def _linear(
    parameters: Sequence[Float[Tensor, "n ..."]], inputs: Float[Tensor, "n b ... n_in"]
) -> Float[Tensor, "n b ... n_out"]:
    weight, bias = parameters
    output = torch.baddbmm(bias[:, None], inputs.flatten(1, -2), weight.transpose(1, 2))
    return output.view(*inputs.shape[:-1], -1)


def _embedding(
    parameters: Sequence[Float[Tensor, "n n_tokens dim"]], inputs: Int[Tensor, "n b ..."]
) -> Float[Tensor, "n b ... dim"]:
    """One table of all models' tokens, those of the first model first."""
    (table,) = parameters
    first = torch.arange(len(table), device=inputs.device) * table.shape[1]
    return F.embedding(inputs + first.view(-1, *[1] * (inputs.dim() - 1)), table.flatten(0, 1))


class _Window(NamedTuple):
    """How a convolution looks at its images; (height, width) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def patches(
        self, images: Float[Tensor, "m c h w"]
    ) -> Float[Tensor, "m h_out w_out {self.kernel[0]} {self.kernel[1]} c"]:
        """What the kernel sees at each place, channels last."""
        pad_h, pad_w = self.padding
        # Channels are made to lie side by side, so that the product later copies runs of numbers, not single
        # ones.
        padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, pad_w, pad_w, pad_h, pad_h)).contiguous()
        m, height, width, channels = padded.shape
        image, row, column, channel = padded.stride()
        places = [
            (size - step * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, step in zip(
                (height, width), self.kernel, self.stride, self.dilation, strict=True
            )
        ]
        (down, across), (step_h, step_w) = self.stride, self.dilation
        # A view: overlapping patches are not copied here, only when the product needs them in rows.
        return padded.as_strided(
            (m, *places, *self.kernel, channels),
            (image, down * row, across * column, step_h * row, step_w * column, channel),
        )


def _convolution(
    window: _Window,
    grouped: bool,
    parameters: Sequence[Float[Tensor, "n ..."]],
    inputs: Float[Tensor, "n b c h w"],
) -> Float[Tensor, "n b o h_out w_out"]:
    """Convolution as a matrix product of patches with the weights, channels last; or a grouped one."""
    weight, bias = parameters
    n, b = inputs.shape[:2]
    images = inputs.flatten(0, 1)
    # One set of weights for all, as at the server: one convolution over all images serves forward.
    if weight.stride(0) == 0:  # a view that repeats one kernel
        shared: Tensor = _SharedConvolution.apply(images, weight, bias, window)
        return shared.view(n, b, *shared.shape[1:])
    if grouped:
        beside = inputs.transpose(0, 1).flatten(1, 2)
        how = (window.stride, window.padding, window.dilation)
        output = F.conv2d(beside, weight.flatten(0, 1), bias.flatten(), *how, groups=n)
        return output.view(b, n, -1, *output.shape[2:]).transpose(0, 1)
    patches = window.patches(images)
    # Kernel first, then channels, as the patches lie.
    matrix = weight.permute(0, 3, 4, 2, 1).flatten(1, 3)
    output = torch.baddbmm(bias[:, None], patches.reshape(n, -1, matrix.shape[1]), matrix)
    return output.view(n, b, *patches.shape[1:3], -1).permute(0, 1, 4, 2, 3)


class _SharedConvolution(torch.autograd.Function):
    """One kernel for the images of all models; the derivative by the kernel is each model's own.

    The kernel comes as a view that repeats it, one for each model. PyTorch's own convolution makes
    the outputs and the derivative by the images; that by the kernel is a product of each model's patches.
    """

    @staticmethod
    def forward(
        ctx: Any,
        images: Float[Tensor, "nb c h w"],
        weight: Float[Tensor, "n o c k_h k_w"],
        bias: Float[Tensor, "n o"],
        window: _Window,
    ) -> Float[Tensor, "nb o h_out w_out"]:
        ctx.save_for_backward(images, weight)
        ctx.window = window
        return F.conv2d(images, weight[0], bias[0], window.stride, window.padding, window.dilation)

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "nb o h_out w_out"]) -> tuple[Tensor | None, ...]:
        given, weight = ctx.saved_tensors
        n, n_out = weight.shape[:2]
        images = given.to(gradient.dtype)  # passes in bfloat16 have gradients of that kind
        at_images = None
        # The first layer of a side may stand at inputs that nobody differentiates by.
        if ctx.needs_input_grad[0]:
            how = (ctx.window.stride, ctx.window.padding, ctx.window.dilation)
            kernel = weight[0].to(gradient.dtype)
            at_images = conv2d_input(images.shape, kernel, gradient, *how).to(given.dtype)  # type: ignore[no-untyped-call]
        rows = gradient.permute(0, 2, 3, 1).reshape(n, -1, n_out)
        patches = ctx.window.patches(images)
        at_weight = torch.bmm(rows.transpose(1, 2), patches.reshape(n, rows.shape[1], -1))
        shaped = at_weight.view(n, n_out, *patches.shape[3:]).permute(0, 1, 4, 2, 3)
        return at_images, shaped.to(weight.dtype), rows.sum(1).to(weight.dtype), None


def _group_norm(
    n_groups: int, eps: float, parameters: Sequence[Float[Tensor, "n c"]], inputs: Float[Tensor, "n b c ..."]
) -> Float[Tensor, "n b c ..."]:
    # Without weights, which are each model's own; normalising looks at one sample and is the same for all.
    normal = torch.group_norm(inputs.flatten(0, 1), n_groups, None, None, eps)
    weight, bias = (p.view(len(p), 1, -1, *[1] * (inputs.dim() - 3)) for p in parameters)
    return torch.addcmul(bias, normal.view(inputs.shape), weight)
