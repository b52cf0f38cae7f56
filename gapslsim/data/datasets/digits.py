"""Handwritten digits of 8 x 8, embedded in scikit-learn: needs no files and no network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gapslsim import rng
from gapslsim.data.dataset import Dataset, LoadedData, Samples, datasets
from gapslsim.data.stratify import stratified_split
from gapslsim.registry import component
from gapslsim.work import content_key

__all__ = ["Digits", "read_digits"]

_MEAN, _STD = 0.3053, 0.3760
_SPLIT_SEED = 0


def read_digits() -> NDArray[np.float64]:
    """64 pixels and the label of each digit, from scikit-learn's file: importing that takes a second."""
    found = importlib.util.find_spec("sklearn")
    file = (
        Path(found.origin if found is not None and found.origin else "").parent
        / "datasets/data/digits.csv.gz"
    )
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    data, labels = load_digits(return_X_y=True)
    return np.column_stack([data, labels])


@datasets.register
@component
class Digits(Dataset):
    """The 1,797 digits of the UCI test set of 1998 that scikit-learn holds: inputs [1, 8, 8], 10 classes.

    Pixels (0 to 16) are divided by 16 and normalised by mean 0.3053 and standard deviation 0.3760 over all samples. The
    test set is drawn by class from a fixed seed of its own, so it is the same for every scenario.
    """

    kind: Literal["digits"] = "digits"
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each class that is kept for testing."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; `folder` and `seed` are of no account."""
        rows = read_digits()
        images = rows[:, :-1].reshape(-1, 8, 8)
        labels = rows[:, -1].astype(np.int64)
        split_stream = rng.stream(_SPLIT_SEED, "data", "digits", "split")
        train, test = stratified_split(labels, self.test_fraction, split_stream)

        def samples(rows: NDArray[np.int64]) -> Samples:
            def read() -> NDArray[np.float32]:
                pixels: NDArray[np.float32] = images[rows, None].astype(np.float32)
                return (pixels / np.float32(16) - np.float32(_MEAN)) / np.float32(_STD)

            return Samples(labels[rows], read)

        settings = {"test_fraction": self.test_fraction, "layout": "scikit-learn", "rows": len(labels)}
        return LoadedData(
            key=content_key("data", ["digits", settings]),
            train=samples(train),
            test=samples(test),
            n_classes=10,
            input_shape=(1, 8, 8),
        )
