"""A side as a device holds it, in the precision that is asked for."""

from __future__ import annotations

import torch
from torch import nn

from gapslsim.stages.plain_side import PlainSide
from tests.support import sgd


def test_passes_in_bfloat16_are_autocasts_and_give_float32() -> None:
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    cpu = torch.device("cpu")
    made = PlainSide(module, sgd(), cpu, precision="bfloat16")(inputs)
    assert made.dtype is torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        wanted = module(inputs)
    assert wanted.dtype is torch.bfloat16
    assert torch.equal(made, wanted.float())
    assert not torch.equal(made, PlainSide(module, sgd(), cpu)(inputs))
