"""Times what is no layer: optimizer steps, the server's rule, copies of memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from gapslsim.frameworks.rules.costs import angle_cost, average_cost, gram_cost
from gapslsim.frameworks.rules.server_update.gapsl import GapslUpdate
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.kernels import Precision
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.rules import Gradients, ServerUpdate
from gapslsim.learning.tensors import flatten
from gapslsim.measuring.passes import Effort
from gapslsim.measuring.probes import Probe
from gapslsim.measuring.table import Machine, Measurement, compute_row
from gapslsim.models.split import build
from gapslsim.stages.clock import Clock, keep, quantiles
from gapslsim.stages.plain_side import PlainSide
from gapslsim.work import LayerCost

__all__ = ["Bench", "copy_rows", "rule_rows", "step_rows"]

_LEAST = 0.5
"""Share of what was timed that is left at least when the time of a call is taken off."""


class Bench(NamedTuple):
    """What is measured, with what, and how often."""

    machine: Machine
    device: torch.device
    clock: Clock
    effort: Effort
    repeats: int
    precision: Precision = "float32"
    """Of passes."""

    def timed(self, call: Callable[[], object]) -> tuple[list[float], str]:
        """Kept samples of a call [s], and a note on those left out."""
        kept = keep([self.clock.time(call) for _ in self.effort.rounds(self.clock, call)])
        return list(kept.seconds), f"{len(kept.seconds)} kept, {kept.n_outliers} slow ones left out"

    def rows(self, layer: LayerCost, call: Callable[[], object], less_s: float = 0.0) -> list[Measurement]:
        """Rows of a call, `less_s` taken off each."""
        samples, note = self.timed(call)
        return [
            compute_row(self.machine, layer, max(sample - less_s, _LEAST * sample), note)
            for sample in quantiles(samples, self.repeats)
        ]


def step_rows(
    bench: Bench, probe: Probe, optimizers: Sequence[Optimizer], call_s: float
) -> Iterator[Measurement]:
    """Optimizer steps of both sides of a network, less the time of a call."""
    split = build(probe.model, probe.input_shape, probe.n_classes, seed=1)
    for module in (split.client, split.server):
        for optimizer in optimizers:
            side = PlainSide(module, optimizer, bench.device)
            gradients = [torch.full_like(parameter, 1e-3) for parameter in side.parameters]
            (layer,) = optimizer.cost(sum(parameter.numel() for parameter in side.parameters)).layers
            yield from bench.rows(layer, partial(side.update, gradients), call_s)


def rule_rows(bench: Bench, probe: Probe, n_clients: int, call_s: float) -> Iterator[Measurement]:
    """What the server does with the gradients of its clients, by the rules of PSL and of GAPSL.

    PSL's is the time of `average`. GAPSL's has two averages, a Gram matrix and the angles to the leader; what it takes
    beyond the averages is laid on the latter two in equal parts, since both read all gradients once.
    """
    module = build(probe.model, probe.input_shape, probe.n_classes, seed=1).server
    like = [p.detach().to(bench.device) for p in module.parameters()]
    sizes = [p.numel() for p in like]
    d = sum(sizes)
    generator = torch.Generator().manual_seed(1)
    gradients_of = [
        [torch.randn(p.shape, generator=generator).to(bench.device) for p in like] for _ in range(n_clients)
    ]
    losses = [torch.zeros((), device=bench.device) for _ in range(n_clients)]
    random = np.random.default_rng(1)

    def carry_out(rule: ServerUpdate) -> object:
        rows = torch.stack([flatten(each, losses[0]) for each in gradients_of])
        clients, state = tuple(range(n_clients)), rule.initial_state()
        gradients = Gradients(rows, torch.stack(losses), clients, 1, 100, state, random)
        update = rule.decide(gradients).update
        return [p.view_as(q).to(q.dtype) for p, q in zip(torch.split(update, sizes), like, strict=True)]

    mean, _ = bench.timed(partial(carry_out, MeanUpdate()))
    aligned, note = bench.timed(partial(carry_out, GapslUpdate()))
    average_s = max(statistics.median(mean) - call_s, _LEAST * statistics.median(mean))
    for sample in quantiles(mean, bench.repeats):
        left_s = max(sample - call_s, _LEAST * sample)
        yield compute_row(bench.machine, average_cost(n_clients, d), left_s)
    for sample in quantiles(aligned, bench.repeats):
        rest_s = max(sample - call_s - 2 * average_s, _LEAST * sample) / 2
        yield compute_row(bench.machine, gram_cost(n_clients, d), rest_s, note)
        yield compute_row(bench.machine, angle_cost(n_clients, d), rest_s, note)


def copy_rows(bench: Bench, sizes: Sequence[int]) -> Iterator[Measurement]:
    """Copies of `sizes` bytes from one tensor to another, both mapped: 2 bytes move per byte."""
    for size in sizes:
        source = torch.ones(size // 4, device=bench.device)
        layer = LayerCost(f"copy-{size}", "copy", "other", 0.0, 2.0 * size)
        yield from bench.rows(layer, partial(torch.zeros_like(source).copy_, source))
