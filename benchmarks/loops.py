"""Hand-written PyTorch loops of parallel split learning: what our rounds are measured against.

Each does the mathematics of PSL or of GAPSL on the same batches from the same initial weights, with no clock, no
records and no network. They are what one would write by hand:

- `Naive`: one client after the other, `backward()` and `torch.optim.SGD`.
- `Threaded`: the same with a thread pool over the clients and channels-last tensors.
- `Joined`: the server takes all batches as one; for GAPSL, which needs every client's gradient, `vmap` over clients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

Batches = Callable[[int, int], tuple[Tensor, Tensor]]


class Naive:
    """One client after the other.

    Args:
        client: client-side model, copied for each client.
        server: server-side model.
        batches: (client, step) to inputs and labels.
        n_clients: S.
        lr: learning rate of both sides.
        momentum: of both sides.
        gapsl: options eta, k_min, k_max and T for GAPSL; None for PSL.
    """

    layout = torch.contiguous_format

    def __init__(
        self,
        client: nn.Module,
        server: nn.Module,
        batches: Batches,
        n_clients: int,
        lr: float,
        momentum: float,
        gapsl: dict[str, float] | None,
    ) -> None:
        self.clients = [copy.deepcopy(client).to(memory_format=self.layout) for _ in range(n_clients)]
        self.server = copy.deepcopy(server).to(memory_format=self.layout)
        self.batches = batches
        self.gapsl = gapsl
        self.round = 0
        self.extremes: list[float] = []
        self._sgd = [torch.optim.SGD(m.parameters(), lr, momentum) for m in self.clients]
        self._server_sgd = torch.optim.SGD(self.server.parameters(), lr, momentum)

    def one_round(self) -> None:
        """Forward, server step, backward of every client."""
        everyone = range(len(self.clients))
        data = self.run([lambda c=c: self.forward(c) for c in everyone])
        smashed, labels = [d[0] for d in data], [d[1] for d in data]
        rows, cuts = self.server_gradients(smashed, labels)
        self.round += 1
        admitted = list(everyone)
        if self.gapsl is not None:
            admitted = align(torch.stack(rows), self.round, self.extremes, **self.gapsl)
            rows = [rows[c] for c in admitted]
        mean = rows[0] if len(rows) == 1 else torch.stack(rows).mean(0)
        pieces = torch.split(mean, [p.numel() for p in self.server.parameters()])
        for parameter, piece in zip(self.server.parameters(), pieces, strict=True):
            parameter.grad = piece.view_as(parameter).clone()
        self._server_sgd.step()
        self.run([lambda c=c: self.backward(c, smashed[c], cuts[c]) for c in admitted])

    def run(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        return [call() for call in calls]

    def forward(self, client: int) -> tuple[Tensor, Tensor]:
        inputs, labels = self.batches(client, self.round)
        if inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=self.layout)
        return self.clients[client](inputs), labels

    def server_gradients(
        self, smashed: list[Tensor], labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Flat gradients and cut gradients, one per client (or one mean gradient)."""
        pairs = self.run(
            [lambda s=s, y=y: self.one_client(s, y) for s, y in zip(smashed, labels, strict=True)]
        )
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def one_client(self, smashed: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        cut = smashed.detach().requires_grad_()
        loss = F.cross_entropy(self.server(cut), labels)
        *gradients, at_cut = torch.autograd.grad(loss, (*self.server.parameters(), cut))
        return torch.cat([g.reshape(-1) for g in gradients]), at_cut

    def backward(self, client: int, smashed: Tensor, cut_gradient: Tensor) -> None:
        self._sgd[client].zero_grad()
        smashed.backward(cut_gradient)
        self._sgd[client].step()

    def weights(self) -> list[Tensor]:
        """All weights, clients first."""
        return [p.detach() for m in (*self.clients, self.server) for p in m.parameters()]


class Threaded(Naive):
    """Clients on a thread pool, channels last."""

    layout = torch.channels_last
    n_threads = 2

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pool = ThreadPoolExecutor(self.n_threads, initializer=torch.set_num_threads, initargs=(1,))

    def run(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        return [future.result() for future in [self._pool.submit(call) for call in calls]]


class Joined(Naive):
    """The server takes all batches as one, channels last."""

    layout = torch.channels_last

    def server_gradients(
        self, smashed: list[Tensor], labels: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        if self.gapsl is not None:
            return self._every_gradient(torch.stack([s.detach() for s in smashed]), torch.stack(labels))
        cut = torch.cat([s.detach() for s in smashed]).requires_grad_()
        loss = F.cross_entropy(self.server(cut), torch.cat(labels))  # batches of one size: the mean of means
        *gradients, at_cut = torch.autograd.grad(loss, (*self.server.parameters(), cut))
        n = len(smashed)
        return [torch.cat([g.reshape(-1) for g in gradients])], list((at_cut * n).split(len(labels[0])))

    def _every_gradient(self, smashed: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        parameters = dict(self.server.named_parameters())

        def loss(tensors: dict[str, Tensor], cut: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(self.server, tensors, (cut,)), y)

        detached = {name: p.detach() for name, p in parameters.items()}
        gradients, cuts = vmap(grad(loss, argnums=(0, 1)), in_dims=(None, 0, 0))(detached, smashed, labels)
        rows = torch.cat([gradients[name].flatten(1) for name in parameters], dim=1)
        return list(rows), list(cuts)


def align(
    rows: Tensor, round: int, extremes: list[float], eta: float, k_min: float, k_max: float, planned: int
) -> list[int]:
    """LGI and GDA of GAPSL in a few lines, Eqs. (1) to (6): the admitted clients."""
    n = len(rows)
    unit = F.normalize(rows.double(), dim=1)
    angles = (unit @ unit.T).clamp(-1, 1).acos().fill_diagonal_(0)
    scores = angles.sum(1) / (n - 1)
    nu = float(scores.std(correction=0))
    extremes[:] = [min([nu, *extremes]), max([nu, *extremes])]
    spread = extremes[1] - extremes[0]
    stability = 1.0 if spread <= 1e-9 else (extremes[1] - nu) / spread
    ratio = k_min + min(round / planned, 1) * stability * (k_max - k_min)
    leaders = scores.sort(stable=True).indices[: -int(-(ratio * n - 1e-9) // 1)]
    leader = F.normalize(rows[leaders].double().mean(0), dim=0)
    to_leader = (unit @ leader).clamp(-1, 1).acos()
    threshold = float((to_leader.mean() - eta * to_leader.std(correction=0)).clamp(0, torch.pi / 2))
    admitted = (to_leader <= threshold + 1e-9).nonzero().flatten().tolist()
    return admitted or [int(to_leader.argmin())]
