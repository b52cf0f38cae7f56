"""Image files of the user's own: of any size and colour, decoded, resized and scaled when the inputs are first read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.bounds import Side
from gapslsim.data._open_image import opened_image
from gapslsim.data._own_data import OwnData, Reader, scaled
from gapslsim.data.dataset import LoadedData, Samples
from gapslsim.errors import DataError
from gapslsim.registry import component, settings_of
from gapslsim.work import content_key

__all__ = ["Encoded", "FoundImages", "OwnImages"]

Encoded = Callable[[Sequence[int]], list[Path | bytes | None]]
"""From places in the order of the labels to image files, or what these hold."""


@dataclass(frozen=True, eq=False)
class FoundImages:
    """Labels and undecoded images, by split: `train`, and `test` where there is one.

    Args:
        labels: int64 [n] by split.
        encoded: the images by split.
        name: what to call the n-th image of a split in messages.
        digest: of all that was found.
    """

    labels: dict[str, NDArray[np.int64]]
    encoded: dict[str, Encoded]
    name: Callable[[str, int], str]
    n_classes: int
    digest: str


@component
class OwnImages(OwnData):
    """Settings common to images of the user's own."""

    size: Side | tuple[Side, Side] | None = None
    """Side, or height and width, that images are resized to (bilinear); needed where they differ in size."""
    fit: Literal["stretch", "crop"] = "stretch"
    """How an image of another shape becomes `size`: each side for itself, or cut to the shape around the middle."""
    colour: Literal["auto", "grey", "rgb"] = "auto"
    """Channels of an input: 1 for grey, 3 for rgb; `auto`: what the first image is."""

    @abstractmethod
    def find(self) -> FoundImages:
        """What is there. Raises DataError in words."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        found = self.find()
        height, width, channels = self._shape(found)
        rows = {split: np.arange(len(labels)) for split, labels in found.labels.items()}
        of = {"train": "train", "test": "test"}
        if "test" not in rows:
            rows["train"], rows["test"] = self.hold_out(found.labels["train"])
            of["test"] = "train"

        def reader(split: str) -> Reader:
            return lambda: self._decoded(found, of[split], rows[split], (height, width), channels)

        train, test = scaled(reader("train"), reader("test"), self.standardise)
        settings = settings_of(self)
        for where in ("partition", "augmentation", "root"):  # no part of what the samples are
            settings.pop(where, None)
        return LoadedData(
            key=content_key("data", [settings, found.digest]),
            train=Samples(found.labels["train"][rows["train"]], train),
            test=Samples(found.labels[of["test"]][rows["test"]], test),
            n_classes=found.n_classes,
            input_shape=(channels, height, width),
        )

    def _shape(self, found: FoundImages) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        with _opened(found.encoded["train"]([0])[0], found.name("train", 0)) as first:
            is_grey = first.mode in ("1", "L", "LA", "I", "I;16", "F")
            height, width = first.height, first.width
        channels = {"auto": 1 if is_grey else 3, "grey": 1, "rgb": 3}[self.colour]
        if self.size is not None:
            height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return height, width, channels

    def _decoded(
        self, found: FoundImages, split: str, rows: NDArray[np.int64], size: tuple[int, int], channels: int
    ) -> NDArray[np.float32]:
        """Pixels from 0 to 1, float32 [n, channels, height, width]."""
        from PIL import Image, ImageOps

        pixels = np.empty((len(rows), *size, channels), dtype=np.uint8)
        shape, mode = (size[1], size[0]), "L" if channels == 1 else "RGB"
        encoded = found.encoded[split](rows.tolist())
        for place, (row, given) in enumerate(zip(rows.tolist(), encoded, strict=True)):
            name = found.name(split, row)
            with _opened(given, name) as image:
                try:
                    # Palettes and transparency become colours before anything is averaged.
                    picture = image.convert(mode)
                except (OSError, ValueError, SyntaxError) as error:
                    raise DataError(
                        f"Image {name} is corrupted ({error}); replace it or take it out."
                    ) from error
            if picture.size != shape:
                if self.size is None:
                    raise DataError(
                        f"size is not given, but images differ: {name} is {picture.width} x {picture.height} pixels, "
                        f"the first one {shape[0]} x {shape[1]}; write size: {min(shape)}, or [height, width]."
                    )
                how = Image.Resampling.BILINEAR
                picture = (
                    ImageOps.fit(picture, shape, how) if self.fit == "crop" else picture.resize(shape, how)
                )
            pixels[place] = np.asarray(picture).reshape(*size, channels)
        return pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def _opened(given: Path | bytes | None, name: str) -> Any:
    if given is None:
        raise DataError(f"Image {name} holds nothing; replace it or take it out.")
    try:
        return opened_image(given)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"Image {name} cannot be read ({error}); replace it or take it out.") from error
