"""Test accuracy of an aggregation-free framework in four views.

A client's model is its client-side weights with those of its server. `global`: the mean of the client-side weights with
the mean of the server-side weights, over the clients. `clients`: each client's model on the whole test set. `ensemble`:
the mean of the clients' probabilities. `local`: each client's model on its own label distribution, that is its accuracy
per class weighted by the client's share of that class in training, among the classes that the test set has. The
accuracy of several labels per sample is the share of all labels that are said rightly. Numbers have no accuracy, and
what has no classes has no `local` view: its rows hold no number.

Models compute on their device. What they say is read once and judged on the CPU, by the same operations everywhere and
with float64 numbers, which not every device has.

Where there is nothing to judge by there is no accuracy: NaN in the tables, None in the summary.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from gapslsim.learning._observations import Accuracy
from gapslsim.learning.criterion import CROSS_ENTROPY, Criterion
from gapslsim.learning.judging import Judge
from gapslsim.learning.messages import Weights
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, mean_weights
from gapslsim.learning.workers import Together, one_by_one

__all__ = ["evaluate_views", "identity_of", "mean_model", "weighted", "with_shared_weights"]


def evaluate_views(
    client_side: Side,
    server_side: Side,
    clients: Sequence[SideState],
    servers: Sequence[SideState],
    inputs: Shaped[Tensor, "n ..."],
    labels: Shaped[Tensor, "n ..."],
    label_shares: Float[np.ndarray, "S n_classes"],
    views: tuple[str, ...],
    round: int,
    batch_size: int,
    together: Together = one_by_one,
    judge: Judge | None = None,
    criterion: Criterion = CROSS_ENTROPY,
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
        judge: notes whatever else is wanted of each model.
        criterion: the loss.
    """
    if not len(labels):
        return _nothing_to_judge_by(len(clients), views, round)
    if "local" in views and criterion.target != "class":
        others = tuple(view for view in views if view != "local")
        rest = (others, round, batch_size, together, judge, criterion)
        found = evaluate_views(
            client_side, server_side, clients, servers, inputs, labels, label_shares, *rest
        )
        return [*found, *_nothing_to_judge_by(len(clients), ("local",), round)]
    clients, servers = with_shared_weights(clients), with_shared_weights(servers)
    batches = torch.split(inputs, batch_size)
    n_classes = label_shares.shape[1]
    labels, criterion = labels.cpu(), criterion.on_cpu()
    right = labels.numpy()
    if "local" in views:
        n_tested = np.bincount(right, minlength=n_classes)
        # What the test set has nothing of cannot be judged, and must count neither as right nor as wrong.
        shares = [_to_one(np.where(n_tested > 0, share, 0.0)) for share in label_shares]
        n_tested = n_tested.clip(min=1)

    def predicted(client: SideState | Weights, server: SideState | Weights) -> Float[Tensor, "n n_classes"]:
        def logits(place: int) -> Float[Tensor, "b n_classes"]:
            # Models that draw here too have the same numbers in every evaluation, so that curves can be compared.
            smashed = client_side.predict(client, batches[place], 2 * place)
            return server_side.predict(server, smashed, 2 * place + 1)

        return torch.cat(together([partial(logits, place) for place in range(len(batches))])).cpu()

    of_classes = partial(_per_class, labels=labels, n_classes=n_classes)

    def judged(view: str, said: Tensor, clients: Sequence[int] = (-1,)) -> None:
        if judge is None:
            return
        told = said.double().numpy()
        if "clients" in views or view != "clients":
            judge(view, clients, told, right)
        for client in clients if view == "clients" and "local" in views else ():
            judge("local", [client], told, right, (shares[client] / n_tested)[right])

    def row(view: str, said: Tensor, loss: Tensor) -> Accuracy:
        return Accuracy(round, view, -1, float(criterion.accuracy(said, labels).mean()), float(loss))

    rows: list[Accuracy] = []
    pairs = [
        (identity_of(client), identity_of(server)) for client, server in zip(clients, servers, strict=True)
    ]
    of_all: Tensor | None = None
    if "global" in views:
        outputs = predicted(mean_model(clients), mean_model(servers))
        # The mean of one model is that model.
        of_all = outputs if len(set(pairs)) == 1 else None
        said = criterion.said(outputs)
        rows.append(row("global", said, criterion.judged(outputs, said, labels)[0]))
        judged("global", said)
    if not {"clients", "ensemble", "local"} & set(views):
        return rows
    total = torch.zeros(len(labels), n_classes, dtype=torch.float64)
    own: dict[object, tuple[Accuracy, tuple[np.ndarray, np.ndarray] | None]] = {}
    for pair, count in Counter(pairs).items():
        index = pairs.index(pair)
        outputs = predicted(clients[index], servers[index]) if of_all is None else of_all
        said = criterion.said(outputs)
        total += criterion.to_mix(said) * count
        loss, each = criterion.judged(outputs, said, labels)
        by_class = (
            (of_classes(criterion.accuracy(said, labels)), of_classes(each)) if "local" in views else None
        )
        own[pair] = row("clients", said, loss), by_class
        judged("clients", said, [client for client, its in enumerate(pairs) if its == pair])
    if "ensemble" in views:
        outputs, said = criterion.mixed(total / len(clients))
        rows.append(row("ensemble", said, criterion.judged(outputs, said, labels)[0]))
        judged("ensemble", said)
    for index, pair in enumerate(pairs):
        whole, by_class = own[pair]
        if "clients" in views:
            rows.append(whole._replace(client=index))
        if by_class is not None:
            accuracies, losses = by_class
            share = shares[index] if shares[index].any() else np.full(n_classes, np.nan)
            local = weighted(share, losses)
            if criterion.class_weights is not None:
                local /= weighted(share, criterion.class_weights.double().numpy())
            rows.append(Accuracy(round, "local", index, weighted(share, accuracies), local))
    return rows


def _nothing_to_judge_by(n_clients: int, views: tuple[str, ...], round: int) -> list[Accuracy]:
    """The same rows as ever, without a number in them."""
    of_view = {"global": (-1,), "ensemble": (-1,), "clients": range(n_clients), "local": range(n_clients)}
    return [
        Accuracy(round, view, client, math.nan, math.nan)
        for view, clients in of_view.items() if view in views for client in clients
    ]  # fmt: skip


def mean_model(states: Sequence[SideState]) -> SideState | Weights:
    """Mean weights, each state once and weighted by how many clients have it; where all have one, that itself."""
    distinct = {identity_of(state): state for state in states}
    if len(distinct) == 1:
        return states[0]
    counts = Counter(identity_of(state) for state in states)
    return mean_weights(list(distinct.values()), [counts[key] / len(states) for key in distinct])


def with_shared_weights(states: Sequence[SideState]) -> list[SideState]:
    """The same states, where those with equal weights and buffers are one object each.

    States that were read from checkpoints are equal to those that were computed, but not the same objects; what is
    evaluated once must not depend on how it came to be.
    """
    by_identity = {identity_of(state): state for state in states}
    if len(by_identity) == 1:
        return list(states)
    by_content: dict[str, SideState] = {}
    chosen = {same: by_content.setdefault(_digest(state), state) for same, state in by_identity.items()}
    return [chosen[identity_of(state)] for state in states]


def identity_of(state: SideState) -> tuple[int, int]:
    """Of a state's weights and buffers as objects: the same for states that share both."""
    return id(state.parameters), id(state.buffers)


def _digest(state: SideState) -> str:
    """Of all weights and buffers, bit by bit."""
    tensors = [
        tensor.detach().reshape(-1).view(torch.uint8) for tensor in (*state.parameters, *state.buffers)
    ]
    # In one read-back from the device; there a copy is nothing, on a CPU it is spared.
    if tensors and tensors[0].device.type != "cpu":
        tensors = [torch.cat(tensors).cpu()]
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def weighted(shares: Float[np.ndarray, " n_classes"], values: Float[np.ndarray, " n_classes"]) -> float:
    """Sum of the values times their shares, exact: a dot product of NumPy's ends in other bits on other processors."""
    return math.fsum((shares * values).tolist())


def _to_one(shares: Float[np.ndarray, " n_classes"]) -> Float[np.ndarray, " n_classes"]:
    """The same in proportion, summing to 1; 0 stays 0."""
    total = shares.sum()
    return shares / total if total else shares


def _per_class(
    each: Float[Tensor, " n"], labels: Int[Tensor, " n"], n_classes: int
) -> Float[np.ndarray, " n_classes"]:
    """Mean per class; 0 for a class without test samples."""
    count = torch.bincount(labels, minlength=n_classes).clamp_min(1).double()
    sums = torch.bincount(labels, weights=each.double(), minlength=n_classes)
    return np.asarray((sums / count).numpy())
