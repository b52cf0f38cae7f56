"""Divisions that the user brings: index lists from files, natural users from columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gapslsim.data.datasets.leaf import Leaf
from gapslsim.data.datasets.npz import Npz
from gapslsim.data.division import divide, load_sound
from gapslsim.data.partition import Partition
from gapslsim.data.partitions.by_column import ByColumn
from gapslsim.data.partitions.file import FilePartition
from gapslsim.errors import DataError
from gapslsim.rng import stream
from tests.own_files import own_files

USERS = {"user": np.array(["b", "a", "c", "b", "a", "d", "c", "b"])}
LABELS = np.zeros(8, np.int64)


def given(partition: Partition, n_clients: int, seed: int = 1) -> list[list[int]]:
    shares = partition.divide(LABELS, USERS, n_clients, stream(seed, "partition"))
    return [np.asarray(share).tolist() for share in shares]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [[0, 3], [1, 4, 5, 6, 7], [2]]),
        ("a.json", {"client-2": [2], "client-0": [3, 0], "client-1": [7, 1, 4, 5, 6]}),
        ("a.json", {"zoe": [0, 3], "ann": [1, 4, 5, 6, 7], "bob": [2]}),
        ("a.json", {str(k): list(v) for k, v in {10: [2], 9: [1, 4, 5, 6, 7], 8: [0, 3]}.items()}),
    ],
)
def test_index_lists_come_from_json_in_their_order_or_that_of_their_numbers(
    tmp_path: Path, name: str, content: object
) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    assert given(FilePartition(file=tmp_path / name), 3) == [[0, 3], [1, 4, 5, 6, 7], [2]]


def test_index_lists_come_from_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", *[np.array(part, np.int32) for part in ([0, 3], [1, 4, 5, 6, 7], [2])])
    assert given(FilePartition(file=tmp_path / "a.npz"), 3) == [[0, 3], [1, 4, 5, 6, 7], [2]]


def test_samples_in_no_list_can_be_left_out_on_purpose(tmp_path: Path) -> None:
    own_files(tmp_path)
    (tmp_path / "a.json").write_text("[[0, 3], [1]]")
    dataset = Npz(
        file=tmp_path / "medmnist.npz", partition=FilePartition(file=tmp_path / "a.json", leftover="unused")
    )
    _, shares = divide(dataset, load_sound(dataset, None, 1), 2, 1)
    assert [share.tolist() for share in shares] == [[0, 3], [1]]


def test_every_user_is_a_client() -> None:
    assert given(ByColumn(), 4) == [[1, 4], [0, 3, 7], [2, 6], [5]]


def test_more_users_than_clients_are_dealt_out_whole() -> None:
    parts = given(ByColumn(), 2)
    assert sorted(parts[0] + parts[1]) == list(range(8))
    users = [set(USERS["user"][part]) for part in parts]
    assert [len(each) for each in users] == [2, 2]
    assert not users[0] & users[1]
    assert {str(given(ByColumn(), 2, seed)) for seed in range(20)} != {str(parts)}


def test_more_users_than_clients_can_stay_unused_or_be_refused() -> None:
    parts = given(ByColumn(surplus="unused"), 3)
    assert [len(set(USERS["user"][part])) for part in parts] == [1, 1, 1]
    assert len(set(USERS["user"][np.concatenate(parts)])) == 3
    with pytest.raises(
        DataError, match=r"4 different values for 3 clients; use 4 clients or fewer, or surplus: dealt"
    ):
        given(ByColumn(surplus="refused"), 3)


def test_leaf_is_divided_by_user_unless_the_scenario_says_otherwise(tmp_path: Path) -> None:
    own_files(tmp_path)
    dataset = Leaf(root=tmp_path / "leaf")
    _, shares = divide(dataset, load_sound(dataset, None, 1), 3, 1)
    assert [share.tolist() for share in shares] == [[0, 1], [2, 3, 4], [5, 6, 7, 8]]
