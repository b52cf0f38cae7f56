"""Times what a device spends beside computing: messages, the loop around the passes, the first pass after a wait."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from gapslsim.learning.precision import in_full, passing
from gapslsim.measuring._steps import Bench
from gapslsim.measuring.probes import Probe
from gapslsim.measuring.table import Measurement, compute_row
from gapslsim.models.split import build
from gapslsim.stages.clock import keep, quantiles
from gapslsim.work import LayerCost

__all__ = ["loop_rows", "message_rows"]

_LEAST_S = 1e-9


def message_rows(bench: Bench, sizes: Sequence[int]) -> Iterator[Measurement]:
    """Pickle of a tensor with its labels, made and taken apart, copies to and from the device included.

    A row has half the time of both, since a profile has one rate for both ends.
    """
    for size in sizes:
        tensor = torch.ones(max(size // 4, 1), device=bench.device)
        layer = LayerCost(f"message-{size}", "message", "other", 0.0, float(size))

        def there_and_back(tensor: torch.Tensor = tensor) -> object:
            blob = pickle.dumps((tensor.detach().cpu(), 0))
            return pickle.loads(blob)[0].to(bench.device)  # our own

        samples, note = bench.timed(there_and_back)
        for sample in quantiles(samples, bench.repeats):
            yield compute_row(bench.machine, layer, sample / 2, note)


def loop_rows(
    bench: Bench,
    probe: Probe,
    batch_size: int,
    waits_s: Sequence[float],
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Measurement]:
    """A training loop of the server side: what it takes beside passes and step, and more after each of some waits.

    Rows `iteration` hold the rest of a mini-batch, rows `warm` a whole one in the loop, rows `cold` one after a wait.
    """
    module = build(probe.model, probe.input_shape, probe.n_classes, seed=1)
    with torch.no_grad():
        inputs = torch.rand(batch_size, *probe.input_shape, device=bench.device)
        smashed = module.client.to(bench.device).train()(inputs)
    server = module.server.to(bench.device).train()
    parameters = [parameter for parameter in server.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=bench.device)

    def loss() -> tuple[torch.Tensor, torch.Tensor]:
        entered = smashed.detach().requires_grad_()
        with passing(bench.precision, bench.device):
            logits = server(entered)
        return F.cross_entropy(in_full(logits), labels), entered

    def iteration() -> None:
        optimizer.zero_grad()
        found: Any = loss()[0]  # torch leaves its method untyped
        found.backward()
        optimizer.step()

    def passes() -> None:
        found, entered = loss()
        torch.autograd.grad(found, (*parameters, entered))

    calls = {"iteration": iteration, "passes": passes, "step": optimizer.step}
    seconds: dict[str, list[float]] = {name: [] for name in (*calls, *map(str, waits_s))}
    for _ in bench.effort.rounds(bench.clock, iteration):
        for name, call in calls.items():  # in turn, so that a slow moment falls on all
            seconds[name].append(bench.clock.time(call))
        for wait_s in waits_s:
            sleep(wait_s)
            seconds[str(wait_s)].append(bench.clock.time(iteration))
            iteration()
    middle = {name: statistics.median(keep(samples).seconds) for name, samples in seconds.items()}
    rest_s = middle["iteration"] - middle["passes"] - middle["step"]

    def row(kind: str, time_s: float, note: str = "") -> Measurement:
        about = LayerCost(probe.name, kind, "other", 0.0, 0.0, batch_size=batch_size)
        return compute_row(bench.machine, about, max(time_s, _LEAST_S), note)

    yield row("iteration", rest_s)
    yield row("warm", middle["iteration"])
    for wait_s in waits_s:
        yield row("cold", middle[str(wait_s)], f"after {wait_s:g} s of waiting")
