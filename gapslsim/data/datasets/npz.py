"""Arrays in an .npz file of one's own, such as MedMNIST's."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gapslsim.data._files import OwnPath, digest_of, found_file
from gapslsim.data._own_data import OwnData, Reader, classes_of, scaled
from gapslsim.data.dataset import LoadedData, Samples, datasets
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component
from gapslsim.work import content_key

__all__ = ["Npz"]

_INPUTS = ("images", "inputs", "x", "X", "data", "features")
_LABELS = ("labels", "label", "y", "Y", "targets", "target")


@datasets.register
@component
class Npz(OwnData):
    """Inputs and labels in an .npz file, with or without a test set.

    Names are found by themselves: `train_images`, `train_labels`, `test_images`, `test_labels` (MedMNIST, whose `val_`
    arrays are not used), `x_train`, `y_train`, ... (Keras), or `x` and `y` (also `inputs`, `images`, `data`; `labels`,
    `targets`), of which `test_fraction` is kept for testing. Bytes (uint8) are pixels, divided by 255; [n, h, w] of
    them are grey images. Labels are whole numbers or names, [n] or [n, 1].
    """

    kind: Literal["npz"] = "npz"
    file: OwnPath
    """The .npz file, relative to the scenario file."""
    inputs: str | None = None
    """Name of the array of inputs without `train`, for instance `x`; found by itself unless given."""
    labels: str | None = None
    """Name of the array of labels without `train`; found by itself unless given."""
    channels: Literal["auto", "first", "last"] = "auto"
    """Where inputs of four dimensions have their channels; `auto`: last where that axis is 1 or 3, the second not."""
    first_label: Literal[0, 1] = 0
    """What the labels count from."""
    n_classes: Annotated[int, Field(ge=2)] | None = None
    """Number of classes; as many as the labels show unless given."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        path = found_file(self.file, "file")
        names = self._names(path)
        given = {split: _array(path, of[1]) for split, of in names.items()}
        of_split, n_classes = classes_of(given, self.n_classes, self.first_label)
        shapes = {split: self._shape(_array(path, of[0])) for split, of in names.items()}
        if len({shape[1:] for shape in shapes.values()}) > 1:
            raise DataError(f"file {path} has inputs of unequal shapes: {shapes}; make them equal.")
        for split, of in names.items():
            n_inputs, n_labels = shapes[split][0], len(of_split[split])
            if n_inputs != n_labels:
                raise DataError(
                    f"file {path} has {n_inputs} inputs in {of[0]!r} and {n_labels} labels in {of[1]!r}; give one "
                    "label per input, in the same order."
                )

        def reader(split: str, rows: NDArray[np.int64] | None = None) -> Reader:
            def read() -> NDArray[Any]:
                whole = self._oriented(_array(path, names[split][0]))
                return whole if rows is None else whole[rows]

            return read

        columns: tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]
        if "test" in names:
            labels, test_labels, columns = of_split["train"], of_split["test"], ({}, {})
            train, test = scaled(reader("train"), reader("test"), self.standardise)
        else:
            rows, held_out = self.hold_out(of_split["train"])
            labels, test_labels = of_split["train"][rows], of_split["train"][held_out]
            columns = {"row": rows}, {"row": held_out}
            train, test = scaled(reader("train", rows), reader("train", held_out), self.standardise)
        settings: list[object] = [names, self.channels, self.first_label, n_classes, self.standardise]
        settings += [] if "test" in names else [self.test_fraction]
        return LoadedData(
            key=content_key("data", ["npz", digest_of([path]), settings]),
            train=Samples(labels, train, columns[0]),
            test=Samples(test_labels, test, columns[1]),
            n_classes=n_classes,
            input_shape=shapes["train"][1:],
        )

    def _names(self, path: Path) -> dict[str, tuple[str, str]]:
        """Names of the arrays of inputs and labels, by split."""
        there = _there(path)
        found: dict[str, tuple[str, str]] = {}
        for split, templates in (
            ("train", ("train_{}", "{}_train", "{}")),
            ("test", ("test_{}", "{}_test")),
        ):
            names = [
                next((t.format(n) for t in templates for n in known if t.format(n) in there), None)
                for known in (
                    (self.inputs,) if self.inputs else _INPUTS,
                    (self.labels,) if self.labels else _LABELS,
                )
            ]
            if names[0] is not None and names[1] is not None:
                found[split] = names[0], names[1]
            elif split == "train" or names != [None, None]:
                which = "inputs" if names[0] is None else "labels"
                asked = getattr(self, which)
                hint = did_you_mean(asked, there) if asked else ""
                raise DataError(
                    f"{which} of the {split} set are not in {path}, which holds {', '.join(sorted(there))}; write "
                    f"{which}: NAME, the array's name without 'train' or 'test'.{hint}"
                )
        return found

    def _shape(self, array: NDArray[Any]) -> tuple[int, ...]:
        if array.ndim < 2:
            raise DataError(
                f"inputs have shape {array.shape}; give [n, features], [n, height, width] of bytes, or "
                "[n, channels, height, width]."
            )
        return len(array), *self._oriented(array[:1]).shape[1:]

    def _oriented(self, array: NDArray[Any]) -> NDArray[Any]:
        """Channels first, and pixels from 0 to 1."""
        if array.dtype == np.uint8 and array.ndim == 3:
            array = array[:, None]
        elif array.ndim == 4 and (
            self.channels == "last"
            or (self.channels == "auto" and array.shape[-1] in (1, 3) and array.shape[1] not in (1, 3))
        ):
            array = array.transpose(0, 3, 1, 2)
        return array / np.float32(255) if array.dtype == np.uint8 and array.ndim == 4 else array


def _there(path: Path) -> list[str]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise ValueError("it holds one array alone")
            return list(file.files)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError, TypeError) as error:
        raise DataError(
            f"file {path} cannot be read as .npz ({error}); write it by np.savez(file, x=..., y=...)."
        ) from error


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            array: NDArray[Any] = file[name]
            return array
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"file {path} holds {name!r} in a way that cannot be read safely ({error}); save plain arrays of numbers, "
            "or of text as np.array([...], dtype=str)."
        ) from error
