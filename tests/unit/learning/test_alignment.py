import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.learning import _limits
from gapslsim.learning import alignment as a
from tests.unit.learning.reference_equations import family, gapsl_round

KINDS = ("random", "parallel", "opposite", "zero", "duplicate")


def matrix(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 10, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_equations_1_to_7_agree_with_a_plain_numpy_recomputation(kind: str, n: int) -> None:
    rows = family(kind, n, 12, seed=n)
    losses = np.linspace(0.5, 2, n)
    want = gapsl_round(rows, losses, 3, 7, (0.0, 0.9), 0.2, 0.8, 0.3, 0.05)
    g = torch.from_numpy(rows)
    scores = a.consistency_scores(a.pairwise_angles(g))
    nu = a.dispersion(scores)
    ratio = a.selection_ratio(nu, min(nu, 0.0), max(nu, 0.9), 3, 7, 0.2, 0.8)
    leaders = a.leader_set(scores, a.leader_count(ratio, n))
    leader = a.leader_gradient(g, leaders)
    angles = a.angles_to(g, leader)
    threshold = a.alignment_threshold(angles, 0.3)
    admitted = a.admit(angles, threshold)
    if not admitted.any():
        admitted = a.nearest(angles)
    np.testing.assert_allclose(scores.numpy(), want.scores, rtol=0, atol=1e-10)
    assert nu == pytest.approx(want.dispersion, abs=1e-10)
    assert ratio == pytest.approx(want.ratio, abs=1e-10)
    assert leaders.nonzero().flatten().tolist() == want.leaders
    np.testing.assert_allclose(leader.numpy(), want.leader, rtol=0, atol=1e-10)
    np.testing.assert_allclose(angles.numpy(), want.angles, rtol=0, atol=1e-10)
    assert threshold == pytest.approx(want.threshold, abs=1e-10)
    assert admitted.nonzero().flatten().tolist() == want.admitted
    reported = losses + np.where(admitted.numpy(), a.penalty(angles, 0.05).numpy(), 0.0)
    np.testing.assert_allclose(reported, want.losses, rtol=0, atol=1e-10)


def test_a_small_example_worked_by_hand() -> None:
    # g0 = (2, 0), g1 = (0, 1), g2 = (3, 3): angles 0-1 pi/2, 0-2 pi/4, 1-2 pi/4.
    g = matrix((2, 0), (0, 1), (3, 3))
    scores = a.consistency_scores(a.pairwise_angles(g))
    assert scores.tolist() == pytest.approx([3 * math.pi / 8, 3 * math.pi / 8, math.pi / 4], abs=1e-14)
    # Mean pi/3; deviations pi/24, pi/24, -pi/12; variance (1 + 1 + 4)/3 (pi/24)^2.
    assert a.dispersion(scores) == pytest.approx(math.sqrt(2) * math.pi / 24, abs=1e-14)
    # Round 1 of 2, nu_min = nu_max: K = 0.2 + 1/2 * 1 * 0.6 = 0.5; ceil(1.5) = 2: client 2, then 0 by its index.
    ratio = a.selection_ratio(0.1, 0.1, 0.1, 1, 2, 0.2, 0.8)
    assert ratio == pytest.approx(0.5)
    leaders = a.leader_set(scores, a.leader_count(ratio, 3))
    assert leaders.tolist() == [True, False, True]
    leader = a.leader_gradient(g, leaders)
    assert leader.tolist() == [2.5, 1.5]
    # Slope 3/5: angles atan(3/5), atan(5/3), and pi/4 - atan(3/5) = atan((1 - 3/5)/(1 + 3/5)) = atan(1/4).
    angles = a.angles_to(g, leader)
    assert angles.tolist() == pytest.approx([math.atan(0.6), math.atan(5 / 3), math.atan(0.25)], abs=1e-14)
    # eta = 0: the threshold is the mean angle 0.60526; 0.54042 and 0.24498 are below it, 1.03038 is not.
    threshold = a.alignment_threshold(angles, 0.0)
    assert threshold == pytest.approx(0.6052583, abs=1e-7)
    assert a.admit(angles, threshold).tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identical_gradients_have_angle_zero_and_opposite_ones_pi(dtype: torch.dtype) -> None:
    row = torch.randn(1000, generator=torch.Generator().manual_seed(3), dtype=dtype)
    angles = a.pairwise_angles(torch.stack([row, row, -row]))
    want = [[0, 0, math.pi], [0, 0, math.pi], [math.pi, math.pi, 0]]
    np.testing.assert_allclose(angles.numpy(), want, rtol=0, atol=1e-14)


def test_a_tiny_angle_keeps_its_digits() -> None:
    # atan(1e-9): the cosine is 1 - 5e-19, which float64 cannot tell from 1.
    angles = a.pairwise_angles(matrix((1, 0), (1, 1e-9), (-1, 1e-9)))
    assert angles[0, 1].item() == pytest.approx(1e-9, rel=1e-6)
    assert math.pi - angles[0, 2].item() == pytest.approx(1e-9, rel=1e-6)
    assert a.angles_to(matrix((1, 1e-9)), matrix((1, 0))[0]).item() == pytest.approx(1e-9, rel=1e-6)
    # 1 - cos = theta^2/2 without cancellation.
    assert a.penalty(matrix((1e-9, 0))[0], 2.0)[0].item() == pytest.approx(1e-18, rel=1e-9)


def test_a_zero_gradient_is_at_right_angles_to_everything() -> None:
    angles = a.pairwise_angles(matrix((0, 0), (1, 0), (0, 0)))
    right = math.pi / 2
    np.testing.assert_array_equal(angles.numpy(), [[0, right, right], [right, 0, right], [right, right, 0]])
    assert a.angles_to(matrix((0, 0), (1, 0)), matrix((0, 1))[0]).tolist() == [right, right]
    assert a.angles_to(matrix((2, 0), (1, 0)), torch.zeros(2).double()).tolist() == [right, right]


def test_a_single_client_scores_zero_and_leads() -> None:
    g = matrix((3, 4))
    scores = a.consistency_scores(a.pairwise_angles(g))
    assert scores.tolist() == [0]
    assert a.dispersion(scores) == 0
    assert a.leader_set(scores, a.leader_count(0.2, 1)).tolist() == [True]
    assert a.norms(a.gram(g)).tolist() == [5]


def test_ratio_times_clients_is_rounded_up_without_float_noise() -> None:
    # 0.7 * 10 = 7.000000000000001 and 0.1 * 3 * 10 = 3.0000000000000004 in float64.
    assert a.leader_count(0.7, 10) == 7
    assert a.leader_count(0.1 * 3, 10) == 3
    assert a.leader_count(0.2, 10) == 2
    assert a.leader_count(0.21, 10) == 3
    assert a.leader_count(1.0, 10) == 10
    assert a.leader_count(1e-12, 10) == 1


def test_ties_go_to_the_lower_index() -> None:
    scores = torch.tensor([0.5, 0.3 + 1e-12, 0.5, 0.3], dtype=torch.float64)
    assert a.leader_set(scores, 1).tolist() == [False, True, False, False]
    assert a.leader_set(scores, 3).tolist() == [True, True, False, True]


def test_selection_ratio_is_least_when_the_scores_scatter_most() -> None:
    assert a.selection_ratio(0.4, 0.1, 0.4, 5, 10, 0.2, 0.8) == pytest.approx(0.2)
    assert a.selection_ratio(0.1, 0.1, 0.4, 5, 10, 0.2, 0.8) == pytest.approx(0.5)  # 0.2 + 1/2 * 0.6
    assert a.selection_ratio(0.2, 0.1, 0.4, 10, 10, 0.2, 0.8) == pytest.approx(0.6)  # 0.2 + 2/3 * 0.6
    assert a.selection_ratio(0.1, 0.1, 0.4, 99, 10, 0.2, 0.8) == pytest.approx(0.8)  # t/T stays 1


@pytest.mark.parametrize(("k_min", "k_max"), [(0.0, 0.5), (0.6, 0.5), (0.2, 1.1)])
def test_selection_ratio_refuses_wrong_bounds(k_min: float, k_max: float) -> None:
    with pytest.raises(ValueError, match=f"0 < k_min <= k_max <= 1; found {k_min} and {k_max}"):
        a.selection_ratio(0.1, 0.1, 0.1, 1, 2, k_min, k_max)


def test_selection_ratio_refuses_round_zero() -> None:
    with pytest.raises(ValueError, match="found 0 and 2"):
        a.selection_ratio(0.1, 0.1, 0.1, 0, 2, 0.2, 0.8)


def test_an_empty_leader_set_is_refused() -> None:
    with pytest.raises(ValueError, match="leader set is empty"):
        a.leader_gradient(matrix((1, 0)), torch.tensor([False]))


def test_threshold_stays_between_zero_and_a_right_angle() -> None:
    angles = torch.tensor([1.0, 3.0], dtype=torch.float64)  # mean 2, std 1
    assert a.alignment_threshold(angles, 0.5) == pytest.approx(1.5)
    assert a.alignment_threshold(angles, 0.0) == math.pi / 2
    assert a.alignment_threshold(angles, 9.0) == 0.0


def test_equal_angles_are_admitted_together_in_spite_of_rounding() -> None:
    for angle in (0.1, 0.3, 1 / 3, 0.7):
        angles = torch.full((3,), angle, dtype=torch.float64)
        assert a.admit(angles, a.alignment_threshold(angles, 0.5)).all()


def test_penalty_gradient_and_steer_term_by_hand() -> None:
    gradient, leader = matrix((2, 0))[0], matrix((0, 3))[0]
    # u = (0, 1), cos = 0: steer is |g| u, the penalty's gradient -u/|g|.
    assert a.steer_term(gradient, leader).tolist() == [0, 2]
    assert a.penalty_gradient(gradient, leader).tolist() == [0, -0.5]
    # At 45 degrees: u - cos n = (1/sqrt 2 - 1/sqrt 2, 1/sqrt 2), times |g| = 2.
    assert a.steer_term(gradient, matrix((5, 5))[0]).tolist() == pytest.approx([0, math.sqrt(2)])


@pytest.mark.parametrize(
    "pair", [((0.0, 0.0), (1.0, 0.0)), ((1.0, 0.0), (0.0, 0.0)), ((1.0, 2.0), (2.0, 4.0))]
)
def test_a_zero_or_parallel_vector_is_not_turned(pair: tuple[tuple[float, ...], ...]) -> None:
    gradient, leader = (matrix(v)[0] for v in pair)
    for turn in (a.steer_term, a.penalty_gradient):
        np.testing.assert_allclose(turn(gradient, leader).numpy(), [0, 0], rtol=0, atol=1e-15)


def test_penalty_gradient_agrees_with_finite_differences() -> None:
    random = torch.Generator().manual_seed(5)
    gradient, leader = (torch.randn(6, generator=random, dtype=torch.float64) for _ in range(2))

    def value(g: torch.Tensor) -> float:
        return float(1 - torch.cosine_similarity(g, leader, dim=0))

    h = 1e-6
    want = [(value(gradient + h * e) - value(gradient - h * e)) / (2 * h) for e in torch.eye(6).double()]
    np.testing.assert_allclose(a.penalty_gradient(gradient, leader).numpy(), want, rtol=0, atol=1e-9)


def test_many_columns_are_summed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.from_numpy(family("duplicate", 6, 50, seed=1))
    leader = g[:2].mean(0)
    whole = a.pairwise_angles(g), a.angles_to(g, leader), a.norms(a.gram(g))
    monkeypatch.setattr(_limits, "COLUMNS", 7)
    parts = a.pairwise_angles(g), a.angles_to(g, leader), a.norms(a.gram(g))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-13, atol=1e-13)


def test_float32_gradients_are_measured_in_float64() -> None:
    g = torch.from_numpy(family("random", 4, 2000, seed=2)).float()
    want = gapsl_round(g.double().numpy(), np.zeros(4), 1, 1, None, 0.2, 0.8, 0.0, 0.0)
    scores = a.consistency_scores(a.pairwise_angles(g))
    np.testing.assert_allclose(scores.numpy(), want.scores, rtol=0, atol=1e-10)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 9))
def test_scores_lie_between_zero_and_pi(seed: int, n: int, d: int) -> None:
    for kind in KINDS:
        g = torch.from_numpy(family(kind, n, d, seed))
        angles = a.pairwise_angles(g)
        scores = a.consistency_scores(angles)
        assert torch.equal(angles, angles.T)
        assert ((scores >= 0) & (scores <= math.pi)).all()


@given(st.integers(0, 10**6), st.integers(3, 12), st.randoms(use_true_random=False))
def test_the_order_of_clients_does_not_matter(seed: int, n: int, shuffle: object) -> None:
    g = torch.from_numpy(family("random", n, 12, seed))
    order = list(range(n))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    scores, moved = (a.consistency_scores(a.pairwise_angles(m)) for m in (g, g[order]))
    np.testing.assert_allclose(moved.numpy(), scores[order].numpy(), rtol=0, atol=1e-12)
    leaders, moved_leaders = (a.leader_set(s, (n + 1) // 2) for s in (scores, moved))
    assert moved_leaders.tolist() == leaders[order].tolist()
    leader, moved_leader = a.leader_gradient(g, leaders), a.leader_gradient(g[order], moved_leaders)
    angles, moved_angles = a.angles_to(g, leader), a.angles_to(g[order], moved_leader)
    np.testing.assert_allclose(moved_angles.numpy(), angles[order].numpy(), rtol=0, atol=1e-12)


@given(
    st.floats(0, math.pi),
    st.floats(0, math.pi),
    st.floats(0, math.pi),
    st.integers(1, 50),
    st.integers(1, 40),
    st.floats(0.01, 1),
    st.floats(0.01, 1),
    st.integers(1, 60),
)
def test_ratio_stays_within_its_bounds_and_sizes_the_leader_set(
    nu: float, low: float, high: float, t: int, planned: int, k1: float, k2: float, n: int
) -> None:
    k_min, k_max = sorted((k1, k2))
    ratio = a.selection_ratio(nu, min(nu, low), max(nu, high), t, planned, k_min, k_max)
    assert k_min <= ratio <= k_max
    count = a.leader_count(ratio, n)
    assert count == max(math.ceil(ratio * n - 1e-9), 1)
    scores = torch.linspace(1, 0, n, dtype=torch.float64)
    leaders = a.leader_set(scores, count)
    assert leaders.sum() == count
    assert leaders[-count:].all()


@given(st.integers(0, 10**6), st.lists(st.floats(-280, 280), min_size=6, max_size=6))
def test_positive_scaling_of_any_gradient_changes_no_angle(seed: int, exponents: list[float]) -> None:
    for kind in KINDS:
        g = torch.from_numpy(family(kind, 6, 9, seed))
        scaled = g * torch.tensor([10**e for e in exponents], dtype=torch.float64)[:, None]
        np.testing.assert_allclose(
            a.pairwise_angles(scaled).numpy(), a.pairwise_angles(g).numpy(), rtol=0, atol=1e-12
        )
        leader = g.sum(0) + g[0]
        np.testing.assert_allclose(
            a.angles_to(scaled, leader).numpy(), a.angles_to(g, leader).numpy(), rtol=0, atol=1e-12
        )


@given(st.integers(0, 10**6), st.lists(st.integers(-100, 100), min_size=5, max_size=5))
def test_scaling_by_a_power_of_two_changes_no_bit_of_an_angle(seed: int, powers: list[int]) -> None:
    g = torch.from_numpy(family("duplicate", 5, 9, seed)).float()
    scaled = torch.stack([row.ldexp(torch.tensor(p)) for row, p in zip(g, powers, strict=True)])
    assert torch.equal(a.pairwise_angles(scaled), a.pairwise_angles(g))


def test_norms_of_extreme_gradients_neither_overflow_nor_vanish() -> None:
    g = matrix((3e200, 4e200), (3e-200, 4e-200), (0, 0), (1e-310, 0))
    assert a.norms(a.gram(g)).tolist() == pytest.approx([5e200, 5e-200, 0, 1e-310], rel=1e-12)
