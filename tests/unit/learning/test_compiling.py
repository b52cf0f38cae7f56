"""Compiled passes: the same training, one graph for each shape of pass; on GPUs alone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jaxtyping
import pytest
import torch
import torch._dynamo

from gapslsim import assembly as assembly_module
from gapslsim import load_dict, simulate
from gapslsim.errors import ScenarioError
from gapslsim.learning import _limits
from gapslsim.learning.compiling import compiled
from gapslsim.torch_device import check_compiling, computed_on
from tests.emulated import emulated
from tests.worlds import small_scenario

_DATA = {"kind": "synthetic", "input_shape": [1, 8, 8], "n_classes": 4, "n_train": 64, "n_test": 8}
_MODEL = {"kind": "cnn", "cut": 1, "channels": [4, 4]}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Passes are traced as on a GPU, and what is traced is carried out by plain PyTorch: making kernels takes long."""
    compile_by = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda call, dynamic, mode=None: compile_by(call, dynamic=dynamic))
    monkeypatch.setattr(assembly_module, "check_compiling", lambda *_: None)
    monkeypatch.setattr(_limits, "_CPU", _limits.limits_of_gpu(80 * 10**9))
    # The tests' checks of shapes are no part of a pass.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters
    torch._dynamo.reset()


def _losses(how: str, **training: Any) -> str:
    given = {"batch_size": 8, "device": "cpu", "client": {"optimizer": "sgd", "lr": 0.05}, "compile": how}
    scenario = small_scenario(
        data=_DATA, model=_MODEL, framework={"kind": "gapsl"}, training=given | training
    )
    return str(simulate(load_dict(scenario)).summary["learning_sha256"])


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute"
)  # which the tracing hides, unless warnings are errors
@pytest.mark.parametrize("how", ["compile", "cuda_graphs"])
def test_a_run_has_four_graphs_without_a_break_and_learns_the_same(how: str, traced: Any) -> None:
    # Each side in training, stacked, and in evaluation.
    assert _losses(how) == _losses("none")
    assert traced["stats"]["unique_graphs"] == 4
    assert not traced["graph_break"]


def test_what_leaves_a_cuda_graph_is_not_overwritten_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    output, gradient = torch.zeros(2), torch.zeros(2)

    class Graph(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, weight: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
            return output.copy_(weight * given)

        @staticmethod
        def backward(ctx: Any, *into: torch.Tensor) -> tuple[torch.Tensor, None]:
            return gradient.add_(1.0), None

    monkeypatch.setattr(torch, "compile", lambda *_, **__: lambda own, given: Graph.apply(own[0], given))
    call = compiled(lambda *_: output, "cuda_graphs")
    weight = torch.ones(2, requires_grad=True)
    first, second = (call([weight], torch.full((2,), number)) for number in (2.0, 3.0))
    assert (first.tolist(), second.tolist()) == ([2.0, 2.0], [3.0, 3.0])
    (one,) = torch.autograd.grad(first.sum(), weight)
    torch.autograd.grad(second.sum(), weight)
    assert one.tolist() == [1.0, 1.0]


def test_on_a_cpu_compiled_passes_are_refused() -> None:
    with pytest.raises(
        ScenarioError, match=r"training\.compile: found 'compile', which is for CUDA GPUs.*write none"
    ):
        _losses("compile")
    with emulated():
        check_compiling("cuda_graphs", torch.device("cuda"))
        assert computed_on(torch.device("cuda"), "float32", True, "compile")["compile"] == "compile"


def test_exact_gradients_go_backward_twice_and_are_refused() -> None:
    framework = {"kind": "gapsl", "gradient": "exact"}
    training = {"batch_size": 8, "client": {"optimizer": "sgd", "lr": 0.05}, "compile": "compile"}
    with pytest.raises(ScenarioError, match=r"training\.compile: found 'compile'; .*gradient: detached"):
        load_dict(small_scenario(framework=framework, training=training))
