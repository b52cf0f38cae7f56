"""What data sets of the user's own files share: labels, a test set, and scaling by the training set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gapslsim import rng
from gapslsim.data._soundness import sound_labels
from gapslsim.data.dataset import Dataset
from gapslsim.data.stratify import stratified_split
from gapslsim.data.target import Target, sound_rows
from gapslsim.errors import DataError
from gapslsim.registry import component

__all__ = ["OwnData", "Reader", "classes_of", "labels_of", "scaled"]

Reader = Callable[[], NDArray[Any]]
_SPLIT_SEED = 0


@component
class OwnData(Dataset):
    """Settings common to data sets of the user's own files."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each class (of all samples where there are no classes) that is kept for testing, where the files have no
    test set; the same for every seed."""
    standardise: bool = True
    """Whether inputs get mean 0 and standard deviation 1, per column or channel, both from the training set alone."""

    def hold_out(self, labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows for training and rows for testing, sorted.

        Raises:
            DataError: if a test set cannot be had.
        """
        kind = str(getattr(self, "kind", ""))
        train, test = stratified_split(
            labels if labels.ndim == 1 else np.zeros(len(labels), np.int64),
            self.test_fraction,
            rng.stream(_SPLIT_SEED, "data", kind, "split"),
        )
        if not len(test):
            raise DataError(
                f"test_fraction = {self.test_fraction:g} of {len(labels)} samples keeps none for testing, since each "
                "class has one sample; give a test set, or more data."
            )
        return train, test


def labels_of(
    given: dict[str, Any], target: Target, n_classes: int | None = None, first_label: int = 0
) -> tuple[dict[str, NDArray[Any]], int]:
    """Labels of each split as data sets have them, and how many outputs a model needs for them; see `classes_of`."""
    if target == "class":
        return classes_of(given, n_classes, first_label)
    rows = {split: sound_rows(labels, split, target) for split, labels in given.items()}
    return rows, rows["train"].shape[1]


def classes_of(
    given: dict[str, Any], n_classes: int | None = None, first_label: int = 0
) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Labels of each split as classes from 0, and how many classes there are.

    Whole numbers stay what they are, less `first_label`; names are numbered in their order.

    Args:
        given: labels by split, the training set first.
        n_classes: if the user says so; else what the labels show.
        first_label: 0 or 1.

    Raises:
        DataError: if they are no classes, or a class has no training sample and nobody said that there is one.
    """
    arrays = {split: np.asarray(labels) for split, labels in given.items()}
    for split, labels in arrays.items():
        if not labels.size:
            raise DataError(f"There are no {split} labels; leave the {split} set out, or fill it.")
    if any(labels.dtype.kind in "USO" for labels in arrays.values()):
        flat = {split: labels.reshape(len(labels), -1) for split, labels in arrays.items()}
        if any(labels.shape[1] != 1 for labels in flat.values()):
            raise DataError("The labels have more than one column; give one class per sample.")
        text = {split: labels[:, 0].astype(str) for split, labels in flat.items()}
        names = np.unique(text["train"])
        for split, labels in text.items():
            strange = sorted(set(labels) - set(names))
            if strange:
                raise DataError(
                    f"Class {strange[0]!r} of the {split} set has no training sample; leave it out."
                )
        found = {split: np.searchsorted(names, labels).astype(np.int64) for split, labels in text.items()}
        return found, _enough(len(names))
    found = {split: sound_labels(labels, split) - first_label for split, labels in arrays.items()}
    for split, labels in found.items():
        if labels.min() < 0:
            sample = int(np.argmax(labels < 0))
            counts = "count from 0" if first_label == 0 else "count from 1, as first_label says"
            raise DataError(
                f"Sample {sample} of the {split} set has label {labels[sample] + first_label}; labels {counts}. Leave "
                "such samples out, or number the classes again."
            )
    seen = np.unique(found["train"])
    if n_classes is None:
        n_classes = 1 + max(int(labels.max()) for labels in found.values())
        missing = np.setdiff1d(np.arange(n_classes), seen)
        if missing.tolist() == [0] and first_label == 0:
            raise DataError(
                f"first_label is 0, but the labels go from 1 to {n_classes - 1}; if they count from 1, write "
                f"first_label: 1; if class 0 just has no sample, write n_classes: {n_classes}."
            )
        if len(missing):
            raise DataError(
                f"{len(missing)} of the {n_classes} classes that the labels tell have no training sample, class "
                f"{missing[0] + first_label} first; number the classes without gaps, or write n_classes: {n_classes}."
            )
    for split, labels in found.items():
        sound_labels(labels, split, n_classes)
    return found, _enough(n_classes)


def _enough(n_classes: int) -> int:
    if n_classes < 2:
        raise DataError("The labels show one class alone; a classifier needs 2 or more.")
    return n_classes


def scaled(train: Reader, test: Reader, standardise: bool) -> tuple[Reader, Reader]:
    """Readers of inputs as float32, scaled by what the training set tells, per entry of the first axis of an input.

    A column that never changes in training is only moved to 0.
    """
    fitted: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def fit(raw: NDArray[Any]) -> None:
        axes = (0, *range(2, raw.ndim))
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            # Refused with its sample by the check of all data sets; here it must not spread to the others.
            raw = np.where(np.isfinite(raw), raw, 0)
        mean = np.asarray(raw.mean(axis=axes, keepdims=True, dtype=np.float64))[0]
        std = np.asarray(raw.std(axis=axes, keepdims=True, dtype=np.float64))[0]
        fitted.append((mean.astype(np.float32), np.where(std > 0, std, 1).astype(np.float32)))

    def read(reader: Reader) -> NDArray[Any]:
        raw = reader()
        if raw.dtype.kind not in "fiub":
            return raw  # refused with its type by the check of all data sets
        if not standardise:
            return raw.astype(np.float32)
        if not fitted:
            fit(raw if reader is train else train())
        mean, std = fitted[0]
        if raw.shape[1:2] != mean.shape[:1]:
            return raw.astype(np.float32)  # refused with its shape by that check too
        with np.errstate(all="ignore"):  # of infinities, which are refused later
            result: NDArray[np.float32] = (raw.astype(np.float32) - mean) / std
        return result

    return lambda: read(train), lambda: read(test)
