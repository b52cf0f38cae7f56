"""What every data set and every partition is held to, those of the user's own too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter

from gapslsim.data.dataset import Dataset, LoadedData, Samples, datasets
from gapslsim.data.datasets.cifar10 import Cifar10
from gapslsim.data.division import divide, load_sound
from gapslsim.data.partition import Partition, partitions
from gapslsim.data.partitions.iid import Iid
from gapslsim.data.skew import skew
from gapslsim.errors import DataError
from gapslsim.registry import component
from tests.unit.data.datasets.test_cifar import torchvision_cifar10

INPUTS = np.arange(24, dtype=np.float32).reshape(6, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@component
class Given(Dataset):
    """Data from Python, as a user's own data set would give them."""

    kind: Literal["given"] = "given"
    labels: Any = None
    inputs: Any = None
    test_labels: Any = None
    n_classes: Any = 3
    input_shape: Any = (4,)
    input_dtype: Any = "float32"

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        labels = LABELS if self.labels is None else self.labels
        inputs = INPUTS if self.inputs is None else self.inputs
        test = LABELS if self.test_labels is None else self.test_labels
        samples = Samples(labels, lambda: inputs)
        return LoadedData(
            "key", samples, Samples(test, lambda: INPUTS), self.n_classes, self.input_shape, self.input_dtype
        )


@component
class Lists(Partition):
    """Index lists from Python."""

    kind: Literal["lists"] = "lists"
    given: Any = None

    def split(self, labels: Any, n_clients: int, random: np.random.Generator) -> Any:
        return self.given


def by_lists(dataset: Dataset, given: Any) -> Dataset:
    """Divided by lists; past the registry, which holds no partition of this file."""
    object.__setattr__(dataset, "partition", Lists(given=given))
    return dataset


def shares_of(given: Any, n_clients: int = 2) -> list[list[int]]:
    dataset = by_lists(Given(), given)
    return [share.tolist() for share in divide(dataset, load_sound(dataset, None, 1), n_clients, 1)[1]]


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(np.int32),
        LABELS.astype(np.uint8),
        LABELS[:, None],
        LABELS.astype(np.float64),
        LABELS.tolist(),
    ],
)
def test_labels_with_one_meaning_only_are_put_right(labels: Any) -> None:
    train = load_sound(Given(labels=labels), None, 1).train
    assert train.labels.dtype == np.int64
    assert train.labels.tolist() == LABELS.tolist()


def nan_at(sample: int, column: int, value: float = np.nan) -> np.ndarray:
    inputs = INPUTS.copy()
    inputs[sample, column] = value
    return inputs


WRONG_DATA = [
    ({"labels": LABELS + 1}, r"train labels go from 1 to 3, expected 0 to 2: they count from 1; subtract 1"),
    ({"labels": np.array([0, 1, -1, 0, 1, 2])}, r"sample 2 has label -1; leave such samples out"),
    ({"labels": np.array([0, 1, 7, 0, 1, 2])}, r"sample 2 has label 7; raise n_classes"),
    ({"labels": np.eye(3)[LABELS]}, r"shape \(6, 3\); give one class per sample.*argmax\(axis=1\)"),
    ({"labels": np.zeros((6, 2, 2), int)}, r"shape \(6, 2, 2\); give one class per sample, \[n\]\."),
    ({"labels": LABELS + 0.5}, r"label of sample 0 is 0.5; a class is a whole number"),
    ({"labels": np.array([0, 1, np.nan, 0, 1, 2])}, r"label of sample 2 is nan"),
    ({"labels": np.array(["cat", "dog"] * 3)}, r"of type <U3; number the classes"),
    ({"labels": np.array([], int)}, r"training set is empty"),
    ({"test_labels": LABELS + 1}, r"test labels go from 1 to 3"),
    ({"n_classes": 1}, r"n_classes must be a whole number, 2 or more; found 1"),
    ({"input_dtype": "float16"}, r"input_dtype must be 'float32', or 'int64' for tokens; found 'float16'"),
    ({"n_classes": 2.5}, r"n_classes must be a whole number"),
    ({"input_shape": ()}, r"input_shape must be the shape of one input"),
    ({"input_shape": (0, 4)}, r"input_shape must be"),
]
WRONG_INPUTS = [
    ({"inputs": nan_at(4, 1)}, r"1 of 6 train inputs are not finite: sample 4 holds nan at \[1\]"),
    ({"inputs": nan_at(0, 3, np.inf)}, r"sample 0 holds inf at \[3\]"),
    ({"inputs": INPUTS[:5]}, r"There are 5 train inputs and 6 train labels"),
    ({"inputs": INPUTS.reshape(6, 2, 2)}, r"have shape \(6, 2, 2\), expected \(6, 4\)"),
    ({"inputs": INPUTS.astype(object)}, r"of type object; give numbers"),
    (
        {"inputs": INPUTS, "input_dtype": "int64"},
        r"of type float32; tokens \(input_dtype\) are whole numbers",
    ),
    ({"inputs": np.array(["a"] * 6)}, r"of type <U1; give numbers"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG_DATA)
def test_labels_and_shapes_that_cannot_be_right_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load_sound(Given(**wrong), None, 1)


@pytest.mark.parametrize(("wrong", "says"), WRONG_INPUTS)
def test_inputs_that_cannot_be_right_are_refused_when_they_are_read(wrong: dict[str, Any], says: str) -> None:
    train = load_sound(Given(**wrong), None, 1).train
    assert len(train) == 6
    with pytest.raises(DataError, match=says):
        _ = train.inputs


@pytest.mark.parametrize("given", [np.float64, np.int64, np.uint8])
def test_numbers_become_float32_and_tokens_int64(given: type) -> None:
    assert load_sound(Given(inputs=INPUTS.astype(given)), None, 1).train.inputs.dtype == np.float32
    tokens = load_sound(Given(inputs=INPUTS.astype(np.int32), input_dtype="int64"), None, 1).train.inputs
    assert tokens.dtype == np.int64


def test_inputs_whose_sum_overflows_are_finite_all_the_same() -> None:
    large = np.full((6, 4), 3e38, np.float32)
    np.testing.assert_array_equal(load_sound(Given(inputs=large), None, 1).train.inputs, large)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([[0, 1, 2], [2, 3, 4, 5]], r"1 samples are given out more than once: sample 2 to clients 0 and 1"),
        ([[0, 1, 2], [3, 4]], r"1 of 6 training samples are nobody's: sample 5 is the first"),
        ([[0, 1, 1], [2, 3, 4, 5]], r"sample 1 to client 0 twice"),
        ([[0, 1, -1], [2, 3, 4, 5]], r"Client 0 has sample -1; samples count from 0 to 5"),
        ([[0, 1, 2], [3, 4, 6]], r"Client 1 has sample 6; samples count from 0 to 5"),
        ([[0, 1, 2], []], r"Client 1 needs a list of at least one sample; found none"),
        ([[0, 1, 2, 3, 4, 5]], r"lists for 1 clients, the scenario has 2"),
        ([[0, 1, 2], [3.0, 4.5]], r"samples of client 1 are of type float64; give whole numbers"),
        ([[[0, 1, 2]], [3, 4, 5]], r"Client 0 needs a list .* array of shape \(1, 3\)"),
    ],
)
def test_index_lists_that_are_no_division_are_refused(given: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        shares_of(given)


def test_index_lists_in_any_order_and_width_are_put_right() -> None:
    assert shares_of([np.array([5, 0, 2], np.int32), [4, 1, 3]]) == [[0, 2, 5], [1, 3, 4]]


def test_indices_mean_positions_in_the_file(tmp_path: Path) -> None:
    """Issue 15.5: client k has the classes 2k and 2k + 1 of ten, so it lies 0.8 from the whole."""
    torchvision_cifar10(tmp_path / "cifar10")
    labels = Cifar10().load(tmp_path, 1).train.labels
    lists = [np.flatnonzero(labels == k) for k in range(3)]
    dataset = by_lists(Cifar10(), lists)
    data, shares = divide(dataset, load_sound(dataset, tmp_path, 1), 3, 1)
    own = skew(data.train.labels, shares, 3)
    assert (own.counts > 0).tolist() == np.eye(3, dtype=bool).tolist()
    raw, _ = torchvision_cifar10(tmp_path / "again")
    assert data.train.labels.tolist() == raw.tolist()


def test_sizes_are_those_asked_for() -> None:
    dataset = Given(partition=Iid(sizes=(3, 1, 2)))
    _, shares = divide(dataset, load_sound(dataset, None, 1), 3, 1)
    assert [len(share) for share in shares] == [3, 1, 2]
    assert sorted(np.concatenate(shares)) == list(range(6))
    fewer = Given(partition=partitions["shards"](classes_per_client=1, sizes=(1, 2, 1)))
    _, shares = divide(fewer, load_sound(fewer, None, 1), 3, 1)
    assert [len(share) for share in shares] == [1, 2, 1]


@pytest.mark.parametrize(
    ("partition", "says"),
    [
        (Iid(sizes=(1, 2)), r"sizes has 2 values for 3 clients"),
        (Iid(sizes=(4, 4, 4)), r"sizes asks for 4 samples for client 0, whose part holds 2"),
        (Iid(label_noise=(0.5,)), r"label_noise has 1 values for 3 clients"),
    ],
)
def test_sizes_and_noise_that_do_not_fit_are_refused(partition: Partition, says: str) -> None:
    dataset = Given(partition=partition)
    with pytest.raises(DataError, match=says):
        divide(dataset, load_sound(dataset, None, 1), 3, 1)


def test_label_noise_changes_the_said_share_of_each_clients_labels_to_other_classes_and_the_key() -> None:
    settings = {"kind": "synthetic", "input_shape": [3], "n_train": 400, "n_classes": 4}
    adapter: TypeAdapter[Dataset] = TypeAdapter(Annotated[Any, datasets])
    noise = {"kind": "iid", "label_noise": [0.25, 0, 1, 0.5]}
    clean, noisy = (adapter.validate_python({**settings, "partition": p}) for p in ("iid", noise))
    (before, shares), (after, same) = (divide(d, load_sound(d, None, 1), 4, 1) for d in (clean, noisy))
    assert all((a == b).all() for a, b in zip(shares, same, strict=True))
    changed = before.train.labels != after.train.labels
    assert [int(changed[share].sum()) for share in shares] == [25, 0, 100, 50]
    # A client whose labels are all wrong has each of the three other classes about as often.
    moved = (after.train.labels - before.train.labels)[shares[2]] % 4
    assert np.bincount(moved, minlength=4)[1:].min() > 20
    assert after.key != before.key
    np.testing.assert_array_equal(after.train.inputs, before.train.inputs)
    again = divide(noisy, load_sound(noisy, None, 1), 4, 1)[0]
    assert again.key == after.key


def test_a_validation_split_is_of_the_training_set_and_nobody_trains_on_it():
    digits = datasets["digits"]()
    whole = load_sound(digits, None, seed=1)
    held = load_sound(datasets["digits"](validation=0.2), None, seed=1)

    assert held.key != whole.key
    assert len(held.train) + len(held.test) == len(whole.train)
    rows = {row.tobytes() for row in np.concatenate([held.train.inputs, held.test.inputs])}
    assert rows == {row.tobytes() for row in whole.train.inputs}
    counts = np.bincount(whole.train.labels)
    assert np.bincount(held.test.labels).tolist() == [round(0.2 * n) for n in counts]
    # Inputs go with their labels.
    where = {row.tobytes(): label for row, label in zip(whole.train.inputs, whole.train.labels, strict=True)}
    assert [where[row.tobytes()] for row in held.test.inputs] == held.test.labels.tolist()


def test_the_validation_split_is_the_same_for_every_seed_and_in_a_dry_run():
    digits = datasets["digits"](validation=0.1)
    first, other = (load_sound(digits, None, seed) for seed in (1, 2))
    assert np.array_equal(first.test.inputs, other.test.inputs)
    assert np.array_equal(load_sound(digits, None, 1, dry=True).test.labels, first.test.labels)


@pytest.mark.parametrize("share", [0, 1, -0.1, "half"])
def test_a_validation_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="validation"):
        datasets["digits"](validation=share)


def test_a_validation_split_that_keeps_nothing_is_refused(monkeypatch):
    data = LoadedData("k", *(Samples(np.arange(2), lambda: np.zeros((2, 1), np.float32)),) * 2, 2, (1,))
    digits = datasets["digits"](validation=0.5)
    monkeypatch.setattr(type(digits), "load", lambda *_: data)
    with pytest.raises(DataError, match=r"validation = 0\.5 of 2 training samples keeps none"):
        load_sound(digits, None, 1)
