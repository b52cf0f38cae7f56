"""What trains on a GPU by default repeats there: no operation that PyTorch has no deterministic kernel for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gapslsim import load, simulate
from gapslsim.models.model import models
from tests.emulated import emulated

# As torch.use_deterministic_algorithms lists them (PyTorch 2.14); backward passes where those alone are named.
WITHOUT = {
    "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward",
    "max_unpool2d", "max_unpool3d", "upsample_linear1d_backward", "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward", "upsample_trilinear3d_backward", "reflection_pad1d_backward",
    "reflection_pad2d_backward", "reflection_pad3d_backward", "nll_loss2d_forward", "_ctc_loss_backward",
    "_embedding_bag", "put", "put_", "histc", "bincount", "median", "kthvalue", "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
}  # fmt: skip


class Asked(TorchDispatchMode):
    """Names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func).split(".")[1])
        return func(*args, **(kwargs or {}))


def asked_of(blocks: list[tuple[str, nn.Module]], inputs: torch.Tensor) -> set[str]:
    """Operations of a forward and backward pass, without any numbers."""
    network = nn.Sequential(*(block for _, block in blocks))
    with Asked() as asked:
        network(inputs).sum().backward()
    return asked.names


@pytest.mark.parametrize("kind", sorted(set(models) - {"module"}))
def test_every_shipped_model_repeats(kind: str) -> None:
    if kind == "transformer_lm":
        shape, inputs = (16,), torch.zeros(2, 16, dtype=torch.int64, device="meta")
    else:
        shape, inputs = (3, 32, 32), torch.empty(2, 3, 32, 32, device="meta")  # type: ignore[assignment]
    with torch.device("meta"):
        blocks = models[kind]().blocks(shape, 10)
    asked = asked_of(blocks, inputs)
    assert "mm" in asked or "addmm" in asked
    assert not asked & WITHOUT


def test_vgg_and_alexnet_of_torchvision_do_not_as_the_page_says() -> None:
    with torch.device("meta"):
        made = models["torchvision"](arch="vgg11").blocks((3, 32, 32), 10)
    assert "_adaptive_avg_pool2d_backward" in asked_of(made, torch.empty(2, 3, 32, 32, device="meta"))


@pytest.mark.parametrize("kind", ["gapsl", "sfl"])
def test_rules_averages_and_evaluations_repeat(kind: str) -> None:
    small = ["data={kind: synthetic, n_train: 100, n_test: 10}", "model={kind: mlp, cut: 1}", "stop.rounds=2"]
    with emulated() as log:
        simulate(load("quickstart", set=[*small, f"framework={kind}"]))
    asked = {what.split(" ")[0].split(".")[0] for what in log.launches}
    assert "mm" in asked
    assert not asked & WITHOUT
