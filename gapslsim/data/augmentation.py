"""Random changes of training images: which ones is a function of (seed, client, step), as batches are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gapslsim import rng
from gapslsim.errors import DataError
from gapslsim.registry import component

__all__ = ["Augmentation", "Places"]


@dataclass(frozen=True, eq=False)
class Places:
    """Where the pixels of a batch come from, in images that have a border of `crop` pixels on each side.

    Args:
        rows: int64 [b, height].
        columns: int64 [b, width].
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@component
class Augmentation:
    """Standard augmentation of training images, drawn anew for each mini-batch; it takes no simulated time.

    The draws of a client's mini-batch come from the stream ("augmentation", client, step), so they do not depend on
    what else is computed, in which order or by how many workers. Test images stay as they are.
    """

    crop: Annotated[int, Field(ge=0)] = 0
    """Pixels of border around an image, from which a part of its own size is cut at random; 4 is usual at 32 x 32. The
    border is 0 after scaling, which is the mean colour where inputs are standardised."""
    flip: bool = False
    """Whether each image is mirrored, left to right, with probability 1/2."""

    @model_validator(mode="after")
    def _does_something(self) -> Augmentation:
        if not self.crop and not self.flip:
            raise ValueError("nothing is to be done; write crop: 4 or flip: true, or leave augmentation out")
        return self

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises DataError unless inputs are images that are larger than the border."""
        if len(input_shape) != 3:
            raise DataError(
                f"augmentation is for images [channels, height, width]; inputs have shape {list(input_shape)}. "
                "Leave it out."
            )
        if self.crop >= min(input_shape[1:]):
            raise DataError(
                f"augmentation.crop = {self.crop} must be below the side of the images, {min(input_shape[1:])}."
            )

    def draw(self, seed: int, client: int, step: int, n: int, height: int, width: int) -> Places:
        """What is done to a mini-batch of `n` images.

        Args:
            seed: of the scenario.
            client: whose mini-batch.
            step: its number, from 0.
            n: samples, b.
            height: of an image.
            width: of an image.
        """
        random = rng.stream(seed, "augmentation", client, step)
        down, right = random.integers(0, 2 * self.crop + 1, (2, n, 1))
        columns = np.tile(np.arange(width), (n, 1))
        if self.flip:
            columns = np.where(random.random((n, 1)) < 0.5, columns[:, ::-1], columns)
        return Places(np.arange(height) + down, columns + right)
