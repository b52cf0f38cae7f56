"""What image files give, and how pixels become inputs: area averaging and normalisation by channel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._files import digest_of
from gapslsim.errors import DataError
from gapslsim.regular_files import real_path

__all__ = ["ImageFiles", "ImageKind", "Split", "find_whole", "normalise"]

Split = Literal["train", "test"]
_CHUNK = 4096


@dataclass(frozen=True)
class ImageKind:
    """What a data set of images holds, whatever the layout of its files.

    Args:
        name: its kind, for instance `cifar10`; also the folder it is looked for in.
        shape: channels, height and width of the files' images.
        mean: mean of each channel over the training set, pixels in [0, 1].
        std: standard deviation of each channel over all pixels of the training set, pixels in [0, 1].
        how_to_get: where it is published.
        n_samples: images of the training and of the test set, as published; every class has equally many.
    """

    name: str
    shape: tuple[int, int, int]
    n_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    how_to_get: str
    n_samples: tuple[int, int] = (0, 0)


class ImageFiles(ABC):
    """The files of one data set in one layout, found but not yet decoded."""

    layout: str
    """Name of the layout, for instance `parquet`."""

    def __init__(self, paths: Iterable[Path], label: str = "") -> None:
        self.paths = list(paths)
        """Every file, in a fixed order."""
        self.label = label
        """Which labels are read, where the files hold several kinds."""

    def fingerprint(self) -> list[list[str]]:
        """Name and digest of each file, wherever they lie; which labels, where there are several."""
        files = [[path.name, digest_of([path])] for path in self.paths]
        return [["label", self.label], *files] if self.label else files

    def state(self) -> tuple[object, ...]:
        """Where the files lie and when each was last written: says within a process whether they are the same."""
        found = [(real_path(path), path.stat()) for path in self.paths]
        return type(self), self.label, *((path, file.st_size, file.st_mtime_ns) for path, file in found)

    @abstractmethod
    def labels(self, split: Split) -> NDArray[np.int64]:
        """Labels in file order, int64 [n]; decodes no image.

        Raises:
            DataError: if a file is missing or corrupted.
        """

    @abstractmethod
    def pixels(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels of the given rows (positions in file order), in their order, uint8 [n, channels, height, width].

        Raises:
            DataError: if a file is missing or corrupted.
        """


def find_whole(
    folders: Iterable[Path], names: Sequence[str], advice: str, endings: Sequence[str] = ("",)
) -> dict[str, Path] | None:
    """Files by name, from the first folder that holds any of them; None if none does.

    Args:
        folders: to look in, in this order.
        names: of all files.
        advice: what to do where some are missing, ending the message.
        endings: that a name may have, the preferred one first.

    Raises:
        DataError: if some of the files are missing.
    """
    for folder in folders:
        candidates = {name: [folder / f"{name}{ending}" for ending in endings] for name in names}
        found = {name: next(filter(Path.is_file, paths), None) for name, paths in candidates.items()}
        whole = {name: path for name, path in found.items() if path is not None}
        if len(whole) == len(names):
            return whole
        # Some are there: a broken copy, which is not to be passed over in silence for another layout.
        if whole:
            missing = ", ".join(name for name in names if name not in whole)
            raise DataError(f"{folder} lacks {missing}{advice}")
    return None


def normalise(pixels: NDArray[np.uint8], size: int, kind: ImageKind) -> NDArray[np.float32]:
    """Inputs of a model from pixels: mean over squares, then (x / 255 - mean) / std by channel.

    The means over squares are taken over whole numbers, so they are exact and the same on every machine.

    Args:
        pixels: uint8 [n, channels, side, side].
        size: side of the result; divides `side`.
        kind: gives the constants.
    """
    n, channels, side, _ = pixels.shape
    step = side // size
    mean = np.asarray(kind.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(kind.std, dtype=np.float32)[:, None, None]
    inputs = np.empty((n, channels, size, size), dtype=np.float32)
    # In chunks: sums of a whole data set at once would take several times its memory.
    for start in range(0, n, _CHUNK):
        chunk = pixels[start : start + _CHUNK]
        # int32 holds 255 times the pixels of any square.
        total = np.zeros((len(chunk), channels, size, size), dtype=np.int32)
        for row in range(step):
            for column in range(step):
                total += chunk[:, :, row::step, column::step]
        inputs[start : start + _CHUNK] = (total / np.float32(255 * step * step) - mean) / std
    return inputs
