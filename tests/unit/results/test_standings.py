"""Places in a ranking: by means, and what the seeds leave open."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gapslsim.results.significance import LEVEL, p_above_zero
from gapslsim.results.standings import Entry, Standing, holm_survivors, standings


def entries(*numbers, less=False):
    return [Entry([(n, n) for n in own], (np.mean(own) * (1 if less else -1),)) for own in numbers]


def test_p_is_that_of_the_paired_t_test_of_scipy():
    gaps = np.array([[0.1, 0.3, 0.2], [0.1, -0.05, 0.2], [-0.1, -0.2, -0.1]])
    found = p_above_zero(gaps)
    for p, own in zip(found[:2], gaps, strict=False):
        assert p == pytest.approx(stats.ttest_1samp(own, 0).pvalue)
    assert found[2] == 1  # Not above 0 at all.


def test_what_is_not_known_of_one_seed_says_nothing_and_the_same_in_all_seeds_says_all():
    assert p_above_zero(np.array([[0.5, 0.5, -np.inf], [0.5, 0.5, 0.5]])).tolist() == [1, 0]
    assert math.isnan(p_above_zero(np.array([0.5])))


def test_the_first_is_alone_only_if_the_interval_to_each_other_excludes_zero():
    # Paired gaps of the first to the others: 0.10, 0.11, 0.12 (t = 19) and 0.0, 0.1, 0.2 (t = 1.7).
    near = entries([0.9, 0.9, 0.9], [0.8, 0.79, 0.78], [0.9, 0.8, 0.7])
    first, second, third = standings(near, less=False)
    assert (first.place, first.best_place, first.worst_place) == (1, 1, 2)
    assert (first.is_alone, first.is_among_first, third.is_among_first) == (False, True, True)
    assert not second.is_among_first
    assert second.p == pytest.approx(stats.ttest_rel([0.9] * 3, [0.8, 0.79, 0.78]).pvalue)

    assert standings(near[:2], less=False)[0].is_alone


def test_less_is_better_where_it_costs():
    found = standings(entries([3.0, 3.1], [1.0, 1.1], less=True), less=True)
    assert [one.place for one in found] == [2, 1]
    assert found[1].is_alone


def test_numbers_between_two_evaluations_that_overlap_decide_nothing():
    apart = [Entry([(1.0, 2.0)] * 3, (2.0,)), Entry([(2.5, 3.0)] * 3, (3.0,))]
    over = [Entry([(1.0, 2.0)] * 3, (2.0,)), Entry([(1.5, 3.0)] * 3, (3.0,))]
    assert standings(apart, less=True)[0].is_alone
    assert [one.is_alone for one in standings(over, less=True)] == [False, False]
    assert [(one.best_place, one.worst_place) for one in standings(over, less=True)] == [(1, 2), (1, 2)]


def test_one_that_never_got_there_is_behind_for_sure_only_if_it_had_spent_more_without_it():
    there = Entry([(1.0, 1.5)] * 3, (0.0, 1.5))
    late = Entry([(2.0, math.inf)] * 3, (3.0, 0.0))
    early = Entry([(1.0, math.inf)] * 3, (3.0, 0.0))
    found = standings([there, late, early], less=True)
    assert [one.place for one in found] == [1, 2, 2]
    assert [(one.best_place, one.worst_place) for one in found] == [(1, 2), (2, 3), (1, 3)]
    assert [one.is_alone for one in found] == [False, False, False]
    assert standings([there, late], less=True)[0].is_alone


def test_one_seed_decides_nothing_and_one_alone_is_no_winner():
    found = standings(entries([0.9], [0.1]), less=False)
    assert [(one.place, one.best_place, one.worst_place) for one in found] == [(1, 1, 2), (2, 1, 2)]
    assert all(one.is_among_first and not one.is_alone for one in found)
    (only,) = standings(entries([0.9, 0.8]), less=False)
    assert not only.is_alone


def test_equal_means_share_a_place():
    found = standings(entries([0.9, 0.8], [0.8, 0.9], [0.1, 0.2]), less=False)
    assert [one.place for one in found] == [1, 1, 3]


def test_lone_firsts_survive_holm_if_all_their_pairs_do():
    def ranking(*ps):
        front = Standing(1, 1, 1, math.nan, all(p <= LEVEL for p in ps), True)
        return [front, *(Standing(2, 2, 2, p, False, p > LEVEL) for p in ps)]

    # Sorted: 0.001 * 3, 0.02 * 2, 0.04 * 1: all at most 0.05.
    assert holm_survivors([ranking(0.001), ranking(0.02, 0.04)]) == 2
    # 0.02 * 3 is too much, and so all behind it.
    assert holm_survivors([ranking(0.02), ranking(0.03, 0.04)]) == 0
    # 0.001 * 3 stays, 0.03 * 2 does not.
    assert holm_survivors([ranking(0.001), ranking(0.03, 0.04)]) == 1
    # One without a lone first is none.
    assert holm_survivors([ranking(0.001), ranking(0.3)]) == 1
