"""Gradients for the tests of the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gapslsim.learning.rules import Gradients


def gradients(
    rows: Any,
    losses: Any = None,
    *,
    round: int = 1,
    planned_rounds: int | None = 10,
    state: Mapping[str, float] | None = None,
    seed: int = 0,
    clients: tuple[int, ...] | None = None,
    hessian_product: Any = None,
    memory: Mapping[str, torch.Tensor] | None = None,
) -> Gradients:
    matrix = torch.as_tensor(np.asarray(rows)) if not isinstance(rows, torch.Tensor) else rows
    n = len(matrix)
    return Gradients(
        matrix=matrix,
        losses=torch.ones(n, dtype=matrix.dtype) if losses is None else torch.as_tensor(losses),
        clients=tuple(range(n)) if clients is None else clients,
        round=round,
        planned_rounds=planned_rounds,
        state=state or {},
        random=np.random.default_rng(seed),
        memory=memory or {},
        hessian_product=hessian_product,
    )
