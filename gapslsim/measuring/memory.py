"""Peak memory of a training step in plain PyTorch on the CPU, to check the forecast of `models.memory` against.

Every allocation and release of tensors is counted by torch's profiler, weights and optimizer included; what a library
takes beside torch's allocator (oneDNN's scratch pad in part, the Python process) is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from gapslsim.measuring.probes import Probe
from gapslsim.models.cost import split_cost
from gapslsim.models.memory import client_memory_bytes, server_memory_bytes
from gapslsim.models.split import SplitModel, build

__all__ = ["Peak", "client_peak", "peak_bytes", "server_peak"]


class Peak(NamedTuple):
    """Forecast and measurement of one side [B]."""

    forecast_bytes: int
    measured_bytes: int

    @property
    def ratio(self) -> float:
        """Forecast over measurement; below 1 is too little."""
        return self.forecast_bytes / self.measured_bytes


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that tensors made inside a call hold at a time, on the CPU [B]."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        kept = call()
    del kept
    held = most = 0
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def client_peak(probe: Probe, batch_size: int) -> Peak:
    """Two steps of the client side with momentum: forward, backward from a cut gradient, update in place."""
    cost = split_cost(probe.model, probe.input_shape, probe.n_classes, batch_size)

    def train() -> object:
        side = _split(probe).client
        optimizer = torch.optim.SGD(side.parameters(), lr=1e-3, momentum=0.9)
        inputs = torch.zeros(batch_size, *probe.input_shape)
        for _ in range(2):
            smashed = side(inputs)
            smashed.backward(torch.zeros_like(smashed))
            del smashed
            optimizer.step()
            optimizer.zero_grad()
        return side, optimizer, inputs

    return Peak(client_memory_bytes(cost.client, n_slots=1), peak_bytes(train))


def server_peak(probe: Probe, batch_size: int, n_clients: int, keeps_client_gradients: bool) -> Peak:
    """A round of the server with momentum: clients one after another, their gradients summed or kept apart."""
    cost = split_cost(probe.model, probe.input_shape, probe.n_classes, batch_size)
    labels = torch.zeros(batch_size, dtype=torch.int64)

    def train() -> object:
        side = _split(probe).server
        parameters = list(side.parameters())
        optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)
        waiting = [torch.zeros(batch_size, *cost.smashed_shape) for _ in range(n_clients)]
        cuts: list[Tensor] = []
        rows: list[list[Tensor]] = []
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()

        # A call per client, so that nothing of its passes is held while the next ones go on.
        def one(smashed: Tensor) -> None:
            entered = smashed.detach().requires_grad_()
            loss = F.cross_entropy(side(entered), labels)
            if keeps_client_gradients:
                *row, cut = torch.autograd.grad(loss, (*parameters, entered))
                rows.append(row)
                cuts.append(cut)
                return
            loss.backward()  # type: ignore[no-untyped-call]
            assert entered.grad is not None
            cuts.append(entered.grad)

        for smashed in waiting:
            one(smashed)
        for index, parameter in enumerate(parameters):
            assert parameter.grad is not None
            for row in rows:
                parameter.grad += row[index]
        optimizer.step()
        return side, optimizer, waiting, cuts, rows

    forecast = server_memory_bytes(cost.server, 1, n_clients, keeps_client_gradients)
    return Peak(forecast, peak_bytes(train))


def _split(probe: Probe) -> SplitModel:
    return build(probe.model, probe.input_shape, probe.n_classes, seed=1)
