"""Times what is no layer: optimizer steps, the server's rule, copies of memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from gapslsim.frameworks.rules.costs import angle_cost, average_cost, gram_cost
from gapslsim.frameworks.rules.server_update.gapsl import GapslUpdate
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
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

__all__ = ["copy_rows", "rule_rows", "step_rows", "timed"]

_LEAST = 0.5
"""Share of what was timed that is left at least when the time of a call is taken off."""


def timed(call: Callable[[], object], clock: Clock, effort: Effort) -> tuple[list[float], str]:
    """Kept samples of a call [s], and a note on those left out."""
    kept = keep([clock.time(call) for _ in effort.rounds(clock, call)])
    return list(kept.seconds), f"{len(kept.seconds)} kept, {kept.n_outliers} slow ones left out"


def _rows(
    machine: Machine,
    layer: LayerCost,
    call: Callable[[], object],
    less_s: float,
    clock: Clock,
    effort: Effort,
    n: int,
) -> list[Measurement]:
    samples, note = timed(call, clock, effort)
    return [
        compute_row(machine, layer, max(sample - less_s, _LEAST * sample), note)
        for sample in quantiles(samples, n)
    ]


def step_rows(
    machine: Machine, probe: Probe, optimizers: Sequence[Optimizer], call_s: float,
    device: torch.device, clock: Clock, effort: Effort, repeats: int,
) -> Iterator[Measurement]:  # fmt: skip
    """Optimizer steps of both sides of a network, less the time of a call."""
    split = build(probe.model, probe.input_shape, probe.n_classes, seed=1)
    for module in (split.client, split.server):
        for optimizer in optimizers:
            side = PlainSide(module, optimizer, device)
            gradients = [torch.full_like(parameter, 1e-3) for parameter in side.parameters]
            (layer,) = optimizer.cost(sum(parameter.numel() for parameter in side.parameters)).layers
            call = partial(side.update, gradients)
            yield from _rows(machine, layer, call, call_s, clock, effort, repeats)


def rule_rows(
    machine: Machine, probe: Probe, n_clients: int, call_s: float,
    device: torch.device, clock: Clock, effort: Effort, repeats: int,
) -> Iterator[Measurement]:  # fmt: skip
    """What the server does with the gradients of its clients, by the rules of PSL and of GAPSL.

    PSL's is the time of `average`. GAPSL's has two averages, a Gram matrix and the angles to the leader; what it takes
    beyond the averages is laid on the latter two in equal parts, since both read all gradients once.
    """
    module = build(probe.model, probe.input_shape, probe.n_classes, seed=1).server
    like = [p.detach().to(device) for p in module.parameters()]
    sizes = [p.numel() for p in like]
    d = sum(sizes)
    generator = torch.Generator().manual_seed(1)
    gradients_of = [
        [torch.randn(p.shape, generator=generator).to(device) for p in like] for _ in range(n_clients)
    ]
    losses = [torch.zeros((), device=device) for _ in range(n_clients)]
    random = np.random.default_rng(1)

    def carry_out(rule: ServerUpdate) -> object:
        gradients = Gradients(
            torch.stack([flatten(each) for each in gradients_of]),
            torch.stack(losses),
            tuple(range(n_clients)),
            1,
            100,
            rule.initial_state(),
            random,
        )
        update = rule.decide(gradients).update
        return [p.view_as(q).to(q.dtype) for p, q in zip(torch.split(update, sizes), like, strict=True)]

    average = average_cost(n_clients, d)
    mean, _ = timed(partial(carry_out, MeanUpdate()), clock, effort)
    aligned, note = timed(partial(carry_out, GapslUpdate()), clock, effort)
    average_s = max(statistics.median(mean) - call_s, _LEAST * statistics.median(mean))
    for sample in quantiles(mean, repeats):
        yield compute_row(machine, average, max(sample - call_s, _LEAST * sample))
    for sample in quantiles(aligned, repeats):
        rest_s = max(sample - call_s - 2 * average_s, _LEAST * sample) / 2
        yield compute_row(machine, gram_cost(n_clients, d), rest_s, note)
        yield compute_row(machine, angle_cost(n_clients, d), rest_s, note)


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
