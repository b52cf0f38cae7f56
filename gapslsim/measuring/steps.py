"""Times what is no layer: optimizer steps, the server's rule, copies of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from gapslsim.frameworks.rules.costs import average_cost, gram_cost
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.rules import Gradients
from gapslsim.learning.tensors import Side, flatten, unflatten
from gapslsim.measuring.clock import Clock, keep, quantiles
from gapslsim.measuring.passes import Effort
from gapslsim.measuring.probes import Probe
from gapslsim.measuring.table import Machine, Measurement, compute_row
from gapslsim.models.split import build
from gapslsim.work import LayerCost

__all__ = ["copy_rows", "rule_rows", "step_rows", "timed"]

_LEAST_S = 1e-9
"""Rows must be above zero."""


def timed(call: Callable[[], object], clock: Clock, effort: Effort) -> tuple[list[float], str]:
    """Kept samples of a call [s], and a note on those left out."""
    kept = keep([clock.time(call) for _ in effort.rounds(clock, call)])
    return list(kept.seconds), f"{len(kept.seconds)} kept, {kept.n_outliers} slow ones left out"


def _rows(
    machine: Machine, layer: LayerCost, call: Callable[[], object], less_s: float, clock: Clock, effort: Effort, n: int
) -> list[Measurement]:
    samples, note = timed(call, clock, effort)
    return [
        compute_row(machine, layer, max(sample - less_s, _LEAST_S), note) for sample in quantiles(samples, n)
    ]


def step_rows(
    machine: Machine, probe: Probe, optimizers: Sequence[Optimizer], call_s: float,
    device: torch.device, clock: Clock, effort: Effort, repeats: int,
) -> Iterator[Measurement]:  # fmt: skip
    """Optimizer steps of both sides of a network, less the time of a call."""
    split = build(probe.model, probe.input_shape, probe.n_classes, seed=1)
    for module in (split.client, split.server):
        for optimizer in optimizers:
            side = Side(module.to(device), optimizer, None)
            state = side.initial()
            gradients = tuple(torch.full_like(p, 1e-3) for p in state.parameters)
            (layer,) = optimizer.cost(sum(p.numel() for p in state.parameters)).layers

            def call(side: Side = side, state=state, gradients=gradients) -> object:  # type: ignore[no-untyped-def]
                return side.update(state, gradients, state.buffers)

            yield from _rows(machine, layer, call, call_s, clock, effort, repeats)


def rule_rows(
    machine: Machine, probe: Probe, n_clients: int, call_s: float,
    device: torch.device, clock: Clock, effort: Effort, repeats: int,
) -> Iterator[Measurement]:  # fmt: skip
    """What the server does with the gradients of its clients: laid side by side, averaged; and their Gram matrix."""
    module = build(probe.model, probe.input_shape, probe.n_classes, seed=1).server
    like = [p.detach().to(device) for p in module.parameters()]
    d = sum(p.numel() for p in like)
    rows = [[torch.full_like(p, 1e-3 * (1 + client)) for p in like] for client in range(n_clients)]
    losses = torch.zeros(n_clients, device=device)
    clients = tuple(range(n_clients))
    random = np.random.default_rng(1)
    rule = MeanUpdate()

    def stacked() -> torch.Tensor:
        return torch.stack([flatten(row) for row in rows])

    def average() -> object:
        matrix = stacked()
        finite = torch.isfinite(losses) & torch.isfinite(matrix.sum(dim=1))
        assert bool(finite.all())
        decision = rule.decide(Gradients(matrix, losses, clients, 1, None, {}, random))
        return unflatten(decision.update, like)

    matrix = stacked()

    def gram() -> object:
        product = matrix @ matrix.T
        norms = product.diagonal().sqrt()
        return torch.arccos((product / norms[:, None] / norms[None, :]).clamp(-1, 1)).sum(dim=1)

    yield from _rows(machine, average_cost(n_clients, d), average, call_s, clock, effort, repeats)
    yield from _rows(machine, gram_cost(n_clients, d), gram, 0.0, clock, effort, repeats)


def copy_rows(
    machine: Machine, sizes: Sequence[int], device: torch.device, clock: Clock, effort: Effort, repeats: int
) -> Iterator[Measurement]:
    """Copies of `sizes` bytes from one tensor to another, both mapped: 2 bytes move per byte."""
    for size in sizes:
        source = torch.ones(size // 4, device=device)
        target = torch.zeros_like(source)
        layer = LayerCost(f"copy-{size}", "copy", "other", 0.0, 2.0 * size)

        def call(target: torch.Tensor = target, source: torch.Tensor = source) -> object:
            return target.copy_(source)

        yield from _rows(machine, layer, call, 0.0, clock, effort, repeats)
