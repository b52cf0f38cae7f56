"""A division of one's own, from a file of index lists."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._files import OwnPath, found_file
from gapslsim.data.division import sound_shares
from gapslsim.data.partition import Partition, partitions
from gapslsim.documents import json_data
from gapslsim.errors import DataError
from gapslsim.registry import component
from gapslsim.regular_files import MOST_TEXT_BYTES, read_text

__all__ = ["FilePartition"]


@partitions.register
@component
class FilePartition(Partition):
    """Index lists, one per client, from a JSON or .npz file; indices count the training samples from 0 in file order.

    JSON holds a list of lists, or an object from client to list; .npz holds one array per client. Names that end in a
    number (`client-3`, `3`) are in the order of these numbers, others in the order of the file. A data set's
    `n_train` chooses samples before they are counted.
    """

    needs_classes: ClassVar[bool] = False
    kind: Literal["file"] = "file"
    file: OwnPath
    """The file, relative to the scenario file."""
    leftover: Literal["refused", "unused"] = "refused"
    """What becomes of training samples that are in no list."""

    @property
    def covers_all(self) -> bool:
        """See `Partition.covers_all`."""
        return self.leftover == "refused"

    def split(
        self, labels: NDArray[np.int64], n_clients: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """See `Partition.split`."""
        path = found_file(self.file, "file")
        lists = _npz(path) if path.suffix == ".npz" else _json(path)
        if len(lists) != n_clients:
            raise DataError(
                f"file {path} has lists for {len(lists)} clients, the scenario {n_clients} clients; make them equal."
            )
        try:
            arrays = [np.asarray(each) for each in lists]
        except ValueError as error:  # a list within the list
            raise DataError(
                f"file {path}: a client's list must hold whole numbers alone ({error})."
            ) from error
        return sound_shares(arrays, len(labels), n_clients, self.covers_all)


def _json(path: Path) -> Sequence[Any]:
    form = 'write [[0, 5, 7], [1, 2]] or {"client-0": [0, 5, 7], ...}'
    try:
        content = json_data(read_text(path), MOST_TEXT_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"file {path} cannot be read as JSON ({error}); {form}.") from error
    if isinstance(content, dict):
        content = _in_order(content)
    if not isinstance(content, list) or not all(isinstance(each, list) for each in content):
        raise DataError(f"file {path} holds no lists of indices; {form}.")
    return content


def _npz(path: Path) -> Sequence[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return _in_order({name: file[name] for name in file.files})
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, AttributeError) as error:
        fix = "write it by np.savez(file, *lists)"
        raise DataError(f"file {path} cannot be read as .npz ({error}); {fix}.") from error


def _in_order(lists: dict[str, Any]) -> list[Any]:
    """By the numbers that the names end in, where all do."""
    numbers = {name: re.search(r"(\d+)$", name) for name in lists}
    if all(numbers.values()):
        return [lists[name] for name in sorted(lists, key=lambda name: int(numbers[name][1]))]  # type: ignore[index]
    return list(lists.values())
