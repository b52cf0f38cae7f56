"""Test accuracy of an aggregation-free framework in four views.

A client's model is its client-side weights with those of its server. `global`: the mean of the client-side weights with
the mean of the server-side weights, over the clients. `clients`: each client's model on the whole test set. `ensemble`:
the mean of the clients' probabilities. `local`: each client's model on its own label distribution, that is its accuracy
per class weighted by the client's share of that class in training.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gapslsim.learning._observations import Accuracy
from gapslsim.learning.loss import log_probabilities, predicted_loss, predicted_losses
from gapslsim.learning.messages import Weights
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, mean_weights
from gapslsim.learning.workers import Together, one_by_one

__all__ = ["evaluate_views", "weighted"]


def evaluate_views(
    client_side: Side,
    server_side: Side,
    clients: Sequence[SideState],
    servers: Sequence[SideState],
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    label_shares: Float[np.ndarray, "S n_classes"],
    views: tuple[str, ...],
    round: int,
    batch_size: int,
    together: Together = one_by_one,
) -> list[Accuracy]:
    """Accuracies and losses of the views asked for.

    Args:
        client_side: layers before the cut.
        server_side: layers after the cut.
        clients: the client-side state of each of S clients.
        servers: the server-side state of each; clients that share both states' weights are evaluated once.
        inputs: of the test set.
        labels: of the test set.
        label_shares: share of each class in each client's training data.
        views: which of global, clients, ensemble, local.
        round: for the rows.
        batch_size: samples per forward pass.
        together: carries out independent calls.
    """
    clients, servers = _with_shared_weights(clients), _with_shared_weights(servers)
    batches = torch.split(inputs, batch_size)
    n_classes = label_shares.shape[1]

    def predicted(client: SideState | Weights, server: SideState | Weights) -> Float[Tensor, "n n_classes"]:
        def logits(place: int) -> Float[Tensor, "b n_classes"]:
            # Models that draw here too have the same numbers in every evaluation, so that curves can be compared.
            smashed = client_side.predict(client, batches[place], 2 * place)
            return server_side.predict(server, smashed, 2 * place + 1)

        return log_probabilities(
            torch.cat(together([partial(logits, place) for place in range(len(batches))]))
        )

    def row(view: str, log_p: Float[Tensor, "n n_classes"]) -> Accuracy:
        accuracy = (log_p.argmax(dim=1) == labels).double().mean()
        return Accuracy(round, view, -1, float(accuracy), float(predicted_loss(log_p, labels)))

    rows: list[Accuracy] = []
    if "global" in views:
        rows.append(row("global", predicted(_mean(clients), _mean(servers))))
    if not {"clients", "ensemble", "local"} & set(views):
        return rows
    pairs = [(_identity(client), _identity(server)) for client, server in zip(clients, servers, strict=True)]
    total = torch.zeros(len(labels), n_classes, dtype=torch.float64, device=inputs.device)
    own: dict[object, tuple[Accuracy, np.ndarray, np.ndarray]] = {}
    for pair, count in Counter(pairs).items():
        index = pairs.index(pair)
        log_p = predicted(clients[index], servers[index])
        total += log_p.double().exp() * count
        own[pair] = (row("clients", log_p), *_per_class(log_p, labels, n_classes))
    if "ensemble" in views:
        # A class that every client rules out has probability 0, whose logarithm would be infinite.
        log_mean = (total / len(clients)).clamp_min(torch.finfo(torch.float64).tiny).log()
        rows.append(row("ensemble", log_mean))
    for index, pair in enumerate(pairs):
        whole, accuracy, loss = own[pair]
        if "clients" in views:
            rows.append(whole._replace(client=index))
        if "local" in views:
            share = label_shares[index] / label_shares[index].sum()
            rows.append(Accuracy(round, "local", index, weighted(share, accuracy), weighted(share, loss)))
    return rows


def _mean(states: Sequence[SideState]) -> SideState | Weights:
    """Mean weights, each state once and weighted by how many clients have it; where all have one, that itself."""
    distinct = {_identity(state): state for state in states}
    if len(distinct) == 1:
        return states[0]
    counts = Counter(_identity(state) for state in states)
    return mean_weights(list(distinct.values()), [counts[key] / len(states) for key in distinct])


def _with_shared_weights(states: Sequence[SideState]) -> list[SideState]:
    """The same states, where those with equal weights and buffers are one object each.

    States that were read from checkpoints are equal to those that were computed, but not the same objects; what is
    evaluated once must not depend on how it came to be.
    """
    by_identity = {_identity(state): state for state in states}
    if len(by_identity) == 1:
        return list(states)
    by_content: dict[str, SideState] = {}
    chosen = {same: by_content.setdefault(_digest(state), state) for same, state in by_identity.items()}
    return [chosen[_identity(state)] for state in states]


def _identity(state: SideState) -> tuple[int, int]:
    """Of a state's weights and buffers as objects: the same for states that share both."""
    return id(state.parameters), id(state.buffers)


def _digest(state: SideState) -> str:
    """Of all weights and buffers, bit by bit."""
    digest = hashlib.sha256()
    for tensor in (*state.parameters, *state.buffers):
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def weighted(shares: Float[np.ndarray, " n_classes"], values: Float[np.ndarray, " n_classes"]) -> float:
    """Sum of the values times their shares, exact: a dot product of NumPy's ends in other bits on other processors."""
    return math.fsum((shares * values).tolist())


def _per_class(
    log_p: Float[Tensor, "n n_classes"], labels: Int[Tensor, " n"], n_classes: int
) -> tuple[Float[np.ndarray, " n_classes"], Float[np.ndarray, " n_classes"]]:
    """Accuracy and mean loss per class; 0 for a class without test samples."""
    count = torch.bincount(labels, minlength=n_classes).clamp_min(1).double()

    def mean(each: Tensor) -> np.ndarray:
        return (torch.bincount(labels, weights=each.double(), minlength=n_classes) / count).cpu().numpy()

    return mean(log_p.argmax(dim=1) == labels), mean(predicted_losses(log_p, labels))
