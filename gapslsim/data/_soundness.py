"""What every data set is held to when it is loaded, one of the user's own too: refused in words, or put right.

Put right is what has one meaning only: labels of shape (n, 1), labels and inputs of another width, whole floats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data.dataset import LoadedData, Samples
from gapslsim.data.target import MEANING, Target, sound_rows
from gapslsim.errors import DataError

__all__ = ["sound", "sound_labels"]


def sound(data: LoadedData) -> LoadedData:
    """The data set with labels int64 [n], or rows [n, n_classes], and inputs that are checked when first read.

    Raises:
        DataError: if a label is no class from 0 to n_classes - 1, or not what `target` says, or there are no training
            samples. Reading the inputs raises it where they are not one finite array of `input_shape` per label.
    """
    n, shape = data.n_classes, tuple(data.input_shape)
    if data.target not in MEANING:
        raise DataError(f"target must be one of {', '.join(MEANING)}; found {data.target!r}.")
    least = 2 if data.target == "class" else 1
    if not isinstance(n, (int, np.integer)) or n < least:
        raise DataError(f"n_classes must be a whole number, {least} or more; found {n!r}.")
    if data.input_dtype not in ("float32", "int64"):
        raise DataError(f"input_dtype must be 'float32', or 'int64' for tokens; found {data.input_dtype!r}.")
    if not shape or not all(isinstance(side, (int, np.integer)) and side > 0 for side in shape):
        raise DataError(f"input_shape must be the shape of one input, such as (3, 32, 32); found {shape}.")
    train, test = (
        _sound_samples(part, name, int(n), shape, data.input_dtype, data.target)
        for part, name in ((data.train, "train"), (data.test, "test"))
    )
    if not len(train):
        raise DataError("The training set is empty: there must be at least one sample for each client.")
    return replace(data, train=train, test=test, n_classes=int(n), input_shape=shape)


def _sound_samples(
    samples: Samples, name: str, n_classes: int, shape: tuple[int, ...], dtype: str, target: Target
) -> Samples:
    labels = (
        sound_labels(samples.labels, name, n_classes)
        if target == "class"
        else sound_rows(samples.labels, name, target, n_classes)
    )
    columns = {}
    for key, values in samples.columns.items():
        columns[key] = np.asarray(values)
        if columns[key].shape != labels.shape[:1]:
            raise DataError(
                f"Column {key!r} of the {name} samples has shape {columns[key].shape}; give one value per label, "
                f"of which there are {len(labels)}."
            )

    def read() -> NDArray[Any]:
        return _sound_inputs(samples.inputs, name, len(labels), shape, dtype, columns.get("row"))

    return Samples(labels, read, columns)


def sound_labels(given: Any, name: str, n_classes: int | None = None) -> NDArray[np.int64]:
    """Labels as int64 [n].

    Args:
        given: anything that NumPy makes an array of.
        name: of the split, for messages.
        n_classes: if the range is to be checked.

    Raises:
        DataError: if they are no classes.
    """
    labels = np.asarray(given)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = "; one-hot rows become classes by labels.argmax(axis=1), several labels per sample are target: labels"
        hint = hint if labels.ndim == 2 else ""
        raise DataError(f"The {name} labels have shape {labels.shape}; give one class per sample, [n]{hint}.")
    if labels.dtype.kind == "f":
        odd = np.flatnonzero(labels != np.rint(labels))  # NaN too
        if len(odd):
            raise DataError(
                f"The {name} label of sample {odd[0]} is {labels[odd[0]]}; a class is a whole number from 0."
            )
    elif labels.dtype.kind not in "iub":
        raise DataError(
            f"The {name} labels are of type {labels.dtype}; number the classes from 0, for instance by "
            "np.unique(labels, return_inverse=True)[1]."
        )
    labels = labels.astype(np.int64, copy=False)
    if n_classes is not None and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= n_classes:
            said = f"The {name} labels go from {low} to {high}, expected 0 to {n_classes - 1}"
            if low == 1 and high == n_classes:
                raise DataError(f"{said}: they count from 1; subtract 1.")
            sample = int(np.flatnonzero((labels < 0) | (labels >= n_classes))[0])
            fix = "leave such samples out" if low < 0 else "raise n_classes or leave such samples out"
            raise DataError(f"{said}: sample {sample} has label {labels[sample]}; {fix}.")
    return labels


def _sound_inputs(
    given: Any,
    name: str,
    n: int,
    shape: tuple[int, ...],
    dtype: str = "float32",
    rows: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Inputs as float32, or tokens as int64, [n, *shape]; `rows` are places in the user's file."""
    inputs = np.asarray(given)
    if inputs.dtype.kind not in "fiub":
        raise DataError(
            f"The {name} inputs are of type {inputs.dtype}; give numbers, float32 or tokens as int64."
        )
    if inputs.ndim and len(inputs) != n:
        raise DataError(
            f"There are {len(inputs)} {name} inputs and {n} {name} labels; give one label per input, in the same order."
        )
    if inputs.shape[1:] != shape:
        raise DataError(
            f"The {name} inputs have shape {inputs.shape}, expected {(n, *shape)}, as input_shape says. Reshape them, "
            "or correct input_shape; images are [channels, height, width]."
        )
    if dtype == "int64":
        if inputs.dtype.kind not in "iu":
            raise DataError(
                f"The {name} inputs are of type {inputs.dtype}; tokens (input_dtype) are whole numbers."
            )
        return inputs.astype(np.int64, copy=False)
    # One sum instead of a look at each value: NaN and infinity survive addition.
    with np.errstate(all="ignore"):
        inputs = inputs.astype(np.float32, copy=False)
        if not np.isfinite(inputs.sum()) and not np.isfinite(inputs).all():
            bad = ~np.isfinite(inputs.reshape(n, -1)).all(axis=1)
            first = int(np.flatnonzero(bad)[0])
            place = np.argwhere(~np.isfinite(inputs[first]))[0].tolist()
            which = f"sample {first}" if rows is None else f"sample {rows[first]} of the file"
            raise DataError(
                f"{int(bad.sum())} of {n} {name} inputs are not finite: {which} holds "
                f"{inputs[first][tuple(place)]} at {place}. Leave such samples out, or fill what is missing."
            )
    return inputs
