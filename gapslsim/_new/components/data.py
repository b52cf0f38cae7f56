"""A data set of your own: anything that becomes two arrays, inputs and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from gapslsim import (
    FAMILIES,
    Dataset,
    LoadedData,
    Samples,
    component,
    content_key,
    stratified_split,
    stream,
)


@FAMILIES["data"].register
@component
class MyData(Dataset):
    """Points around one centre for each class; put the reading of your own files in its place."""

    kind: Literal["my_data"] = "my_data"
    n_samples: PositiveInt = 600
    """Samples in all, a fifth of which are kept for testing."""
    n_classes: PositiveInt = 4
    """Classes."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """The same data for every seed of a scenario, so that runs can be compared."""
        random = stream(0, "data", "my_data")
        labels = np.arange(self.n_samples) % self.n_classes
        centres = random.normal(0, 2, (self.n_classes, 16))
        inputs = (centres[labels] + random.normal(0, 1, (self.n_samples, 16))).astype(np.float32)
        train, test = stratified_split(labels, 0.2, stream(0, "data", "my_data", "split"))

        def samples(rows: NDArray[np.int64]) -> Samples:
            return Samples(labels[rows], lambda: inputs[rows])

        return LoadedData(
            key=content_key("data", ["my_data", self.n_samples, self.n_classes]),  # changes with the data
            train=samples(train),
            test=samples(test),
            n_classes=self.n_classes,
            input_shape=inputs.shape[1:],
        )
