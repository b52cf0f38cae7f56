"""Invariants of data sets: labels are what is said, inputs numbers, and a key stands for what was loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin

import numpy as np

from gapslsim.checks._tools import same
from gapslsim.checks.check import InapplicableError, require
from gapslsim.data.dataset import Dataset, LoadedData
from gapslsim.data.source import public_data_folder
from gapslsim.data.target import sound_rows
from gapslsim.errors import DataError

_MOST_VARIED = 8
_LARGE = 20_000


def _load(dataset: Dataset) -> LoadedData:
    try:
        return dataset.load(public_data_folder(), 1)
    except DataError as error:
        raise InapplicableError(f"its data are not here: {error}") from None


def _arrays(data: LoadedData) -> list[Any]:
    return [array for part in (data.train, data.test) for array in (part.labels, part.inputs)]


def labels_are_what_is_said(dataset: Dataset) -> None:
    """Labels are int64 from 0 to n_classes - 1, or rows as `target` says, of a training and a test set with samples.

    Give int64 [n], at least one, and count classes from 0; there are 2 or more. Rows are [n, n_classes].
    """
    data = _load(dataset)
    n = data.n_classes
    if data.target != "class":
        for name, rows in (("train", data.train.labels), ("test", data.test.labels)):
            given = sound_rows(rows, name, data.target, n)
            require(len(given) > 0, f"the {name} set is empty")
        return
    require(isinstance(n, int) and n >= 2, f"n_classes is {n!r}")
    for name, labels in (("train", data.train.labels), ("test", data.test.labels)):
        holds = labels.dtype == np.int64 and labels.ndim == 1 and len(labels)
        require(holds, f"the labels of {name} are {labels.dtype} of shape {labels.shape}")
        said = f"the labels of {name} go from {labels.min()} to {labels.max()}, and n_classes is {n}"
        require(0 <= labels.min() <= labels.max() < n, said)


def inputs_are_numbers(dataset: Dataset) -> None:
    """Inputs are finite float32, or tokens as int64, of the shape that is said, one per label.

    Shapes are those of `labels` and `input_shape`. For NaN look for a column of one value, divided by its deviation 0.
    """
    data = _load(dataset)
    for name, part in (("train", data.train), ("test", data.test)):
        inputs, wanted = part.inputs, (len(part.labels), *data.input_shape)
        said = f"the inputs of {name} are {inputs.dtype} of shape {inputs.shape}; float32 of shape {wanted}"
        require(inputs.dtype in (np.float32, np.int64) and inputs.shape == wanted, said)
        require(np.isfinite(inputs).all(), f"the inputs of {name} have NaN or infinite values")


def loading_repeats(dataset: Dataset) -> None:
    """Loading it again gives the same key and the same data.

    Make the key from settings and the file's digest, or no journal is ever used; draw from `rng.stream(seed, ...)`.
    """
    one, other = _load(dataset), _load(dataset)
    require(one.key == other.key, "its key is another each time it is loaded")
    require(same(_arrays(one), _arrays(other)), "the same seed gives other data each time")


def keys_stand_for_data(dataset: Dataset) -> None:
    """Other data have another key, be it by seed or by a setting.

    A journal would take one for the other. Make it a part of `content_key(...)`.
    """
    data = _load(dataset)
    if len(data.train) + len(data.test) > _LARGE:
        raise InapplicableError(f"it has more than {_LARGE} samples, which would take long")
    for change, other in _varied(dataset):
        with suppress(DataError, ValueError):
            again = other.load(public_data_folder(), 2 if change == "seed" else 1)
            holds = again.key != data.key or same(_arrays(again), _arrays(data))
            require(holds, f"with another {change} the data are others and the key is the same")


def _varied(dataset: Any) -> Iterator[tuple[str, Dataset]]:
    """Another seed, then the data set with one setting changed at a time, where that can be guessed."""
    yield "seed", dataset
    names = [item.name for item in fields(dataset) if item.name not in ("kind", "partition")]
    for name in names[:_MOST_VARIED]:
        value, annotation = getattr(dataset, name), type(dataset).__pydantic_fields__[name].annotation
        values: list[Any] = []
        if get_origin(annotation) is Literal:
            values = [other for other in get_args(annotation) if other != value]
        elif isinstance(value, (bool, int, float)):
            values = [not value] if isinstance(value, bool) else [value + 1, value * 2, value / 2, value - 1]
        for other in values:
            with suppress(ValueError, TypeError):
                yield name, replace(dataset, **{name: other})
                break
