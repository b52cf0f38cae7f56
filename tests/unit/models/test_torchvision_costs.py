"""Costs of networks of torchvision, per side, against counts by hand from the shapes that hooks on their layers see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import ShiftedWindowAttention

from gapslsim.models.cost import SideCost, split_cost
from gapslsim.models.model import Model, models
from gapslsim.models.split import build

PRODUCTS = ("conv2d", "linear", "attention")
# Without random widths: one of each family, and the way that each writes its forward pass.
NETWORKS = {
    "resnet18": 6, "resnext50_32x4d": 9, "mobilenet_v2": 5, "mobilenet_v3_small": 6, "efficientnet_b0": 7,
    "convnext_tiny": 8, "swin_t": 6, "vit_b_16": 4, "densenet121": 7, "shufflenet_v2_x0_5": 9, "squeezenet1_1": 5,
}  # fmt: skip


def by_hand(net: nn.Module, inputs: Tensor) -> tuple[Counter[str], Counter[str], Tensor]:
    """FLOP of products and norms, forward and backward, and the output."""
    forward: Counter[str] = Counter()
    backward: Counter[str] = Counter()

    def add(kind: str, flop: int, back: int) -> None:
        forward[kind] += flop
        backward[kind] += back

    def seen(layer: Any, args: Any, output: Any) -> None:
        x = args[0]
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            once = 2 * output.numel() * prod(layer.weight.shape[1:])
            kind = "conv2d" if isinstance(layer, nn.Conv2d) else "linear"
            add(kind, once, once * (2 if x.requires_grad else 1))
        elif isinstance(layer, (nn.BatchNorm2d, nn.LayerNorm)):
            add("norm", 8 * x.numel(), 13 * x.numel())
        elif isinstance(layer, nn.MultiheadAttention):
            n, tokens, width = x.shape
            weights, scores = 2 * n * tokens * width * 4 * width, 2 * n * tokens * tokens * width * 2
            add("linear", weights, 2 * weights)
            add("attention", scores, 2 * scores)
        elif isinstance(layer, ShiftedWindowAttention):
            n, height, width, channels = x.shape
            window = layer.window_size[0]
            tokens = n * (-(-height // window) * window) * (-(-width // window) * window)
            weights, scores = 2 * tokens * channels * 4 * channels, 2 * tokens * window**2 * channels * 2
            add("linear", weights, 2 * weights)
            add("attention", scores, 2 * scores)

    # The parts of attention are called as functions; what hooks would see of them is nothing.
    hooks = [layer.register_forward_hook(seen) for layer in net.modules()]
    output: Tensor = net(inputs)
    for hook in hooks:
        hook.remove()
    return forward, backward, output


def flop(side: SideCost, phase: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for layer in getattr(side, phase).layers:
        if layer.kind in (*PRODUCTS, "norm"):
            found[layer.kind] += int(layer.work_flop)
    return found


@pytest.mark.parametrize("arch", NETWORKS)
def test_each_side_of_a_torchvision_network_costs_what_is_counted_by_hand(arch: str) -> None:
    size = 224 if arch.startswith("vit") else 64
    model = models["torchvision"](arch=arch, cut=NETWORKS[arch])
    cost = split_cost(model, (3, size, size), 10, 2)
    split = build(model, (3, size, size), 10, seed=0)
    *client, smashed = by_hand(split.client.to("meta").train(), torch.empty(2, 3, size, size, device="meta"))
    *server, _ = by_hand(split.server.to("meta").train(), smashed.detach().requires_grad_())
    for side, (forward, backward) in ((cost.client, client), (cost.server, server)):
        assert flop(side, "forward") == pytest.approx(forward, rel=0.01)
        assert flop(side, "backward") == pytest.approx(backward, rel=0.01)
        # Nothing that is bound by memory is filed as arithmetic.
        rest = sum(layer.work_flop for layer in side.forward.layers if layer.kind not in (*PRODUCTS, "norm"))
        assert rest < 0.2 * side.forward.work_flop


class Wrapped(nn.Module):
    """A layer inside a module of a user's own."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class Functional(nn.Module):
    """The same convolution, called as a function."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias, self.groups = layer.weight, layer.bias, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1, groups=self.groups)


class FunctionalBesideALayer(Functional):
    """Called as a function in a module that has layers too."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(layer)
        self.after = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.after(super().forward(x))
        return out


class Blocks(Model):
    """Blocks that a test gives; not registered."""

    cut = 1

    def __init__(self, *make: Callable[[], nn.Module]) -> None:
        self.make = make

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        return [(f"block{place}", make()) for place, make in enumerate(self.make)]

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        return self.cut


@pytest.mark.parametrize("wrap", [nn.Identity, Wrapped, Functional, FunctionalBesideALayer])
def test_a_depthwise_convolution_costs_the_same_however_it_is_wrapped(
    wrap: Callable[[nn.Module], nn.Module],
) -> None:
    def depthwise() -> nn.Module:
        layer = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        return layer if wrap is nn.Identity else wrap(layer)

    cost = split_cost(Blocks(nn.Identity, depthwise, nn.Flatten), (32, 16, 16), 32 * 16 * 16, 4)
    (forward,) = (layer for layer in cost.server.forward.layers if layer.kind == "conv2d")
    (backward,) = (layer for layer in cost.server.backward.layers if layer.kind == "conv2d")
    # 4 x 32 x 16 x 16 outputs of 9 multiply-accumulates; backward as much for the weights and for the input.
    assert forward.work_flop == 589_824
    assert backward.work_flop == 1_179_648
    assert forward.n_parameters == backward.n_parameters == 32 * 9 + 32


class Attends(nn.Module):
    """Attention of two heads as a function, over [n, 6, 8]."""

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(2, (2, 4)).transpose(1, 2)
        return F.scaled_dot_product_attention(heads, heads, heads).transpose(1, 2).flatten(2)


class Multiplies(nn.Module):
    """Projections of a user's own; a tensor of zeros is made on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.norm = nn.Parameter(torch.empty(8, 3)), nn.LayerNorm(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x @ self.weight + torch.zeros(3))
        return out


class Doubling(torch.autograd.Function):
    """A function of a user's own, with its own backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * 2 + 0


class Doubles(Wrapped):
    """Uses it between layers."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(Doubling.apply(x))
        return out


def test_functions_between_layers_are_costed_by_kind() -> None:
    cost = split_cost(Blocks(nn.Identity, Attends, Multiplies, nn.Flatten), (6, 8), 18, 5)
    found = {
        (layer.phase, layer.kind): layer for layer in cost.server.forward.layers + cost.server.backward.layers
    }
    n = 5 * 6
    assert found["forward", "attention"].work_flop == 2 * 2 * n * 6 * 8  # two products over 6 tokens
    assert found["backward", "attention"].work_flop == 2 * found["forward", "attention"].work_flop
    assert found["forward", "linear"].work_flop == 2 * n * 8 * 3
    assert found["forward", "linear"].n_parameters == 8 * 3
    assert found["forward", "norm"].work_flop == 8 * n * 3
    assert found["backward", "norm"].work_flop == 13 * n * 3


def test_an_autograd_function_of_a_users_own_costs_what_its_backward_pass_does() -> None:
    cost = split_cost(Blocks(nn.Identity, lambda: Doubles(nn.Linear(4, 3))), (4,), 3, 5)
    backward = {layer.name: layer for layer in cost.server.backward.layers}
    assert backward["DoublingBackward"].work_flop == 2 * 5 * 4  # a product and a sum
    assert any(layer.name == "block1.mul" for layer in cost.server.forward.layers)
