"""CIFAR's own Python files (`cifar-10-batches-py`, `cifar-100-python`), as torchvision leaves them, read safely."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._images import ImageFiles, Split
from gapslsim.errors import DataError

__all__ = ["find_pickles"]

_SHAPE = (3, 32, 32)


def find_pickles(
    place: Path, folder: str, files: dict[Split, tuple[str, ...]], label: str
) -> CifarPickles | None:
    """Finds the files in `place/folder` (torchvision's root) or in `place` itself; None if none of them is there.

    Raises:
        DataError: if some of the files are missing.
    """
    names = [name for split in files.values() for name in split]
    for found in (place / folder, place):
        missing = [name for name in names if not (found / name).is_file()]
        if not missing:
            return CifarPickles(found, files, label)
        # Some are there: a broken copy, which is not to be passed over in silence for another layout.
        if len(missing) < len(names):
            raise DataError(f"{found} lacks {', '.join(missing)}; unpack the archive again, wholly.")
    return None


class CifarPickles(ImageFiles):
    """CIFAR-10 or CIFAR-100 in its own Python files; see `find_pickles`."""

    layout = "torchvision"

    def __init__(self, folder: Path, files: dict[Split, tuple[str, ...]], label: str) -> None:
        self._folder = folder
        self._files = files
        self.label = label

    def paths(self) -> list[Path]:
        """See `ImageFiles.paths`."""
        return [self._folder / name for split in self._files.values() for name in split]

    def labels(self, split: Split) -> NDArray[np.int64]:
        """See `ImageFiles.labels`; the files hold labels and pixels together, so both are read and one is kept."""
        return np.concatenate([self._read(name)[0] for name in self._files[split]])

    def pixels(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `ImageFiles.pixels`; reads one file at a time."""
        pixels = np.empty((len(rows), *_SHAPE), dtype=np.uint8)
        first = 0
        for name in self._files[split]:
            data = self._read(name)[1]
            # Rows are asked for in balanced order, but lie in files one after the other.
            here = np.flatnonzero((rows >= first) & (rows < first + len(data)))
            pixels[here] = data[rows[here] - first].reshape(-1, *_SHAPE)
            first += len(data)
        return pixels

    def _read(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Labels [n] and pixels [n, 3072] of one file; rows are red, green and blue planes."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = {
                    _as_bytes(key): value for key, value in _Safe(file, encoding="bytes").load().items()
                }
            for field in (self.label.encode(), b"data"):
                if field not in content:
                    raise ValueError(f"it has no field {field.decode()!r}")
            labels = np.asarray(content[self.label.encode()], dtype=np.int64)
            data = content[b"data"]
            if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
                raise ValueError("its data are no uint8 array")
            if data.ndim != 2 or data.shape[1] != 3072 or labels.shape != (len(data),):
                raise ValueError(
                    f"data of shape {data.shape} for {labels.size} labels, expected (n, 3072) for n"
                )
        except Exception as error:  # a damaged pickle can raise nearly anything
            raise DataError(
                f"{path} is cut short or corrupted ({error}); unpack the archive again."
            ) from error
        return labels, data


class _Safe(pickle.Unpickler):
    """Reads arrays, lists and strings; refuses to call anything else, as pickles can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array needs, wherever the NumPy that wrote it kept them."""
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        }:
            # This NumPy's own function of that name, wherever it keeps it.
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file needs")


def _as_bytes(key: str | bytes) -> bytes:
    """Keys are bytes where Python 2 wrote the file, as for the original ones."""
    return key if isinstance(key, bytes) else key.encode()


def _encode(text: str, encoding: str) -> bytes:
    """Bytes written by Python 3 in an old pickle protocol."""
    return text.encode(encoding)
