"""The IDX files of MNIST and its kin (`train-images-idx3-ubyte.gz`), as torchvision leaves them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._images import ImageFiles, Split, find_whole
from gapslsim.errors import DataError
from gapslsim.unpacking import unpacked

__all__ = ["find_idx"]

_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}
_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_SHAPE = (28, 28)


def find_idx(place: Path, folder: str) -> IdxImages | None:
    """Finds the four files, packed or not, in `place/folder/raw` (torchvision's root), `place/raw` or `place`.

    Returns:
        None if none of them is there.

    Raises:
        DataError: if some of the four are missing.
    """
    names = [f"{prefix}-{end}" for prefix in _PREFIX.values() for end in (_IMAGES, _LABELS)]
    folders = (place / folder / "raw", place / "raw", place)
    paths = find_whole(folders, names, " (or the same with .gz); fetch the files again.", ("", ".gz"))
    return None if paths is None else IdxImages(paths)


class IdxImages(ImageFiles):
    """Greyscale images of 28 x 28 in IDX files; see `find_idx`."""

    layout = "torchvision"

    def __init__(self, paths: dict[str, Path]) -> None:
        super().__init__(paths.values())
        self._path_of = paths

    def labels(self, split: Split) -> NDArray[np.int64]:
        """See `ImageFiles.labels`; reads the file of labels only."""
        return _read(self._path_of[f"{_PREFIX[split]}-{_LABELS}"], ()).astype(np.int64)

    def pixels(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `ImageFiles.pixels`."""
        path = self._path_of[f"{_PREFIX[split]}-{_IMAGES}"]
        images = _read(path, _SHAPE)
        # The files of labels and of images may come from two downloads.
        if len(rows) and rows.max() >= len(images):
            raise DataError(
                f"{path} holds {len(images)} images, fewer than there are labels; fetch the files again."
            )
        return images[rows][:, None]


def _read(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, uint8 [n, *item].

    The format, all big endian: two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension as
    32-bit integer, then the values.
    """
    try:
        with unpacked(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is cut short or corrupted ({error}); fetch it again.") from error
    n_dimensions = 1 + len(item)
    header = 4 + 4 * n_dimensions
    # Padded, so that a file cut off in its header fails the checks below and not here.
    shape = tuple(np.frombuffer(content[4:header].ljust(header - 4, b"\0"), dtype=">u4").tolist())
    if content[:4] != bytes((0, 0, 8, n_dimensions)) or shape[1:] != item:
        raise DataError(f"{path} is no IDX file of {'x'.join(map(str, ('n', *item)))} bytes; fetch it again.")
    if len(content) - header != np.prod(shape):
        raise DataError(
            f"{path} holds {len(content) - header} values, its header says {np.prod(shape)}; "
            "it is cut short, fetch it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
