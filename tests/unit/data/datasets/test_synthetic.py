from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from gapslsim import load
from gapslsim.data.datasets.synthetic import Synthetic
from tests.study_files import BASE


def test_the_data_have_the_asked_shape_and_equal_classes() -> None:
    data = Synthetic(input_shape=(3, 4, 5), n_classes=3, n_train=10, n_test=4).load(None, seed=1)
    assert data.input_shape == (3, 4, 5)
    assert data.train.inputs.shape == (10, 3, 4, 5)
    assert data.test.inputs.shape == (4, 3, 4, 5)
    assert data.train.inputs.dtype == np.float32
    assert data.train.labels.dtype == np.int64
    assert np.bincount(data.train.labels).tolist() == [4, 3, 3]


def test_the_seed_decides_data_and_key() -> None:
    settings = Synthetic(input_shape=(6,), n_train=8)
    first, again, other = (settings.load(None, seed) for seed in (1, 1, 2))
    assert first.key == again.key != other.key
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert (first.train.inputs != other.train.inputs).all()


def test_the_test_set_does_not_depend_on_the_size_of_the_training_set() -> None:
    small, large = (Synthetic(input_shape=(6,), n_train=n, n_test=5).load(None, 1) for n in (10, 99))
    np.testing.assert_array_equal(small.test.inputs, large.test.inputs)
    assert small.key != large.key


@pytest.mark.parametrize("separation", [0.0, 4.0, 12.0])
def test_two_classes_lie_as_far_apart_as_separation_says(separation: float) -> None:
    data = Synthetic(input_shape=(2000,), n_classes=2, n_train=400, separation=separation).load(None, 3)
    inputs, labels = data.train.inputs.astype(np.float64), data.train.labels
    difference = inputs[labels == 0].mean(axis=0) - inputs[labels == 1].mean(axis=0)
    # Means of 200 samples each add noise of variance 2 / 200 in each of 2000 dimensions: 20 in the squared distance.
    squared = difference @ difference - 20
    assert squared == pytest.approx(separation**2, abs=3 + 0.15 * separation**2)


def test_labels_are_there_before_inputs_are_drawn() -> None:
    train = Synthetic().load(None, 1).train
    assert len(train) == 1000
    assert "inputs" not in vars(train)


@pytest.mark.parametrize(
    "wrong",
    [{"n_train": 0}, {"n_classes": 1}, {"input_shape": ()}, {"input_shape": (3, 0)}, {"separation": -1}],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Synthetic(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(10, [7, 2, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (2, [1, 1, 0]), (1000, [700, 250, 50])],
)
def test_classes_have_the_shares_that_are_given(n: int, expected: list[int]) -> None:
    data = Synthetic(n_classes=3, class_shares=(14, 5, 1), n_train=n, n_test=3).load(None, 1)
    assert np.bincount(data.train.labels, minlength=3).tolist() == expected


def test_shares_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="class_shares must have a number per class, 3; found 2"):
        Synthetic(n_classes=3, class_shares=(1, 2))


def test_to_validate_draws_no_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    assert load(tmp_path / "base.yaml").data == Synthetic(
        input_shape=(6,), n_classes=3, n_train=120, n_test=30
    )
    monkeypatch.setattr(Synthetic, "_prototypes", None)
    load(tmp_path / "base.yaml", deep=True, inputs=True)
