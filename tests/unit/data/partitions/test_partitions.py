from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gapslsim import rng
from gapslsim.data.partition import Partition, partitions
from gapslsim.data.partitions.dirichlet import Dirichlet
from gapslsim.data.partitions.iid import Iid
from gapslsim.data.partitions.quantity import Quantity
from gapslsim.data.partitions.shards import Shards
from gapslsim.data.skew import skew
from gapslsim.errors import DataError

EVERY_PARTITION = [
    Iid(),
    Dirichlet(alpha=0.5, min_size=1),
    Dirichlet(alpha=0.5, min_size=1, balanced=True),
    Dirichlet(alpha=100, min_size=5),
    Shards(classes_per_client=1),
    Shards(classes_per_client=3),
    Quantity(alpha=1, min_size=1),
]
DIGITS = np.arange(1500) % 10  # 150 samples of each of 10 classes, about what the digits have


@pytest.mark.parametrize("partition", EVERY_PARTITION, ids=repr)
@settings(max_examples=12)
@given(st.integers(1, 6), st.integers(60, 120), st.integers(1, 5), st.integers(0, 2**31))
def test_every_partition_is_disjoint_covering_sorted_and_without_empty_parts(
    partition: Partition, n_clients: int, n: int, n_classes: int, seed: int
) -> None:
    labels = rng.stream(seed, "labels").integers(0, n_classes, n)
    parts = partition.split(labels, n_clients, rng.stream(seed, "partition"))
    assert len(parts) == n_clients
    assert all(len(part) >= getattr(partition, "min_size", 1) for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    assert all(part.dtype == np.int64 for part in parts)
    assert sorted(np.concatenate(parts)) == list(range(n))


@pytest.mark.parametrize("partition", EVERY_PARTITION, ids=repr)
def test_only_the_passed_generator_decides(partition: Partition) -> None:
    first, again, other = (partition.split(DIGITS, 5, rng.stream(seed, "partition")) for seed in (1, 1, 2))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert [part.tolist() for part in first] != [part.tolist() for part in other]


@pytest.mark.parametrize("partition", EVERY_PARTITION, ids=repr)
def test_more_clients_than_samples_is_an_error_that_gives_both_numbers(partition: Partition) -> None:
    with pytest.raises(DataError, match=r"11 clients share 10 training samples.*at most 10 clients"):
        partition.split(np.arange(10), 11, rng.stream(1, "partition"))


def test_every_registered_partition_is_tested_here() -> None:
    here = {partition.kind for partition in EVERY_PARTITION}  # type: ignore[attr-defined]
    assert here | {"by_column", "file"} == set(partitions)  # these two in test_own_partitions.py


def test_iid_parts_are_equal_up_to_one() -> None:
    sizes = [len(part) for part in Iid().split(DIGITS[:103], 10, rng.stream(1, "partition"))]
    assert sizes == [11, 11, 11, 10, 10, 10, 10, 10, 10, 10]


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("alpha", [0.01, 0.03, 0.1, 0.3, 1, 10])
def test_dirichlet_works_at_extreme_skew_with_its_default_minimum(alpha: float, balanced: bool) -> None:
    for seed in range(3):
        parts = Dirichlet(alpha=alpha, balanced=balanced).split(DIGITS, 10, rng.stream(seed, "partition"))
        assert min(map(len, parts)) >= 10


def test_smaller_alpha_is_more_skewed_and_large_alpha_is_nearly_iid() -> None:
    def distance(alpha: float) -> float:
        parts = Dirichlet(alpha=alpha, min_size=1).split(DIGITS, 10, rng.stream(1, "partition"))
        return float(skew(DIGITS, parts, 10).total_variation.mean())

    assert distance(0.05) > 0.7 > distance(0.5) > distance(5) > 0.05 > distance(1e4)


def test_dirichlet_without_retries_gives_each_class_by_its_proportions() -> None:
    labels = np.repeat([0, 1], [40, 60])
    parts = Dirichlet(alpha=2, min_size=1).split(labels, 3, rng.stream(7, "partition"))
    # The same draw, cut by hand: rounded cumulative proportions of the first of the block of 64 draws.
    proportions = rng.stream(7, "partition").dirichlet([2, 2, 2], size=(64, 2))[0]
    expected = []
    for p, n in zip(proportions, (40, 60), strict=True):
        edges = [0, round(p[0] * n), round((p[0] + p[1]) * n), n]
        expected.append([b - a for a, b in pairwise(edges)])
    assert skew(labels, parts, 2).counts.T.tolist() == expected


def test_the_balanced_dirichlet_passes_over_clients_that_have_their_share() -> None:
    parts = Dirichlet(alpha=0.1, min_size=1, balanced=True).split(DIGITS, 10, rng.stream(3, "partition"))
    # A client gets a class only while below 150 samples, so it ends below 150 + 150.
    assert max(map(len, parts)) < 300
    free = Dirichlet(alpha=0.1, min_size=1).split(DIGITS, 10, rng.stream(3, "partition"))
    assert max(map(len, free)) > 300


def test_a_dirichlet_that_cannot_be_had_names_alpha_min_size_clients_samples_and_the_fix() -> None:
    labels = np.repeat([0, 1], 50)  # two classes, each nearly whole on one of ten clients
    with pytest.raises(DataError) as caught:
        Dirichlet(alpha=0.001, min_size=3).split(labels, 10, rng.stream(1, "partition"))
    message = str(caught.value)
    for text in (
        "10000 tries",
        "alpha = 0.001",
        "10 clients",
        "min_size = 3",
        "100 training samples",
        "2 classes",
    ):
        assert text in message
    for fix in ("raise alpha", "lower min_size", "balanced: true", "fewer clients"):
        assert fix in message


def test_a_quantity_skew_that_cannot_be_had_says_so() -> None:
    with pytest.raises(
        DataError, match=r"tries: quantity with alpha = 0.001 .*10 clients.* min_size = 10 of 200"
    ):
        Quantity(alpha=0.001).split(DIGITS[:200], 10, rng.stream(1, "partition"))


@pytest.mark.parametrize("partition", [Dirichlet(min_size=11), Quantity(min_size=11)], ids=repr)
def test_a_minimum_that_needs_more_samples_than_there_are_gives_the_largest_that_fits(
    partition: Partition,
) -> None:
    with pytest.raises(
        DataError, match=r"min_size = 11 .* 10 clients needs 110 .* found 100\. Set min_size to 10"
    ):
        partition.split(DIGITS[:100], 10, rng.stream(1, "partition"))


def test_two_shards_of_one_class_each_give_at_most_two_labels() -> None:
    parts = Shards().split(DIGITS, 10, rng.stream(1, "partition"))
    result = skew(DIGITS, parts, 10)
    assert result.sizes.tolist() == [150] * 10
    assert ((result.counts > 0).sum(axis=1) <= 2).all()
    assert set(result.counts.ravel().tolist()) <= {0, 75, 150}


def test_more_shards_than_samples_is_an_error_that_gives_the_most_that_fit() -> None:
    with pytest.raises(
        DataError, match=r"classes_per_client = 3 for 4 clients makes 12 shards of 10 .* to 2 or less"
    ):
        Shards(classes_per_client=3).split(np.arange(10), 4, rng.stream(1, "partition"))


def test_quantity_skews_sizes_and_not_labels() -> None:
    labels = np.arange(20_000) % 10
    result = skew(labels, Quantity(alpha=0.5).split(labels, 5, rng.stream(1, "partition")), 10)
    assert result.sizes.max() > 4 * result.sizes.min()
    # Sampling alone moves a histogram of n samples in 10 classes by about 0.5 * 10 * sqrt(2 / pi * 0.09 / n).
    assert (result.total_variation < 2 * 1.2 / np.sqrt(result.sizes)).all()


@pytest.mark.parametrize(
    "settings_of_it",
    [
        {"kind": "dirichlet", "alpha": 0},
        {"kind": "dirichlet", "alpha": -1},
        {"kind": "dirichlet", "alpha": float("nan")},
        {"kind": "dirichlet", "min_size": 0},
        {"kind": "shards", "classes_per_client": 0},
        {"kind": "quantity", "alpha": 0},
        {"kind": "iid", "alpha": 1},
    ],
)
def test_wrong_settings_of_a_partition_are_refused(settings_of_it: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[Partition, partitions]).validate_python(settings_of_it)
