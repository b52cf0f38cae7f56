"""The four views of accuracy, worked out by hand on a model whose outputs are its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.learning._observations import Accuracy
from gapslsim.learning.evaluation import evaluate_views, weighted
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side
from tests.support import sgd

# The client side is x -> w x (one number), the server z -> (z, 0): class 0 where w x > 0, P(0) = 1 / (1 + exp(-w x)).
INPUTS = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 0, 1])
SHARES = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])


def sides() -> tuple[Side, Side, SideState]:
    client = Side(nn.Linear(1, 1, bias=False).double(), sgd(), None)
    server = Side(nn.Linear(1, 2, bias=False).double(), sgd(), None)
    return client, server, SideState((torch.tensor([[1.0], [0.0]], dtype=torch.float64),), (), {})


def weight(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def evaluate(states: list[SideState], *views: str, batch: int = 3) -> list[Accuracy]:
    client, server, server_state = sides()
    servers = [server_state] * len(states)
    shares = SHARES[: len(states)]
    return evaluate_views(client, server, states, servers, INPUTS, LABELS, shares, views, 7, batch)


def p0(value: float, x: float) -> float:
    return 1 / (1 + math.exp(-value * x))


def loss_of(values: list[float]) -> float:
    """Mean cross-entropy of the mean probability of models with these weights."""
    total = 0.0
    for x, y in zip(INPUTS.flatten().tolist(), LABELS.tolist(), strict=True):
        p = sum(p0(v, x) for v in values) / len(values)
        total -= math.log(p if y == 0 else 1 - p)
    return total / len(LABELS)


def three() -> list[SideState]:
    """Weights 2, -1 and 2 again: the mean is 1."""
    return [SideState((weight(v),), (), {}) for v in (2.0, -1.0, 2.0)]


def test_global_is_the_model_of_mean_weights() -> None:
    (row,) = evaluate(three(), "global")
    assert row[:4] == (7, "global", -1, 0.75)  # w = 1: right for 1, 2 and -2, wrong for -1
    assert row.loss == pytest.approx(loss_of([1.0]), abs=1e-12)


def test_clients_are_each_model_on_the_whole_test_set() -> None:
    rows = evaluate(three(), "clients")
    assert [(r.client, r.accuracy) for r in rows] == [(0, 0.75), (1, 0.25), (2, 0.75)]
    for row, value in zip(rows, (2.0, -1.0, 2.0), strict=True):
        assert row.loss == pytest.approx(loss_of([value]), abs=1e-12)


def test_the_ensemble_is_the_mean_of_probabilities() -> None:
    (row,) = evaluate(three(), "ensemble")
    # P(0) is (2 p0(2 x) + p0(-x)) / 3: above 1/2 for x > 0, below for x < 0, as one model of w > 0 decides
    assert row.accuracy == 0.75
    assert row.loss == pytest.approx(loss_of([2.0, -1.0, 2.0]), abs=1e-12)


def test_local_weighs_the_classes_as_the_clients_training_data_do() -> None:
    rows = evaluate(three(), "local")
    # w > 0: 2 of 3 right in class 0, 1 of 1 in class 1; w < 0: 1 of 3, 0 of 1
    expected = [0.5 * 2 / 3 + 0.5, 1 / 3, 0.25 * 2 / 3 + 0.75]
    assert [row.accuracy for row in rows] == pytest.approx(expected, abs=1e-12)
    per_class = [
        -sum(math.log(p0(2, x)) for x in (1, 2, -1)) / 3,
        -math.log(1 - p0(2, -2)),
    ]
    assert rows[0].loss == pytest.approx(sum(per_class) / 2, abs=1e-12)


def test_the_local_view_sums_exactly_so_that_no_processor_gives_other_bits() -> None:
    shares, values = np.array([0.5, 0.25, 0.25]), np.array([2e16, 4.0, -4e16])
    assert weighted(shares, values) == 1.0
    random = np.random.default_rng(0)
    for _ in range(50):
        shares, values = random.dirichlet(np.ones(11)), random.random(11)
        exact = sum(Fraction(product) for product in (shares * values).tolist())
        assert weighted(shares, values) == float(exact)


def evaluate_on(n: int, shares: list[list[float]], *views: str) -> list[Accuracy]:
    """On the first n test samples."""
    client, server, state = sides()
    states, servers = three()[: len(shares)], [state] * len(shares)
    given = (INPUTS[:n], LABELS[:n], np.array(shares), views, 1, 8)
    return evaluate_views(client, server, states, servers, *given)


def test_a_class_without_test_samples_is_left_out_of_the_local_view() -> None:
    (row,) = evaluate_on(3, [[0.5, 0.5]], "local")
    assert row.accuracy == pytest.approx(2 / 3, abs=1e-12)
    assert row.loss == pytest.approx(-sum(math.log(p0(2, x)) for x in (1, 2, -1)) / 3, abs=1e-12)


def test_who_is_right_on_every_test_sample_has_accuracy_1_whatever_the_test_set_lacks() -> None:
    rows = evaluate_on(2, [[0.5, 0.5], [0.1, 0.9], [1.0, 0.0]], "local")
    assert [row.accuracy for row in rows] == [1.0, 0.0, 1.0]


def test_a_client_with_classes_that_the_test_set_lacks_alone_has_no_accuracy_of_its_own() -> None:
    rows = evaluate_on(3, [[0.0, 1.0], [1.0, 0.0]], "local", "clients")
    assert [math.isnan(r.accuracy) and math.isnan(r.loss) for r in rows if r.view == "local"] == [True, False]
    assert not any(math.isnan(r.accuracy) for r in rows if r.view == "clients")


def test_without_test_samples_there_is_no_accuracy_in_any_view() -> None:
    rows = evaluate_on(0, [[0.5, 0.5], [1.0, 0.0]], *VIEWS)
    assert [(row.view, row.client) for row in rows] == [
        ("global", -1), ("ensemble", -1), ("clients", 0), ("clients", 1), ("local", 0), ("local", 1),
    ]  # fmt: skip
    assert all(math.isnan(row.accuracy) and math.isnan(row.loss) for row in rows)


def test_clients_that_share_their_parameters_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = three()[:2]
    passes: list[int] = []
    predict = Side.predict

    def counted(self: Side, state: SideState, inputs: Tensor, seed: int) -> Tensor:
        passes.append(len(inputs))
        return predict(self, state, inputs, seed)

    monkeypatch.setattr(Side, "predict", counted)
    rows = evaluate([one, other, one], "clients", "ensemble", "local", batch=4)
    assert len(passes) == 2 * 2  # two models, two sides each
    assert [row.client for row in rows if row.view == "clients"] == [0, 1, 2]
    ensemble = next(row for row in rows if row.view == "ensemble")
    assert ensemble.loss == pytest.approx(loss_of([2.0, -1.0, 2.0]), abs=1e-12)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_of_an_evaluation_is_of_no_account(batch: int) -> None:
    views = ("global", "clients", "ensemble", "local")
    assert evaluate(three(), *views, batch=batch) == evaluate(three(), *views, batch=4)


VIEWS = ("global", "clients", "ensemble", "local")


def networks() -> tuple[Side, Side, list[SideState], list[SideState], Tensor, Tensor]:
    """Two client-side and two server-side states of a small network, with buffers on both sides; test data."""
    torch.manual_seed(0)
    lower = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh()).double()
    upper = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    states: list[list[SideState]] = [[], []]
    for side, module in enumerate((lower, upper)):
        for _ in range(2):
            parameters = tuple(torch.randn_like(p) for p in module.parameters())
            buffers = tuple(
                torch.rand_like(b) + 0.5 if b.is_floating_point() else b for b in module.buffers()
            )
            states[side].append(SideState(parameters, buffers, {}))
    inputs, labels = torch.randn(11, 5, dtype=torch.float64), torch.arange(11) % 3
    return Side(lower, sgd(), None), Side(upper, sgd(), None), *states, inputs, labels


def plain(side: Side, state: SideState) -> nn.Module:
    """A module of PyTorch's own with these weights."""
    module = copy.deepcopy(side.module).eval()
    with torch.no_grad():
        for own, given in zip(module.parameters(), state.parameters, strict=True):
            own.copy_(given)
        for own, given in zip(module.buffers(), state.buffers, strict=True):
            own.copy_(given)
    return module


def mean_of(states: Sequence[SideState]) -> SideState:
    columns = [
        tuple(sum(t) / len(states) if t[0].is_floating_point() else t[0] for t in zip(*rows, strict=True))
        for rows in ([s.parameters for s in states], [s.buffers for s in states])
    ]
    return SideState(*columns, {})


def test_with_several_servers_each_client_is_judged_with_its_own() -> None:
    client_side, server_side, (a, b), (one, two), inputs, labels = networks()
    clients, servers = [a, b, a, a], [one, two, two, one]
    shares = np.array([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]])
    rows = evaluate_views(
        client_side, server_side, clients, servers, inputs, labels, shares, VIEWS, 1, batch_size=4
    )

    def logits(client: SideState, server: SideState) -> Tensor:
        with torch.no_grad():
            out: Tensor = plain(server_side, server)(plain(client_side, client)(inputs))
        return out

    own = [logits(client, server) for client, server in zip(clients, servers, strict=True)]
    whole = {row.view: row for row in rows}
    expected = logits(mean_of(clients), mean_of(servers))
    assert whole["global"].loss == pytest.approx(float(F.cross_entropy(expected, labels)), abs=1e-12)
    ensemble = torch.stack([F.softmax(each, dim=1) for each in own]).mean(0)
    assert whole["ensemble"].loss == pytest.approx(float(F.nll_loss(ensemble.log(), labels)), abs=1e-12)
    assert whole["ensemble"].accuracy == float((ensemble.argmax(1) == labels).double().mean())
    for index, each in enumerate(own):
        mine = {row.view: row for row in rows if row.client == index}
        assert mine["clients"].loss == pytest.approx(float(F.cross_entropy(each, labels)), abs=1e-12)
        assert mine["clients"].accuracy == float((each.argmax(1) == labels).double().mean())
        losses = F.cross_entropy(each, labels, reduction="none")
        by_class = sum(shares[index][k] * float(losses[labels == k].mean()) for k in range(3))
        assert mine["local"].loss == pytest.approx(by_class, abs=1e-12)


def test_pairs_that_share_both_states_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client_side, server_side, (a, b), (one, two), inputs, labels = networks()
    passes: list[Side] = []
    predict = Side.predict

    def counted(self: Side, state: SideState, given: Tensor, seed: int) -> Tensor:
        passes.append(self)
        return predict(self, state, given, seed)

    monkeypatch.setattr(Side, "predict", counted)
    shares = np.full((5, 3), 1 / 3)
    evaluate_views(
        client_side, server_side, [a, b, a, a, b], [one, two, two, one, two], inputs, labels, shares,
        ("clients",), 1, batch_size=11,
    )  # fmt: skip
    assert passes == [client_side, server_side] * 3  # a-one, b-two, a-two


def test_states_with_the_same_weights_and_other_statistics_are_not_the_same() -> None:
    client_side, server_side, (a, _), (one, two), inputs, labels = networks()
    still = SideState(one.parameters, two.buffers, {})
    rows = evaluate_views(
        client_side, server_side, [a, a], [one, still], inputs, labels, np.full((2, 3), 1 / 3), VIEWS, 1, 11
    )
    losses = [row.loss for row in rows if row.view == "clients"]
    assert losses[0] != losses[1]


def test_models_that_are_one_are_evaluated_once_for_all_views(monkeypatch: pytest.MonkeyPatch) -> None:
    same = SideState((weight(2.0),), (), {})
    calls: list[int] = []
    real = Side.predict
    monkeypatch.setattr(Side, "predict", lambda *given: (calls.append(1), real(*given))[1])
    rows = evaluate([same] * 3, "global", "clients", "ensemble", "local", batch=4)
    assert len(calls) == 2  # the client side and the server side
    assert [row.accuracy for row in rows if row.view != "local"] == [0.75] * 5
