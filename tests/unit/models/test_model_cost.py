"""Costs against published counts, against PyTorch's own counter, and against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from gapslsim.models.cost import SideCost, SplitCost, split_cost
from gapslsim.models.model import Model, models
from gapslsim.models.split import build
from gapslsim.work import Cost

CLASSES = 4
PRODUCTS = ("conv2d", "linear")


def work_flop(cost: Cost, *kinds: str) -> float:
    return sum(layer.work_flop for layer in cost.layers if not kinds or layer.kind in kinds)


def total(cost: SplitCost, of: Callable[[SideCost], float]) -> float:
    return of(cost.client) + of(cost.server)


# Published counts: torchvision's weight metadata, `num_params` and `_ops` (giga multiply-accumulates at 224x224),
# https://docs.pytorch.org/vision/stable/models.html: VGG16 138357544, 15.47; VGG16_BN 138365992; ViT_B_16 86567656,
# 17.564 (with the two products of attention).
def test_vgg16_for_imagenet_has_the_published_counts() -> None:
    for norm, published in (("none", 138_357_544), ("batch", 138_365_992)):
        model = models["vgg16"](classifier=(4096, 4096), norm=norm)
        cost = split_cost(model, (3, 224, 224), 1000, 1)
        assert total(cost, lambda side: side.n_parameters) == published
        macs = total(cost, lambda side: work_flop(side.forward, *PRODUCTS)) / 2
        assert round(macs / 1e9, 2) == 15.47


def test_vit_base_has_the_published_counts() -> None:
    cost = split_cost(models["vit"](), (3, 224, 224), 1000, 1)
    assert total(cost, lambda side: side.n_parameters) == 86_567_656
    attention_macs = 12 * 2 * 197 * 197 * 768
    softmax_flop = 12 * 5 * 12 * 197 * 197
    attention = total(cost, lambda side: work_flop(side.forward, "attention"))
    assert attention == 2 * attention_macs + softmax_flop
    macs = total(cost, lambda side: work_flop(side.forward, *PRODUCTS)) / 2 + attention_macs
    assert round(macs / 1e9, 3) == 17.564


def test_vgg16_for_cifar_has_14_7_million_convolution_weights_and_313_million_macs() -> None:
    # Convolutions: sum of 9*in*out + out over the 13 layers of configuration D = 14,714,688 (torchvision's `features`).
    # One fully connected layer (512 -> 10) gives 14,719,818, the usual CIFAR variant without norm;
    # multiply-accumulates: (27*64 + 576*64)*1024 + ... = 313,196,544 for the convolutions.
    cost = split_cost(models["vgg16"](classifier=()), (3, 32, 32), 10, 1)
    assert total(cost, lambda side: side.n_parameters) == 14_714_688 + 5_130
    assert total(cost, lambda side: work_flop(side.forward, "conv2d")) == 2 * 313_196_544


def test_the_papers_cuts_send_the_expected_shapes() -> None:
    assert split_cost(models["vgg16"](), (3, 32, 32), 10, 128).smashed_shape == (128, 8, 8)
    late = split_cost(models["vgg16"](pool_with="next"), (3, 32, 32), 10, 128)
    assert late.smashed_shape == (128, 16, 16)
    assert late.client.output_bytes == 128 * 128 * 16 * 16 * 4
    vit = split_cost(models["vit"](resize=224), (3, 32, 32), 100, 64)
    assert vit.smashed_shape == (197, 768)


def meta_counts(model: Model, input_shape: tuple[int, ...], n: int) -> dict[str, float]:
    """FLOP of matrix products and convolutions by PyTorch's counter, per side and phase."""
    with torch.device("meta"):
        split = build(model, input_shape, CLASSES, seed=0)
        client, server = split.client.to("meta"), split.server.to("meta")
        inputs = torch.empty(n, *input_shape, dtype=getattr(torch, model.input_dtype))
        labels = torch.empty(n, dtype=torch.int64)
    counts: dict[str, float] = {}

    def count(name: str, call: Callable[[], Any]) -> Any:
        with FlopCounterMode(display=False) as counter:
            result = call()
        counts[name] = counter.get_total_flops()
        return result

    smashed: Tensor = count("client forward", lambda: client(inputs))
    received = smashed.detach().requires_grad_()
    logits = count("server forward", lambda: server(received))
    loss = F.cross_entropy(logits, labels)
    wanted = [*server.parameters(), received]
    count("server backward", lambda: torch.autograd.grad(loss, wanted))
    count("client backward", lambda: torch.autograd.grad(smashed, list(client.parameters()), received))
    return counts


def products(cost: Cost) -> float:
    """FLOP of matrix products alone: those of attention without the 5 per score of its softmax."""
    n_tokens, heads = 5, 2  # of the small vit
    flop = work_flop(cost, *PRODUCTS)
    for layer in cost.layers:
        if layer.kind == "attention":
            flop += layer.work_flop - 5 * layer.batch_size * heads * n_tokens**2
    return flop


def test_matrix_products_and_convolutions_agree_with_the_flop_counter(whole_case: Any) -> None:
    _, input_shape, cuts = whole_case
    for model in {cut.cut: cut for cut in (cuts[0], cuts[len(cuts) // 2], cuts[-1])}.values():
        counts, cost = meta_counts(model, input_shape, n=2), split_cost(model, input_shape, CLASSES, 2)
        for name, side in (("client", cost.client), ("server", cost.server)):
            assert products(side.forward) == counts[f"{name} forward"]
            assert products(side.backward) == counts[f"{name} backward"]


def test_costs_add_up_to_the_same_whatever_the_cut(whole_case: Any) -> None:
    _, input_shape, cuts = whole_case
    costs = [split_cost(cut, input_shape, CLASSES, 2) for cut in (*cuts[:-1:3], cuts[-1])]
    for of in (
        lambda side: side.forward.work_flop,
        lambda side: side.backward.work_flop,
        lambda side: side.forward.moved_bytes,
        lambda side: side.backward.moved_bytes,
        lambda side: side.n_parameters,
        lambda side: side.n_buffers,
    ):
        assert len({total(cost, of) for cost in costs}) == 1
    on_client = [cost.client.forward.work_flop for cost in costs]
    assert on_client == sorted(on_client)


def test_sizes_are_those_of_the_real_network(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    split, cost = build(model, input_shape, CLASSES, seed=0), split_cost(model, input_shape, CLASSES, 2)
    smashed = split.client(torch.zeros(2, *input_shape, dtype=getattr(torch, model.input_dtype)))
    assert cost.smashed_shape == tuple(smashed.shape[1:])
    assert cost.client.output_bytes == cost.server.input_bytes == smashed.nbytes
    assert cost.server.output_bytes == 2 * CLASSES * 4
    for side, module in ((cost.client, split.client), (cost.server, split.server)):
        assert side.n_parameters == sum(tensor.numel() for tensor in module.parameters())
        assert side.n_parameters == sum(layer.n_parameters for layer in side.forward.layers)
        assert side.parameter_bytes == sum(tensor.nbytes for tensor in module.parameters())
        assert side.buffer_bytes == sum(tensor.nbytes for tensor in module.buffers())
        assert side.n_buffers == sum(tensor.numel() for tensor in module.buffers())


def test_no_layer_is_free_but_views(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    cost = split_cost(model, input_shape, CLASSES, 2)
    for side in (cost.client, cost.server):
        layers = [*side.forward.layers, *side.backward.layers]
        assert all(layer.work_flop > 0 or layer.kind == "reshape" for layer in layers)
        assert all(layer.moved_bytes > 0 and layer.batch_size == 2 for layer in layers)
        assert {layer.phase for layer in side.forward.layers} == {"forward"}
        assert {layer.phase for layer in side.backward.layers} == {"backward"}


def test_kept_activations_are_what_autograd_keeps(whole_case: Any) -> None:
    model, input_shape, _ = whole_case
    split, cost = build(model, input_shape, CLASSES, seed=0), split_cost(model, input_shape, CLASSES, 2)
    inputs = torch.zeros(2, *input_shape, dtype=getattr(torch, model.input_dtype))
    received = split.client(inputs).detach().requires_grad_()
    for side, module, x in ((cost.client, split.client, inputs), (cost.server, split.server, received)):
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: Tensor, kept: dict[int, torch.UntypedStorage] = kept) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = module(x)  # alive until the count is done
        for tensor in (x, *module.parameters(), *module.buffers()):
            kept.pop(tensor.untyped_storage().data_ptr(), None)
        assert side.activation_bytes == sum(storage.nbytes() for storage in kept.values())
        assert output.requires_grad


def test_costs_of_a_small_perceptron_are_those_worked_out_by_hand() -> None:
    # 2 samples, 3 -> 4 (tanh) | 4 -> 2; float32.
    cost = split_cost(models["mlp"](hidden=(4,), activation="tanh"), (3,), 2, 2)
    linear, tanh = cost.client.forward.layers
    assert (linear.name, linear.kind, linear.work_flop) == ("hidden1.linear", "linear", 2 * 2 * 3 * 4)
    assert linear.moved_bytes == 4 * (2 * 3 + 2 * 4 + 3 * 4 + 4)
    assert (tanh.kind, tanh.work_flop, tanh.moved_bytes) == ("activation", 5 * 8, 4 * 16)
    back_tanh, back_linear = cost.client.backward.layers
    assert (back_tanh.work_flop, back_tanh.moved_bytes) == (5 * 8, 4 * (8 + 8 + 8))
    assert back_linear.work_flop == 2 * 2 * 3 * 4  # of the weights alone: nothing learns before it
    assert back_linear.moved_bytes == 4 * (8 + 6 + 16)
    head, loss = cost.server.forward.layers
    assert (head.work_flop, loss.name, loss.work_flop) == (2 * 2 * 4 * 2, "loss", 5 * 4)
    back_loss, back_head = cost.server.backward.layers
    assert back_loss.work_flop == 2 * 4
    assert back_head.work_flop == 2 * (2 * 2 * 4 * 2)  # of the weights, and the cut gradient
    assert back_head.moved_bytes == 4 * (4 + 8 + 10 + 10 + 8)
    assert cost.client.activation_bytes == 4 * 8  # tanh's output; the input is not counted
    assert cost.server.activation_bytes == 0  # only the smashed data, its input
    assert cost.client.workspace_bytes == 4 * 16


def test_norm_pool_and_loss_follow_the_conventions() -> None:
    model = models["cnn"](channels=(2,), norm="batch")
    cost = split_cost(model, (1, 4, 4), 3, 2)
    conv, norm, relu, pool = cost.client.forward.layers
    n = 2 * 2 * 4 * 4
    assert conv.work_flop == 2 * n * 9
    assert (norm.kind, norm.work_flop) == ("norm", 8 * n)
    assert (
        norm.moved_bytes == 4 * (2 * n + 4 + 4) + 8
    )  # weights, running statistics, and a counter of 8 bytes
    assert (relu.work_flop, pool.work_flop) == (n, n / 4 * 4)
    back_pool, back_relu, back_norm, back_conv = cost.client.backward.layers
    assert (back_pool.work_flop, back_pool.moved_bytes) == (n / 4, n / 4 * 4 + n / 4 * 8 + 4 * n)
    assert (back_relu.work_flop, back_norm.work_flop, back_conv.work_flop) == (n, 13 * n, 2 * n * 9)


def test_costs_scale_with_the_batch_and_are_remembered() -> None:
    model = models["cnn"](cut=2)
    one, many = split_cost(model, (1, 8, 8), 10, 1), split_cost(model, (1, 8, 8), 10, 16)
    assert many.client.forward.work_flop == 16 * one.client.forward.work_flop
    assert many.server.backward.work_flop == 16 * one.server.backward.work_flop
    assert many.client.activation_bytes == 16 * one.client.activation_bytes
    again = split_cost(models["cnn"](cut=2), (1, 8, 8), 10, 16)
    assert again is many


def test_counting_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    split_cost(models["vit"](dim=12, depth=1, cut=1, patch=2), (1, 4, 4), 3, 1)
    assert torch.equal(torch.get_rng_state(), before)


class Swish(nn.Module):
    """A leaf that no formula knows, without a matrix product."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class LowRank(nn.Module):
    """A module of a user's own that computes with parameters and children itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 2)
        self.outer = nn.Parameter(torch.empty(2, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) @ self.outer


class Doubled(nn.ReLU):
    """A known class with a forward pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * torch.relu(x)


class Own(Model):
    """A user's own model; not registered."""

    cut = 1

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        return [
            ("own", LowRank()),
            ("swish", Swish()),
            ("doubled", Doubled()),
            ("head", nn.Linear(5, n_classes)),
        ]

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        return self.cut


def test_layers_without_a_formula_are_counted_operation_by_operation() -> None:
    cost = split_cost(Own(), (6,), 3, 4)
    inner, product = cost.client.forward.layers
    assert (inner.name, inner.kind, inner.n_parameters) == ("own.inner", "linear", 6 * 2 + 2)
    assert inner.work_flop == 2 * 4 * 6 * 2
    assert (product.name, product.kind, product.n_parameters) == ("own.matmul", "linear", 2 * 5)
    assert product.work_flop == 2 * 4 * 2 * 5
    assert product.moved_bytes == 4 * (8 + 10 + 20)
    back_product, back_inner = cost.client.backward.layers
    assert back_product.work_flop == 2 * product.work_flop  # of its weights, and of what came in
    assert back_inner.work_flop == inner.work_flop  # of the weights alone: nothing learns before it
    swish, doubled, head, _ = cost.server.forward.layers
    assert (swish.kind, swish.work_flop, swish.moved_bytes) == ("activation", 2 * 20, 4 * (40 + 60))
    assert (doubled.kind, doubled.work_flop) == ("activation", 2 * 20)
    assert head.kind == "linear"
    assert all(layer.work_flop > 0 and layer.moved_bytes > 0 for layer in cost.server.backward.layers)


def test_a_batch_that_the_model_cannot_train_on_is_refused_in_words() -> None:
    model = models["cnn"](channels=(2,), norm="batch")
    with pytest.raises(ValueError, match="batch_size must be 1 or more, found 0"):
        split_cost(model, (1, 1, 1), 10, 0)
    with pytest.raises(ValueError, match=r"model cnn .* batches of 1 .*more than 1 value per channel"):
        split_cost(model, (1, 1, 1), 10, 1)


def test_settings_that_cannot_be_hashed_are_refused_with_the_fix() -> None:
    class Unhashable(Own):
        __hash__ = None

    with pytest.raises(TypeError, match="use tuples, not lists"):
        split_cost(Unhashable(), (6,), 3, 4)
