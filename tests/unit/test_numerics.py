"""Switches of PyTorch: set for the time of a run, as they were afterwards."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gapslsim import load, simulate
from gapslsim.errors import ComponentError
from gapslsim.learning.probe import probe
from gapslsim.numerics import computing
from tests.support import three_batches

GPU = torch.device("cuda", 0)
NAME = "CUBLAS_WORKSPACE_CONFIG"


def switches() -> tuple[Any, ...]:
    backends: Any = torch.backends
    places = (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
    )
    return (
        [place.fp32_precision for place in places],
        (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()),
        torch.get_deterministic_debug_mode(),
        (backends.cudnn.deterministic, backends.cudnn.benchmark),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        os.environ.get(NAME),
    )


def test_float32_is_ieee_for_products_and_convolutions_and_tf32_for_both() -> None:
    before = switches()
    with computing(GPU, "float32"):
        assert switches()[:2] == (["ieee"] * 5, (False, False, "highest"))
    with computing(GPU, "bfloat16"):
        assert switches()[:2] == (["ieee"] * 5, (False, False, "highest"))
    with computing(GPU, "tf32"):
        assert switches()[:2] == (["tf32"] * 3 + ["ieee"] * 2, (True, True, "high"))
    assert switches() == before


def test_a_gpu_repeats_unless_that_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    before = switches()
    with computing(GPU):
        # Strictly: with warnings alone PyTorch takes attention kernels that do not repeat.
        assert switches()[2:] == (2, (True, False), False, ":4096:8")
    assert switches() == before
    with computing(GPU, deterministic=False):
        assert switches()[2:] == before[2:]
    with computing(torch.device("cpu")):
        assert switches()[2:] == before[2:]


@pytest.mark.parametrize("loaded", ["before", "within", "never"])
def test_torchs_compiler_repeats_too_whenever_it_is_loaded(
    loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> SimpleNamespace:
        config = SimpleNamespace(
            deterministic=os.environ.get("TORCHINDUCTOR_DETERMINISTIC") == "1"
        )  # as it does
        monkeypatch.setitem(sys.modules, "torch._inductor.config", config)
        return config

    monkeypatch.delenv("TORCHINDUCTOR_DETERMINISTIC", raising=False)
    monkeypatch.delitem(sys.modules, "torch._inductor.config", raising=False)
    config = load() if loaded == "before" else SimpleNamespace(deterministic=False)
    with computing(GPU):
        if loaded == "within":
            config = load()
        assert config.deterministic is (loaded != "never")
    assert config.deterministic is False
    assert "TORCHINDUCTOR_DETERMINISTIC" not in os.environ


@pytest.mark.parametrize(
    "change", ["set_float32_matmul_precision", "cudnn.allow_tf32", "fp32_precision", "workspace"]
)
def test_what_the_user_has_set_is_there_again_also_after_an_error(
    change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends: Any = torch.backends
    with computing(torch.device("cpu"), "float32"):  # gives back what is changed here
        match change:
            case "set_float32_matmul_precision":
                torch.set_float32_matmul_precision("high")
            case "cudnn.allow_tf32":
                backends.cudnn.allow_tf32 = True
            case "fp32_precision":
                backends.cuda.matmul.fp32_precision = "tf32"
                backends.cuda.matmul.allow_tf32 = True
            case "workspace":
                monkeypatch.setenv(NAME, ":16:8")
        before = switches()
        inside = computing(GPU, "float32")
        inside.__enter__()
        assert switches()[0] == ["ieee"] * 5
        assert switches()[-1] == (":16:8" if change == "workspace" else ":4096:8")
        error = ValueError("of the run")
        assert not inside.__exit__(ValueError, error, None)
        assert switches() == before


def test_an_operation_without_a_kernel_that_repeats_is_named_with_the_way_out() -> None:
    said = (
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this operation"
    )
    with pytest.raises(ComponentError) as raised, computing(GPU):
        raise RuntimeError(said)
    assert str(raised.value) == (
        "training.deterministic: adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, "
        "and the model needs it. Or write `training.deterministic: false`: results then repeat up to rounding."
    )
    with pytest.raises(ComponentError, match=f"set {NAME}=:4096:8 before"), computing(GPU):
        raise RuntimeError("Deterministic behavior was enabled, but this operation uses CuBLAS")
    with pytest.raises(RuntimeError, match="out of memory"), computing(GPU):
        raise RuntimeError("CUDA out of memory")


def test_such_an_operation_of_a_users_model_is_not_taken_for_a_mistake_in_it() -> None:
    class Unpooled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if torch.are_deterministic_algorithms_enabled():  # as on a GPU
                raise RuntimeError(
                    "max_unpooling2d_forward_out does not have a deterministic implementation, but"
                )
            return 2 * x

    batches = three_batches(Unpooled(), 4)
    with (
        pytest.raises(
            ComponentError, match=r"^training\.deterministic: max_unpooling2d.*deterministic: false"
        ),
        computing(GPU),
    ):
        probe(Unpooled(), batches)
    with computing(GPU, deterministic=False):
        probe(Unpooled(), batches)


def test_a_run_leaves_no_switch_behind_and_had_them_while_it_trained() -> None:
    seen: list[tuple[Any, ...]] = []
    before = switches()
    small = ["data={kind: synthetic, n_train: 100, n_test: 10}", "model={kind: mlp, cut: 1}", "stop.rounds=1"]
    simulate(load("quickstart", set=small), observer=lambda progress: seen.append(switches()))
    assert seen[0][0] == ["ieee"] * 5
    assert switches() == before
