"""Test accuracy of an aggregation-free framework in four views.

`global`: the mean of the client-side weights with the server. `clients`: each client's own model on the whole test set.
`ensemble`: the mean of the clients' probabilities. `local`: each client's model on its own label distribution, that
is its accuracy per class weighted by the client's share of that class in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gapslsim.learning.observations import Accuracy
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, mean_weights
from gapslsim.learning.workers import Together, one_by_one
from gapslsim.work import Keyed

__all__ = ["evaluate_views", "weighted"]


def evaluate_views(
    client_side: Side,
    server_side: Side,
    clients: Sequence[Keyed[SideState]],
    server: SideState,
    inputs: Tensor,
    labels: Tensor,
    label_shares: np.ndarray,
    views: tuple[str, ...],
    round: int,
    batch_size: int,
    together: Together = one_by_one,
) -> list[Accuracy]:
    """Accuracies and losses of the views asked for.

    Args:
        client_side: layers before the cut.
        server_side: layers after the cut.
        clients: one state per client; those that share their parameters are evaluated once.
        server: the server's state.
        inputs: test inputs [n, ...].
        labels: test labels [n].
        label_shares: share of each class in each client's training data [S, n_classes].
        views: which of global, clients, ensemble, local.
        round: for the rows.
        batch_size: samples per forward pass.
        together: carries out independent calls.
    """
    batches = torch.split(inputs, batch_size)

    def logits(state: SideState, batch: Tensor) -> Tensor:
        return server_side.predict(server, client_side.predict(state, batch))

    def log_probabilities(state: SideState) -> Tensor:
        pieces = together([partial(logits, state, batch) for batch in batches])
        return F.log_softmax(torch.cat(pieces), dim=1)

    def row(view: str, client: int, log_p: Tensor) -> Accuracy:
        accuracy = (log_p.argmax(dim=1) == labels).double().mean()
        return Accuracy(round, view, client, float(accuracy), float(F.nll_loss(log_p, labels)))

    rows: list[Accuracy] = []
    counts: dict[int, int] = {}
    states: dict[int, SideState] = {}
    for client in clients:
        same = id(client.value.parameters)
        counts[same] = counts.get(same, 0) + 1
        states[same] = client.value
    if "global" in views:
        shares = [counts[key] / len(clients) for key in states]
        mean = mean_weights(list(states.values()), shares) if len(states) > 1 else clients[0].value
        mean_state = SideState(mean.parameters, mean.buffers, {})
        rows.append(row("global", -1, log_probabilities(mean_state)))
    if not {"clients", "ensemble", "local"} & set(views):
        return rows
    total = torch.zeros(len(labels), label_shares.shape[1], dtype=torch.float64, device=inputs.device)
    own: dict[int, tuple[Accuracy, np.ndarray, np.ndarray]] = {}
    for key, state in states.items():
        log_p = log_probabilities(state)
        total += log_p.double().exp() * counts[key]
        own[key] = (row("clients", -1, log_p), *_per_class(log_p, labels, label_shares.shape[1]))
    if "ensemble" in views:
        log_mean = (total / len(clients)).clamp_min(torch.finfo(torch.float64).tiny).log()
        rows.append(row("ensemble", -1, log_mean))
    for index, client in enumerate(clients):
        whole, accuracy, loss = own[id(client.value.parameters)]
        if "clients" in views:
            rows.append(whole._replace(client=index))
        if "local" in views:
            share = label_shares[index] / label_shares[index].sum()
            rows.append(Accuracy(round, "local", index, weighted(share, accuracy), weighted(share, loss)))
    return rows


def weighted(shares: np.ndarray, values: np.ndarray) -> float:
    """Sum of the values times their shares, exact: a dot product of NumPy's ends in other bits on other processors."""
    return math.fsum((shares * values).tolist())


def _per_class(log_p: Tensor, labels: Tensor, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and mean loss per class, each [n_classes]; 0 for a class without test samples."""
    right = (log_p.argmax(dim=1) == labels).double()
    loss = F.nll_loss(log_p, labels, reduction="none").double()
    count = torch.bincount(labels, minlength=n_classes).clamp_min(1).double()
    accuracy = torch.bincount(labels, weights=right, minlength=n_classes) / count
    mean_loss = torch.bincount(labels, weights=loss, minlength=n_classes) / count
    return accuracy.cpu().numpy(), mean_loss.cpu().numpy()
