"""Gaussian clouds around one prototype per class, of any shape and size; drawn from the scenario's seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gapslsim import rng
from gapslsim.bounds import Classes, Drawn, Width
from gapslsim.data.dataset import Dataset, LoadedData, Samples, datasets
from gapslsim.registry import component, settings_of
from gapslsim.work import content_key

__all__ = ["Synthetic"]


@datasets.register
@component
class Synthetic(Dataset):
    """Inputs x = m_k + z with z ~ N(0, I), and one prototype m_k per class k of length separation / sqrt(2).

    The prototypes point in independent random directions. In many dimensions these are nearly orthogonal, so two
    prototypes lie about `separation` apart, and the best classifier mistakes one for the other with probability
    Phi(-separation / 2). Classes are equal in size up to one unless `class_shares` says more, in random order.
    Nothing is read from disk;
    streams are ("data", "synthetic", "prototypes" | "<split> labels" | "<split> noise").
    """

    kind: Literal["synthetic"] = "synthetic"
    drawn: ClassVar[bool] = True
    input_shape: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 8, 8)
    """Shape of one input, for instance [3, 32, 32] or [20]."""
    n_classes: Classes = 10
    """Number of classes."""
    n_train: Drawn = 1000
    """Training samples to draw."""
    n_test: Drawn = 200
    """Test samples to draw."""
    separation: Annotated[float, Field(ge=0, le=1e6)] = 4.0
    """Distance between two prototypes in standard deviations of the noise; 0 cannot be learned, 10 is easy."""

    class_shares: tuple[Annotated[float, Field(gt=0, le=1e12)], ...] | None = None
    """Size of each class relative to the others; every class has a sample where there are enough."""

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.class_shares is not None and len(self.class_shares) != self.n_classes:
            raise ValueError(
                f"class_shares must have a number per class, {self.n_classes}; found {len(self.class_shares)}."
            )
        return self

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; `folder` is of no account."""
        settings = settings_of(self) | {"seed": seed}
        # How the samples are divided, or changed in training, is no part of what they are.
        del settings["kind"], settings["partition"], settings["augmentation"]
        return LoadedData(
            key=content_key("data", ["synthetic", settings]),
            train=self._samples(seed, "train", self.n_train),
            test=self._samples(seed, "test", self.n_test),
            n_classes=self.n_classes,
            input_shape=self.input_shape,
        )

    def _samples(self, seed: int, split: str, n: int) -> Samples:
        """Labels now, inputs when asked for."""
        # Labels, noise and prototypes from streams of their own: a dry run draws labels only, and they are
        # the same.
        order = rng.stream(seed, "data", "synthetic", f"{split} labels").permutation(n)
        labels = self._of_classes(n)[order]

        def read() -> NDArray[np.float32]:
            noise = rng.stream(seed, "data", "synthetic", f"{split} noise")
            inputs = noise.standard_normal((n, math.prod(self.input_shape)), dtype=np.float32)
            inputs += self._prototypes(seed)[labels]
            return inputs.reshape(n, *self.input_shape)

        return Samples(labels, read)

    def _of_classes(self, n: int) -> NDArray[np.int64]:
        """Classes of n samples, before they are put in random order."""
        if self.class_shares is None:
            return (np.arange(n) % self.n_classes).astype(np.int64)
        wanted = np.asarray(self.class_shares) * n / sum(self.class_shares)
        counts = np.maximum(wanted.astype(np.int64), min(1, n // self.n_classes))
        # What rounding down leaves goes where it left most; what the least number costs comes from the largest.
        while (missing := n - int(counts.sum())) > 0:
            counts[np.argmax(wanted - counts)] += 1
        while missing < 0:
            counts[np.argmax(counts)] -= 1
            missing += 1
        return np.repeat(np.arange(self.n_classes), counts).astype(np.int64)

    def _prototypes(self, seed: int) -> NDArray[np.float32]:
        """One prototype per class, float32 [n_classes, d]."""
        random = rng.stream(seed, "data", "synthetic", "prototypes")
        directions = random.standard_normal((self.n_classes, math.prod(self.input_shape)))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return (directions * (self.separation / math.sqrt(2))).astype(np.float32)
