"""CIFAR's own Python files (`cifar-10-batches-py`, `cifar-100-python`), as torchvision leaves them, read safely."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._images import ImageFiles, Split, find_whole
from gapslsim.errors import DataError
from gapslsim.regular_files import read_bytes

__all__ = ["find_pickles"]

_SHAPE = (3, 32, 32)
_MOST_BYTES = 512 << 20
"""Of a file; the largest of CIFAR has 155 MB."""


def find_pickles(place: Path, folder: str, files: dict[Split, list[str]], label: str) -> CifarPickles | None:
    """Finds the files in `place/folder` (torchvision's root) or in `place` itself; None if none of them is there.

    Raises:
        DataError: if some of the files are missing.
    """
    names = [name for split in files.values() for name in split]
    paths = find_whole((place / folder, place), names, "; unpack the archive again, wholly.")
    return None if paths is None else CifarPickles(paths, files, label)


class CifarPickles(ImageFiles):
    """CIFAR-10 or CIFAR-100 in its own Python files; see `find_pickles`."""

    layout = "torchvision"

    def __init__(self, paths: dict[str, Path], files: dict[Split, list[str]], label: str) -> None:
        super().__init__(paths.values(), label)
        self._path_of = paths
        self._files = files

    def labels(self, split: Split) -> NDArray[np.int64]:
        """See `ImageFiles.labels`; the files hold labels and pixels together, so both are read and one is kept."""
        return np.concatenate([self._read(name)[0] for name in self._files[split]])

    def pixels(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `ImageFiles.pixels`."""
        # All files at once: rows are asked for in balanced order, but lie in files one after the other.
        whole = np.concatenate([self._read(name)[1] for name in self._files[split]])
        return whole[rows].reshape(-1, *_SHAPE)

    def _read(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Labels [n] and pixels [n, 3072] of one file; rows are red, green and blue planes."""
        path = self._path_of[name]
        try:
            read = _Safe(io.BytesIO(read_bytes(path, _MOST_BYTES)), encoding="bytes").load()
            # Keys are bytes where Python 2 wrote the file, as for the original ones.
            content = {key if isinstance(key, bytes) else key.encode(): part for key, part in read.items()}
            for field in (self.label.encode(), b"data"):
                if field not in content:
                    raise ValueError(f"it has no field {field.decode()!r}")
            given = content[self.label.encode()]
            # Lists within lists that share their items would become an array of all of them.
            flat = isinstance(given, (list, np.ndarray)) and not any(isinstance(each, list) for each in given)
            if not flat:
                raise ValueError("its labels are no list of numbers")
            labels = np.asarray(given, dtype=np.int64)
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


class _Safe(pickle._Unpickler):
    """Reads arrays, lists and strings; refuses to call anything else, as pickles can run any code.

    The unpickler in Python: that in C makes a table as long as the largest number a file names (2**31 entries, say).
    """

    def find_class(self, module: str, name: str) -> Any:
        """The three names that an array needs, wherever the NumPy that wrote it kept them."""
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if name == "_reconstruct" and module in {"numpy.core.multiarray", "numpy._core.multiarray"}:
            # This NumPy's own function of that name, wherever it keeps it.
            return np.empty(0).__reduce__()[0]
        if (module, name) == ("_codecs", "encode"):
            # Bytes written by Python 3 in an old pickle protocol; the codecs' own function could do more.
            return str.encode
        raise pickle.UnpicklingError("it asks for a class or function that no CIFAR file needs")
