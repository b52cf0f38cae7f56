import math

import numpy as np
import pytest
import torch

from gapslsim.errors import NumericalError, ScenarioError
from gapslsim.frameworks.slots import server_updates
from tests.unit.frameworks.rules.support_rules import gradients
from tests.unit.learning.reference_equations import family, gapsl_round

Gapsl = server_updates["gapsl"]

# Angles to the mean (1, 0) of all four: 0, 0, pi/4 and pi/4 (the last two cancel across).
FAN = [(1.0, 0.0), (2.0, 0.0), (0.5, 0.5), (0.5, -0.5)]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("n", [1, 2, 10, 40])
@pytest.mark.parametrize("kind", ["random", "parallel", "opposite", "zero", "duplicate"])
def test_rounds_in_a_row_agree_with_a_plain_numpy_recomputation(kind: str, n: int, reduction: str) -> None:
    rule = Gapsl(eta=0.3, lambda_=0.05, reduction=reduction)
    state, extremes = rule.initial_state(), None
    n_rounds = 2 if n == 40 else 3
    for t in range(1, n_rounds + 1):
        rows, losses = family(kind, n, 8, seed=100 * n + t), np.linspace(0.5, 2, n) * t
        want = gapsl_round(rows, losses, t, n_rounds, extremes, 0.2, 0.8, 0.3, 0.05)
        got = rule.decide(gradients(rows, losses, round=t, planned_rounds=n_rounds, state=state))
        assert got.detail is not None
        close = {"rtol": 0, "atol": 1e-10}
        np.testing.assert_allclose(got.detail.score_rad, want.scores, **close)
        np.testing.assert_allclose(got.detail.angle_to_leader_rad, want.angles, **close)
        np.testing.assert_allclose(got.detail.gradient_norm, np.linalg.norm(rows, axis=1), **close)
        assert np.flatnonzero(got.detail.in_leader_set).tolist() == want.leaders
        assert np.flatnonzero(got.detail.admitted).tolist() == want.admitted
        figures = (got.detail.selection_ratio, got.detail.dispersion_rad, got.detail.threshold_rad)
        assert figures == pytest.approx((want.ratio, want.dispersion, want.threshold), abs=1e-10)
        update = want.mean_update if reduction == "mean" else want.sum_update
        np.testing.assert_allclose(got.update.numpy(), update, **close)
        np.testing.assert_allclose(got.losses.numpy(), want.losses, **close)
        fates = tuple("train" if i in want.admitted else "freeze" for i in range(n))
        assert got.fates == fates
        assert got.state == pytest.approx(
            dict(zip(("nu_min", "nu_max"), want.extremes, strict=True)), abs=1e-10
        )
        state, extremes = got.state, want.extremes


def test_running_extremes_take_in_this_round_before_they_are_used() -> None:
    rows = family("random", 6, 5, seed=1)
    first = Gapsl().decide(gradients(rows, round=5)).detail
    assert first is not None
    nu = first.dispersion_rad
    # The greatest dispersion so far: factor 0, so K_min. The least: factor 1, K = 0.2 + 5/10 * 0.6.
    top = Gapsl().decide(gradients(rows, round=5, state={"nu_min": nu / 2, "nu_max": nu / 1.5}))
    low = Gapsl().decide(gradients(rows, round=5, state={"nu_min": nu * 1.5, "nu_max": nu * 2}))
    assert top.detail is not None
    assert low.detail is not None
    assert top.state == pytest.approx({"nu_min": nu / 2, "nu_max": nu})
    assert low.state == pytest.approx({"nu_min": nu, "nu_max": nu * 2})
    assert (top.detail.selection_ratio, low.detail.selection_ratio) == pytest.approx((0.2, 0.5))


def test_the_state_is_plain_numbers() -> None:
    state = Gapsl().decide(gradients(FAN)).state
    assert all(type(value) is float for value in state.values())


def test_admitting_all_with_everyone_leading_and_no_penalty_is_the_mean_rule_bit_for_bit() -> None:
    rows = torch.from_numpy(family("random", 7, 100, seed=3)).float()
    rule = Gapsl(leader="fixed_ratio", leader_ratio=1.0, admission="all", lambda_=0.0)
    got, want = (r.decide(gradients(rows)) for r in (rule, server_updates["mean"]()))
    assert torch.equal(got.update, want.update)
    assert got.fates == want.fates == ("train",) * 7
    assert torch.equal(got.losses, want.losses)
    assert got.updates_server
    assert got.detail is not None
    assert math.isnan(got.detail.threshold_rad)


@pytest.mark.parametrize("excluded", ["freeze", "zero", "train"])
def test_clients_that_are_not_admitted_meet_their_fate(excluded: str) -> None:
    rule = Gapsl(leader="mean", admission="fixed_threshold", threshold_rad=0.5, excluded=excluded)
    assert rule.decide(gradients(FAN)).fates == ("train", "train", excluded, excluded)


def test_the_update_is_the_mean_or_the_sum_over_the_admitted() -> None:
    options = {"leader": "mean", "admission": "fixed_threshold", "threshold_rad": 0.5}
    for reduction, want in (("mean", [1.5, 0.0]), ("sum", [3.0, 0.0])):
        assert Gapsl(reduction=reduction, **options).decide(gradients(FAN)).update.tolist() == want


def test_reported_loss_has_the_penalty_of_admitted_clients_only() -> None:
    # Threshold 0.8 rad admits everyone; 1 - cos(pi/4) = 0.29289; lambda 2.
    rule = Gapsl(leader="mean", admission="fixed_threshold", threshold_rad=0.8, lambda_=2.0)
    assert rule.decide(gradients(FAN)).losses.tolist() == pytest.approx([1, 1, 1.5857864, 1.5857864])
    rule = Gapsl(leader="mean", admission="fixed_threshold", threshold_rad=0.7, lambda_=2.0)
    assert rule.decide(gradients(FAN)).losses.tolist() == [1, 1, 1, 1]


# Angles to the mean (1, 0): 0.4636 twice; none at or below a threshold of 0.1 rad.
PAIR = [(1.0, 0.5), (1.0, -0.5)]


def test_nobody_admitted_admits_the_nearest() -> None:
    rule = Gapsl(leader="mean", admission="fixed_threshold", threshold_rad=0.1, on_empty="nearest")
    got = rule.decide(gradients(PAIR))
    assert got.fates == ("train", "freeze")
    assert got.update.tolist() == [1.0, 0.5]
    assert got.updates_server


def test_nobody_admitted_skips_the_round() -> None:
    rule = Gapsl(leader="mean", admission="fixed_threshold", threshold_rad=0.1, on_empty="skip")
    got = rule.decide(gradients(PAIR))
    assert got.fates == ("freeze", "freeze")
    assert got.update.tolist() == [0, 0]
    assert not got.updates_server
    assert got.losses.tolist() == [1, 1]


def test_a_clamped_threshold_admits_nobody_and_skips() -> None:
    # One far angle makes mean - eta std negative: Eq. (6) gives 0.
    got = Gapsl(leader="mean", eta=50, on_empty="skip").decide(
        gradients([(1.0, 0.3), (1.0, 0.2), (-0.2, 1.0)])
    )
    assert got.detail is not None
    assert got.detail.threshold_rad == 0
    assert not got.updates_server


def test_steer_turns_each_admitted_gradient_towards_the_leader() -> None:
    # Leader (1, 0). For (0.5, 0.5): n = (1, 1)/sqrt 2, cos = 1/sqrt 2, u - cos n = (0.5, -0.5), |g| = 1/sqrt 2.
    rule = Gapsl(leader="mean", admission="all", gradient="steer", lambda_=0.5, reduction="sum")
    got = rule.decide(gradients(FAN[:2] + FAN[2:3] + FAN[3:]))
    turn = 0.5 / math.sqrt(2) * 0.5
    # Both slanted rows gain `turn` along x; across they cancel. Sum of rows is (4, 0).
    assert got.update.tolist() == pytest.approx([4 + 2 * turn, 0])
    assert got.cut_terms is None


def test_a_single_client_is_led_by_itself() -> None:
    got = Gapsl(lambda_=1.0).decide(gradients([(3.0, 4.0)], clients=(6,)))
    assert got.update.tolist() == [3, 4]
    assert got.fates == ("train",)
    assert got.losses.tolist() == pytest.approx([1], abs=1e-12)
    assert got.state == {"nu_min": 0.0, "nu_max": 0.0}


def test_zero_gradients_everywhere_are_no_trouble() -> None:
    got = Gapsl(gradient="steer").decide(gradients(np.zeros((3, 4))))
    assert got.update.tolist() == [0] * 4
    assert got.fates == ("train",) * 3


def test_random_admission_takes_as_many_as_the_adaptive_one() -> None:
    rows = family("random", 12, 6, seed=4)
    adaptive = Gapsl().decide(gradients(rows)).fates
    drawn = {Gapsl(admission="random").decide(gradients(rows, seed=seed)).fates for seed in range(8)}
    assert {fates.count("train") for fates in drawn} == {adaptive.count("train")}
    assert len(drawn) > 1
    again = [Gapsl(admission="random").decide(gradients(rows, seed=5)).fates for _ in range(2)]
    assert again[0] == again[1]


def test_deciding_leaves_the_gradients_as_they_are() -> None:
    rows = torch.from_numpy(family("random", 5, 6, seed=4))
    before = rows.clone()
    Gapsl(gradient="steer", lambda_=1.0, admission="all").decide(gradients(rows))
    assert torch.equal(rows, before)


def test_unknown_number_of_rounds_says_what_to_set() -> None:
    with pytest.raises(ScenarioError, match=r"planned_rounds.*Set stop.rounds or stop.epochs, or framework"):
        Gapsl().decide(gradients(FAN, planned_rounds=None))
    assert Gapsl(planned_rounds=4).decide(gradients(FAN, planned_rounds=None)).updates_server
    assert Gapsl(leader="mean").decide(gradients(FAN, planned_rounds=None)).updates_server


def test_own_planned_rounds_go_before_those_of_the_scenario() -> None:
    got = Gapsl(planned_rounds=2).decide(gradients(FAN, round=1, planned_rounds=1000)).detail
    assert got is not None
    assert got.selection_ratio == pytest.approx(0.5)  # 0.2 + 1/2 * 0.6


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_refused_with_client_and_round(bad: float) -> None:
    with pytest.raises(NumericalError, match="client 7 is NaN or infinite in round 3"):
        Gapsl().decide(gradients([(1.0, 2.0), (bad, 1.0)], clients=(4, 7), round=3))


def test_only_exact_differentiation_asks_for_second_order() -> None:
    assert Gapsl(gradient="exact").second_order
    assert not Gapsl(gradient="exact", lambda_=0).second_order
    assert not Gapsl().second_order
    assert not Gapsl(gradient="steer").second_order
    with pytest.raises(ValueError, match=r"needs Gradients\.hessian_product"):
        Gapsl(gradient="exact").decide(gradients(FAN))


def test_cost_comes_from_shapes() -> None:
    # S = 3, d = 10: Gram 2*9*10, leader 30, angles 2*4*10, mean 30; corrections 5*3*10 more.
    assert Gapsl().cost(3, 10).work_flop == 180 + 30 + 80 + 30
    assert Gapsl(gradient="steer").cost(3, 10).work_flop == 320 + 150
    assert Gapsl(leader="mean").cost(3, 10).work_flop == 140
    # float32: Gram 30 + 9, leader 40, angles 40, mean 40 numbers.
    assert Gapsl().cost(3, 10).moved_bytes == 4 * (39 + 40 + 40 + 40)
    assert {layer.phase for layer, _ in Gapsl(gradient="exact").cost(3, 10).flat()} == {"other"}


def test_an_update_as_long_as_the_mean_differs_from_it_in_direction_alone() -> None:
    given = gradients(np.random.default_rng(3).normal(size=(6, 50)))
    own, scaled = (
        server_updates["gapsl"](eta=0.5, length=how).decide(given).update for how in ("own", "mean")
    )
    assert float(scaled.norm()) == pytest.approx(float(given.matrix.mean(0).norm()), rel=1e-12)
    assert float(own.norm()) != pytest.approx(float(scaled.norm()), rel=1e-3)
    torch.testing.assert_close(own / own.norm(), scaled / scaled.norm(), rtol=0, atol=1e-12)


def test_where_all_are_admitted_the_length_of_the_mean_changes_nothing() -> None:
    given = gradients(np.random.default_rng(3).normal(size=(6, 50)))
    own, scaled = (
        server_updates["gapsl"](admission="all", length=how).decide(given).update for how in ("own", "mean")
    )
    torch.testing.assert_close(own, scaled, rtol=1e-12, atol=0)


def test_no_gradient_at_all_has_no_length_to_take() -> None:
    decision = server_updates["gapsl"](length="mean").decide(gradients(np.zeros((3, 4))))
    assert not decision.update.any()


def test_a_negative_eta_puts_the_threshold_above_the_mean_angle_and_admits_more() -> None:
    given = gradients(np.random.default_rng(5).normal(size=(8, 40)) + 1.0)
    etas = (-3.0, -0.5, 0.0, 0.5)
    details = [server_updates["gapsl"](eta=eta).decide(given).detail for eta in etas]
    angles = details[0].angle_to_leader_rad
    for eta, detail in zip(etas, details, strict=True):
        assert detail.threshold_rad == pytest.approx(min(angles.mean() - eta * angles.std(), math.pi / 2))
    admitted = [int(detail.admitted.sum()) for detail in details]
    assert admitted == sorted(admitted, reverse=True)
    assert admitted[0] == 8 > admitted[-1]
