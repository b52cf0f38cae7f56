import numpy as np
import pytest
import torch

from gapslsim.frameworks.slots import server_updates
from tests.unit.frameworks.rules.support_rules import gradients
from tests.unit.learning.reference_equations import family, gapsl_round

Leader = server_updates["leader"]


def leaders(rule: object, rows: object, **more: object) -> list[int]:
    decision = rule.decide(gradients(rows, **more))  # type: ignore[attr-defined]
    chosen = np.flatnonzero(decision.detail.in_leader_set).tolist()
    np.testing.assert_allclose(decision.update.numpy(), np.asarray(rows)[chosen].mean(0), rtol=0, atol=1e-12)
    return chosen


def test_non_gda_follows_the_leader_gradient_and_everyone_trains() -> None:
    rows = family("random", 10, 6, seed=1)
    want = gapsl_round(rows, np.ones(10), 4, 10, None, 0.2, 0.8, 0.0, 0.0)
    assert leaders(Leader(), rows, round=4) == want.leaders
    got = Leader().decide(gradients(rows, round=4))
    assert got.fates == ("train",) * 10
    assert got.losses.tolist() == [1] * 10
    assert got.updates_server
    assert got.detail is not None
    assert got.detail.admitted.all()


def test_non_lgi_leads_with_everyone() -> None:
    assert leaders(Leader(leader="mean"), family("random", 5, 6, seed=1), planned_rounds=None) == [
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize(("ratio", "count"), [(0.33, 4), (0.67, 7), (1.0, 10), (0.3, 3)])
def test_fixed_ratio_takes_the_most_consistent_clients(ratio: float, count: int) -> None:
    rows = family("random", 10, 6, seed=2)
    rule = Leader(leader="fixed_ratio", leader_ratio=ratio)
    chosen = leaders(rule, rows, planned_rounds=None)
    scores = gapsl_round(rows, np.ones(10), 1, 1, None, 0.2, 0.8, 0.0, 0.0).scores
    assert chosen == sorted(np.argsort(scores)[:count].tolist())


def test_random_leaders_are_as_many_as_lgi_takes_and_follow_their_stream() -> None:
    rows = family("random", 10, 6, seed=3)
    usual = leaders(Leader(), rows, round=5)
    drawn = {tuple(leaders(Leader(leader="random"), rows, round=5, seed=seed)) for seed in range(6)}
    assert {len(chosen) for chosen in drawn} == {len(usual)}
    assert len(drawn) > 1
    assert leaders(Leader(leader="random"), rows, seed=9) == leaders(Leader(leader="random"), rows, seed=9)


def test_a_single_client_leads_and_the_next_stands_in_for_it() -> None:
    rows = family("random", 3, 6, seed=3)
    assert leaders(Leader(leader="single"), rows) == [0]
    rule = Leader(leader="single", leader_client=4)
    assert leaders(rule, rows, clients=(1, 4, 8)) == [1]
    assert leaders(rule, rows, clients=(1, 3, 8)) == [2]
    assert leaders(rule, rows, clients=(1, 2, 3)) == [0]


def test_the_update_has_the_type_of_the_gradients() -> None:
    rows = torch.from_numpy(family("random", 3, 6, seed=3)).float()
    assert Leader().decide(gradients(rows)).update.dtype == torch.float32


def test_cost_leaves_out_the_gram_matrix_where_scores_do_not_matter() -> None:
    # S = 3, d = 10: mean 30 FLOP, Gram 180 FLOP.
    costs = {
        "lgi": Leader(),
        "random": Leader(leader="random"),
        "fixed_ratio": Leader(leader="fixed_ratio", leader_ratio=0.5),
        "mean": Leader(leader="mean"),
        "single": Leader(leader="single"),
    }
    assert {name: rule.cost(3, 10).work_flop for name, rule in costs.items()} == {
        "lgi": 210,
        "random": 210,
        "fixed_ratio": 210,
        "mean": 30,
        "single": 30,
    }
