"""Rows divided by powers of two, so that squares of very large and very small gradients fit float64."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gapslsim.learning._layout import sent
from gapslsim.learning._limits import exact_place
from gapslsim.learning.gradient_rows import Rows, blocks_of

__all__ = ["exponents_of", "scaled", "times_power"]

_Values = Float[Tensor, "*#n"]


def exponents_of(rows: Rows) -> Int[Tensor, " n"]:
    """Binary exponent of the largest entry of each row, on the CPU; 0 for a zero row.

    All 0 for float32 and smaller types, whose squares float64 holds anyway; so nothing is scaled, nor read.
    """
    if rows.dtype != torch.float64:
        return torch.zeros(len(rows), dtype=torch.int32)
    # A power of two changes no digit of any entry; a division by the norm would round each.
    largest = torch.stack([block.abs().amax(1) for block in blocks_of(rows, max(rows.shape[1], 1))]).amax(0)
    return torch.frexp(largest).exponent.cpu()


def times_power(values: _Values, exponents: Int[Tensor, "*#n"]) -> _Values:
    """Multiplies by 2**exponents, in two exact factors since one alone may be out of float64's range."""
    powers = exponents.flatten().tolist()
    if not any(powers):
        return values
    # 2**1100 is out of range, though 2**550 * (2**550 * x) may be a fine number.
    for half in ([e // 2 for e in powers], [e - e // 2 for e in powers]):
        factors = torch.tensor([math.ldexp(1.0, e) for e in half], dtype=torch.float64).reshape(
            exponents.shape
        )
        # A factor that is the same for all goes to a device as a number.
        values = values * (
            factors.flatten()[0].item() if len(set(half)) == 1 else sent(factors, values.device)
        )
    return values


def scaled(rows: Float[Tensor, "n d"], exponents: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Rows in float64, each divided by its power of two."""
    return times_power(rows.to(exact_place(rows.device), torch.float64), -exponents[:, None])
