from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from gapslsim.data.datasets.digits import Digits


def test_digits_need_no_folder_and_are_normalised() -> None:
    data = Digits().load(None, seed=1)
    assert data.input_shape == (1, 8, 8)
    assert data.n_classes == 10
    inputs = np.concatenate([data.train.inputs, data.test.inputs])
    assert inputs.shape == (1797, 1, 8, 8)
    assert inputs.dtype == np.float32
    assert inputs.mean() == pytest.approx(0, abs=1e-3)
    assert inputs.std() == pytest.approx(1, abs=1e-3)


def test_the_split_of_the_digits_is_by_class_and_the_same_for_every_seed() -> None:
    first, other = Digits().load(None, seed=1), Digits().load(None, seed=2)
    assert first.key == other.key
    np.testing.assert_array_equal(first.test.inputs, other.test.inputs)
    whole = np.bincount(np.concatenate([first.train.labels, first.test.labels]))
    assert np.bincount(first.test.labels).tolist() == [round(0.2 * n) for n in whole]
    assert len(first.train) + len(first.test) == 1797


def test_inputs_belong_to_their_labels() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    label_of = {
        image.astype(np.uint8).tobytes(): label
        for image, label in zip(digits.images, digits.target, strict=True)
    }
    test = Digits(test_fraction=0.5).load(None, seed=1).test
    pixels = np.rint((test.inputs.astype(np.float64) * 0.3760 + 0.3053) * 16)[:, 0]
    assert [label_of[image.astype(np.uint8).tobytes()] for image in pixels] == test.labels.tolist()


def test_another_share_of_test_samples_is_another_key() -> None:
    half = Digits(test_fraction=0.5).load(None, seed=1)
    assert half.key != Digits().load(None, seed=1).key
    assert abs(len(half.test) - len(half.train)) <= 10


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(fraction: float) -> None:
    with pytest.raises(ValidationError, match="test_fraction"):
        Digits(test_fraction=fraction)
