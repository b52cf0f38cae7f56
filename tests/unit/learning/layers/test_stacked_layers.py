"""Models side by side give what each gives alone, and none depends on who is beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gapslsim.learning.layers.chain import LayerChain
from gapslsim.learning.layers.stacked import stacked_call
from gapslsim.learning.tensors import Side
from tests.support import sgd, three_batches

N, B = 4, 3
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 4), (5,)),
    "linear on rows": (nn.Linear(5, 4), (2, 5)),
    "convolution": (nn.Conv2d(3, 4, 3, padding=1), (3, 6, 5)),
    "convolution, one channel": (nn.Conv2d(1, 4, 3, padding=1), (1, 6, 6)),
    "convolution with stride": (nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0)), (3, 7, 5)),
    "convolution with dilation": (nn.Conv2d(2, 3, 3, dilation=(2, 1), padding=2), (2, 6, 6)),
    "group norm": (nn.GroupNorm(2, 4), (4, 3, 5)),
    "group norm on rows": (nn.GroupNorm(2, 4), (4,)),
    "pooling": (nn.MaxPool2d(2), (4, 6, 6)),
    "relu": (nn.ReLU(), (7,)),
    "flatten": (nn.Flatten(), (2, 3, 3)),
    "block": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 3),
        ),
        (2, 4, 4),
    ),
}  # fmt: skip


def models(layer: nn.Module, n: int, dtype: torch.dtype) -> list[nn.Module]:
    random = torch.Generator().manual_seed(7)
    made = [copy.deepcopy(layer).to(dtype) for _ in range(n)]
    with torch.no_grad():
        for model in made:
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return made


def inputs(shape: tuple[int, ...], n: int, dtype: torch.dtype) -> Tensor:
    given = torch.randn(n, B, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    if len(shape) == 3:
        given = given.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    return given.to(dtype)


def stacked(side: Side, parameters: list[Tensor], given: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Outputs, gradients of the parameters and gradient of the inputs of the sum of the outputs' squares."""
    given = given.clone().requires_grad_()
    tape = side.forward_stacked(parameters, given)
    *gradients, at_inputs = torch.autograd.grad(tape.output.square().sum(), (*tape.parameters, given))
    return tape.output.detach(), tuple(gradients), at_inputs


def columns(made: list[nn.Module]) -> list[Tensor]:
    return [
        torch.stack([p.detach() for p in column])
        for column in zip(*(model.parameters() for model in made), strict=True)
    ]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("is_shared", [False, True])
def test_outputs_and_gradients_are_those_of_each_model_alone(name: str, is_shared: bool) -> None:
    layer, shape = LAYERS[name]
    made = models(layer, N, torch.float64)
    given = inputs(shape, N, torch.float64)
    side = Side(made[0], sgd(), None, three_batches(made[0], *shape))
    assert side.stackable
    parameters = columns(made)
    if is_shared:
        made = [made[0]] * N
        parameters = [p.detach().expand(N, *p.shape) for p in made[0].parameters()]
    outputs, gradients, at_inputs = stacked(side, parameters, given)
    for place, model in enumerate(made):
        own = given[place].clone().requires_grad_()
        expected = model(own)
        torch.testing.assert_close(outputs[place], expected.detach(), rtol=0, atol=1e-12)
        *wanted, at_own = torch.autograd.grad(expected.square().sum(), (*model.parameters(), own))
        torch.testing.assert_close(at_inputs[place], at_own, rtol=1e-12, atol=1e-11)
        for found, want in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(found[place], want, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_no_bit_depends_on_the_models_beside(name: str) -> None:
    layer, shape = LAYERS[name]
    made = models(layer, 10, torch.float32)
    given = inputs(shape, 10, torch.float32)
    side = Side(made[0], sgd(), None, three_batches(made[0], *shape))
    everyone = stacked(side, columns(made), given)
    for chosen in ([0, 1], [7, 3], [4, 4], [9, 2, 5], [8, 6, 1, 0, 3, 2, 9]):
        outputs, gradients, at_inputs = stacked(side, columns([made[i] for i in chosen]), given[chosen])
        assert torch.equal(outputs, everyone[0][chosen])
        assert torch.equal(at_inputs, everyone[2][chosen])
        for found, whole in zip(gradients, everyone[1], strict=True):
            assert torch.equal(found, whole[chosen])


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(3),
        nn.LayerNorm(4),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Linear(3, 2, bias=False),
    ],
)
def test_layers_without_a_stacked_form_are_told(layer: nn.Module) -> None:
    assert stacked_call(layer) is None
    assert not LayerChain(nn.Sequential(nn.Flatten(0), layer)).can_stack


def test_layers_that_draw_are_not_stacked() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    assert LayerChain(module).can_stack
    assert not Side(module, sgd(), None, three_batches(module, 3)).stackable


@pytest.mark.parametrize("affine", [False, True])
def test_layers_that_mix_samples_are_not_stacked_even_without_statistics(affine: bool) -> None:
    norm = nn.BatchNorm1d(3, affine=affine, track_running_stats=False)
    module = nn.Sequential(nn.Linear(3, 3), norm)
    assert not Side(module, sgd(), None, three_batches(module, 3)).stackable


def test_layers_that_share_a_tensor_are_not_stacked() -> None:
    one = nn.Linear(3, 3)
    assert not LayerChain(nn.Sequential(one, nn.ReLU(), one)).can_stack


class Doubled(nn.Module):
    """A layer that nobody has heard of, with a norm inside."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.factor = nn.LayerNorm(6), nn.Parameter(torch.tensor(2.0))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.norm(inputs) * self.factor + inputs


class Peeking(Doubled):
    """One that looks at its numbers, which `torch.vmap` refuses."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs) if float(inputs.detach().sum()) > -1e9 else super().forward(-inputs)


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, stride=2), nn.Flatten())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("make", "shape"),
    [(lambda: nn.Sequential(nn.Linear(6, 6), Doubled()), (6,)), (convolutions, (2, 7, 7))],
)
def test_on_a_gpu_every_layer_is_stacked(
    make: Callable[[], nn.Module], shape: tuple[int, ...], shared: bool
) -> None:
    modules = [make().double() for _ in range(3)]
    if shared:
        modules = modules[:1] * 3
    side = Side(modules[0], sgd(), None, three_batches(modules[0], *shape), stacks_all=True)
    assert side.stackable
    inputs = torch.randn(3, 5, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    columns = zip(*(module.parameters() for module in modules), strict=True)
    stack = [
        c[0].detach().expand(3, *c[0].shape) if shared else torch.stack(list(c)).detach() for c in columns
    ]
    tape = side.forward_stacked(stack, inputs)
    found = torch.autograd.grad(tape.output.square().sum(), tape.parameters)
    for place, module in enumerate(modules):
        output = module(inputs[place])
        torch.testing.assert_close(tape.output[place], output, rtol=1e-12, atol=1e-12)
        wanted = torch.autograd.grad(output.square().sum(), list(module.parameters()))
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one[place], other, rtol=1e-12, atol=1e-12)


def test_what_vmap_refuses_goes_one_model_at_a_time() -> None:
    module = nn.Sequential(nn.Linear(6, 6), Peeking())
    assert not Side(module, sgd(), None, three_batches(module, 6), stacks_all=True).stackable


def test_passes_in_bfloat16_are_stacked_on_a_gpu_alone() -> None:
    module = convolutions()
    examples = three_batches(module, 2, 7, 7)
    assert not Side(module, sgd(), None, examples, precision="bfloat16").stackable
    side = Side(module, sgd(), None, examples, stacks_all=True, precision="bfloat16")
    assert side.stackable
    shared = [p.detach().expand(2, *p.shape) for p in module.parameters()]
    tape = side.forward_stacked(shared, torch.stack(examples[:2]))
    plain = side.forward(side.initial(), examples[1], 0)
    assert tape.output.dtype == torch.float32
    torch.testing.assert_close(tape.output[1], plain.output, rtol=0.02, atol=0.02)
    one, other = (
        torch.autograd.grad(output.sum(), leaves)
        for output, leaves in ((tape.output, tape.parameters), (plain.output, plain.parameters))
    )
    assert one[0].dtype == torch.float32
    torch.testing.assert_close(one[0][1], other[0], rtol=0.05, atol=0.2)
