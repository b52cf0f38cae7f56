"""Whether differences are real: closed forms, published numbers and simulated data of known power."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gapslsim.results.significance import Difference, Pair, corrected, difference, seeds_needed

PAIR = Pair("a", "b", "accuracy")


def exactly(*values: float) -> dict[int, tuple[float, float]]:
    return {seed: (value, value) for seed, value in enumerate(values)}


def found(first: object, second: object, less: bool = False) -> Difference:
    made = difference(first, second, PAIR, less=less)  # type: ignore[arg-type]
    assert made is not None
    return made


def test_three_pairs_worked_out_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3). With two degrees of freedom the distribution of t is
    # 1/2 + t / (2 sqrt(2 + t^2)), and its 0.975 quantile 4.302653.
    one = found(exactly(1, 2, 3), exactly(0, 0, 0))
    share = 0.5 + math.sqrt(12) / (2 * math.sqrt(14))
    half = 4.302653 / math.sqrt(3)
    assert (one.pair, one.n, one.wins, one.mean) == (PAIR, 3, 3, (2.0, 2.0))
    assert one.probability == pytest.approx(share)
    assert one.p == pytest.approx(2 * (1 - share))
    assert one.interval == pytest.approx((2 - half, 2 + half))
    assert one.verdict == "not decided (p 0.074, about 5 seeds would)"
    assert one.words("{:.2f}".format) == "2.00 (-0.48 .. 4.48)"


def test_the_better_one_comes_first_whichever_is_given_first() -> None:
    low, high = exactly(1, 2, 4), exactly(2, 4, 5)
    assert found(low, high).pair[:2] == ("b", "a")
    assert found(low, high, less=True).pair[:2] == ("a", "b")
    assert found(low, high).p == found(low, high, less=True).p == found(high, low).p


def test_seeds_that_only_one_of_them_has_count_nowhere() -> None:
    one = found({1: (1, 1), 2: (2, 2), 9: (99, 99)}, {1: (0, 0), 2: (0, 0), 8: (77, 77)})
    assert (one.n, one.mean) == (2, (1.5, 1.5))
    assert difference({1: (1, 1)}, {2: (1, 1)}, PAIR, less=True) is None


def test_one_seed_decides_nothing() -> None:
    one = found(exactly(5), exactly(1))
    assert not one.is_decided
    assert one.verdict == "one seed in common: no spread is known"
    assert one.words("{:.0f}".format) == "4"
    assert corrected([one]) == [one]


def test_runs_that_are_equal_in_every_seed_are_not_ranked_and_the_same_gap_in_each_is_decided() -> None:
    equal = found(exactly(3, 4, 5), exactly(3, 4, 5))
    assert (equal.p, equal.probability, equal.wins) == (1.0, 0.5, 0)
    assert equal.verdict == "the same in every seed"
    same = found(exactly(1.1, 2.1, 3.1), exactly(1.0, 2.0, 3.0))
    assert (same.p, same.verdict, same.seeds_needed) == (0.0, "decided (p < 0.001)", 2.0)


def test_times_between_evaluations_are_decided_only_where_the_grid_leaves_no_doubt() -> None:
    # Both are tested every 0.6 s; the first is seen one test earlier in each seed, and may be as late as the second.
    near = found({s: (1.2, 1.8) for s in range(5)}, {s: (1.8, 2.4) for s in range(5)}, less=True)
    assert near.mean == pytest.approx((0.0, 1.2))
    assert not near.is_decided
    assert near.verdict == "not decided: it lies between two evaluations"
    # Two tests later it is at least 0.6 s behind.
    far = found({s: (1.2, 1.8) for s in range(5)}, {s: (2.4, 3.0) for s in range(5)}, less=True)
    assert far.mean == pytest.approx((0.6, 1.8))
    assert far.is_decided


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_seeds_needed_are_those_of_the_tables_for_paired_tests(effect: float, n: int) -> None:
    """Two-sided, 5 %, power 80 %: G*Power 3.1, "means: difference between two dependent means"."""
    assert seeds_needed(effect) == n


def test_more_comparisons_need_more_seeds() -> None:
    assert seeds_needed(0.5, 10) > seeds_needed(0.5)
    assert seeds_needed(1e-6) == 1001


def test_holm_multiplies_the_least_p_by_all_and_keeps_the_order() -> None:
    made = [Difference(PAIR, 5, 5, (1.0, 1.0), (0, 2), 0.9, p, 1.0) for p in (0.01, 0.04, 0.03, 0.005)]
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not lie below the one before it.
    assert [one.p for one in corrected(made)] == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_simulated_runs_are_decided_as_often_as_the_power_says_and_equal_ones_in_one_of_twenty() -> None:
    random = np.random.default_rng(1)

    def share_decided(effect: float, n: int) -> float:
        draws = random.normal(effect, 1.0, (1500, n))
        return float(np.mean([found(exactly(*row), exactly(*[0.0] * n)).is_decided for row in draws]))

    # 1500 tries: a standard error of one point at 80 %, of 0.6 points at 5 %.
    assert share_decided(0.8, 15) == pytest.approx(0.82, abs=0.035)
    assert share_decided(0.0, 8) == pytest.approx(0.05, abs=0.02)
