"""Arrays in an .npz file of one's own, such as MedMNIST's."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gapslsim.bounds import Classes
from gapslsim.data._files import OwnPath, digest_of, found_file
from gapslsim.data._own_data import OwnData, Reader, labels_of, scaled
from gapslsim.data.dataset import LoadedData, Samples, datasets
from gapslsim.data.target import Target
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component
from gapslsim.unpacking import check_zip
from gapslsim.work import content_key

__all__ = ["Npz"]

_INPUTS = ("images", "inputs", "x", "X", "data", "features")
_LABELS = ("labels", "label", "y", "Y", "targets", "target")
_TEMPLATES = {
    "train": ("train_{}", "{}_train", "{}"),
    "val": ("val_{}", "{}_val"),
    "test": ("test_{}", "{}_test"),
}
"""Names of arrays by split."""


@datasets.register
@component
class Npz(OwnData):
    """Inputs and labels in an .npz file, with or without a test set.

    Names are found by themselves: `train_images`, `train_labels`, `test_images`, `test_labels` (MedMNIST; `val` says
    what becomes of its `val_` arrays), `x_train`, `y_train`, ... (Keras), or `x` and `y` (also `inputs`, `images`,
    `data`; `labels`, `targets`), of which `test_fraction` is kept for testing. Bytes (uint8) are pixels, divided by
    255; [n, h, w] of them are grey images. Labels are whole numbers or names, [n] or [n, 1]; with `target` several per
    sample, [n, k] of 0 and 1 (ChestMNIST), or numbers, [n] or [n, k], which are not scaled.
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
    val: Literal["ignore", "train", "test"] = "ignore"
    """What becomes of validation arrays (`val_images`, `val_labels`): they are not used, they are trained on behind
    those of `train`, or models are tested on them in place of those of `test`."""
    target: Target = "class"
    """What a label is: a `class`, several `labels` (0 or 1 each), or `numbers`."""
    first_label: Literal[0, 1] = 0
    """What the labels count from."""
    n_classes: Classes | None = None
    """Number of classes; as many as the labels show unless given."""
    columns: tuple[str, ...] = ()
    """Further arrays [n] of the training set that the partition may divide by, such as `user`."""

    @model_validator(mode="after")
    def _classes_are_counted(self) -> Npz:
        if self.target != "class" and (self.n_classes is not None or self.first_label):
            raise ValueError(
                f"target: {self.target} are not counted as classes; leave n_classes and first_label out"
            )
        return self

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        path = found_file(self.file, "file")
        there = _there(path)
        parts = self._parts(path, there)
        given = {split: _joined(path, [of[1] for of in pairs]) for split, pairs in parts.items()}
        labels, n_classes = labels_of(given, self.target, self.n_classes, self.first_label)
        every = [of for pairs in parts.values() for of in pairs]
        shapes = {of[0]: self._shape(_array(path, of[0])) for of in every}
        if len({shape[1:] for shape in shapes.values()}) > 1:
            raise DataError(f"file {path} has inputs of unequal shapes: {shapes}; make them equal.")
        for inputs, of_labels in every:
            n_inputs, n_labels = shapes[inputs][0], len(_array(path, of_labels))
            if n_inputs != n_labels:
                raise DataError(
                    f"file {path} has {n_inputs} inputs in {inputs!r} and {n_labels} labels in {of_labels!r}; give one "
                    "label per input, in the same order."
                )

        def reader(split: str, rows: NDArray[np.int64] | None = None) -> Reader:
            def read() -> NDArray[Any]:
                arrays = [self._oriented(_array(path, of[0])) for of in parts[split]]
                whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
                return whole if rows is None else whole[rows]

            return read

        columns = {name: self._column(path, there, name, len(labels["train"])) for name in self.columns}
        if "test" in parts:
            of_train, of_test = labels["train"], labels["test"]
            train, test = scaled(reader("train"), reader("test"), self.standardise)
        else:
            rows, held_out = self.hold_out(labels["train"])
            of_train, of_test = labels["train"][rows], labels["train"][held_out]
            columns = {"row": rows} | {name: values[rows] for name, values in columns.items()}
            train, test = scaled(reader("train", rows), reader("train", held_out), self.standardise)
        settings: list[object] = [parts, self.channels, self.first_label, n_classes, self.standardise]
        settings += [] if "test" in parts else [self.test_fraction]
        settings += [] if self.target == "class" else [self.target]
        return LoadedData(
            key=content_key("data", ["npz", digest_of([path]), settings]),
            train=Samples(of_train, train, columns),
            test=Samples(of_test, test, {} if "test" in parts else {"row": held_out}),
            n_classes=n_classes,
            input_shape=next(iter(shapes.values()))[1:],
            target=self.target,
        )

    def _parts(self, path: Path, there: list[str]) -> dict[str, list[tuple[str, str]]]:
        """Names of the arrays of inputs and labels that make up each split."""
        found = {split: self._pair(path, there, split) for split in _TEMPLATES}
        if self.val != "ignore" and found["val"] is None:
            raise DataError(
                f"val: {self.val} means arrays such as 'val_images', which are not in {path}; write val: ignore."
            )
        parts = {
            "train": [found["train"], *([found["val"]] if self.val == "train" else [])],
            "test": [found["val"] if self.val == "test" else found["test"]],
        }
        return {split: pairs for split, of in parts.items() if (pairs := [pair for pair in of if pair])}

    def _pair(self, path: Path, there: list[str], split: str) -> tuple[str, str] | None:
        """Names of the arrays of inputs and labels of a split; None if it has neither."""
        inputs, labels = (
            next((t.format(n) for t in _TEMPLATES[split] for n in known if t.format(n) in there), None)
            for known in (
                (self.inputs,) if self.inputs else _INPUTS,
                (self.labels,) if self.labels else _LABELS,
            )
        )
        if inputs is not None and labels is not None:
            return inputs, labels
        is_needed = split == "train" or split == "test" or self.val != "ignore"
        if is_needed and (split == "train" or inputs != labels):
            which = "inputs" if inputs is None else "labels"
            asked = getattr(self, which)
            hint = did_you_mean(asked, there) if asked else ""
            raise DataError(
                f"{which} of the {split} set are not in {path}, which holds {', '.join(sorted(there))}; write "
                f"{which}: NAME, the array's name without 'train' or 'test'.{hint}"
            )
        return None

    def _column(self, path: Path, there: list[str], name: str, n: int) -> NDArray[Any]:
        """An array that says of every training sample whose it is."""
        found = []
        for split in ("train", "val") if self.val == "train" else ("train",):
            found += [t.format(name) for t in _TEMPLATES[split] if t.format(name) in there][:1]
        if not found:
            raise DataError(
                f"columns names {name!r}, which is not in {path}; it holds {', '.join(sorted(there))}."
                f"{did_you_mean(name, there)}"
            )
        values = _joined(path, found)
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if values.shape != (n,):
            raise DataError(
                f"columns: {' and '.join(map(repr, found))} has shape {values.shape}, and there are {n} training "
                "samples."
            )
        return values

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
        check_zip(path)
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
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, MemoryError) as error:
        raise DataError(
            f"file {path} holds {name!r} in a way that cannot be read safely ({error}); save plain arrays of numbers, "
            "or of text as np.array([...], dtype=str)."
        ) from error


def _joined(path: Path, names: list[str]) -> NDArray[Any]:
    """Arrays one behind the other."""
    arrays = [_array(path, name) for name in names]
    if len({array.shape[1:] for array in arrays}) > 1:
        shapes = {name: array.shape for name, array in zip(names, arrays, strict=True)}
        raise DataError(f"file {path} has arrays of unequal shapes: {shapes}; make them equal.")
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
