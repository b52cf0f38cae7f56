from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.data.stratify import balanced_order, stratified_split


def test_the_order_goes_round_the_classes() -> None:
    labels = np.array([2, 2, 0, 1, 0, 2])
    assert balanced_order(labels).tolist() == [0, 2, 3, 1, 4, 5]


def test_files_balanced_in_blocks_are_read_from_the_beginning() -> None:
    random = np.random.default_rng(0)
    labels = np.concatenate([random.permutation(10) for _ in range(20)])
    assert balanced_order(labels).tolist() == list(range(200))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 60))
def test_every_prefix_is_balanced_as_long_as_the_classes_last(labels: list[int], n: int) -> None:
    array = np.array(labels)
    order = balanced_order(array)
    assert sorted(order) == list(range(len(labels)))
    taken = np.bincount(array[order[:n]], minlength=5)
    there = np.bincount(array, minlength=5)
    most = taken.max()
    assert all(count >= most - 1 or count == all_of_it for count, all_of_it in zip(taken, there, strict=True))


def test_the_split_keeps_the_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [10, 20, 1])
    train, test = stratified_split(labels, 0.25, np.random.default_rng(1))
    assert np.bincount(labels[test], minlength=3).tolist() == [2, 5, 0]
    assert sorted([*train, *test]) == list(range(31))
    assert (np.diff(test) > 0).all()
