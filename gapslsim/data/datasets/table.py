"""A table of one's own (CSV or Parquet), or one that scikit-learn holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gapslsim.data._files import OwnPath, digest_of, found_file
from gapslsim.data._own_data import OwnData, labels_of, scaled
from gapslsim.data.dataset import LoadedData, Samples, datasets
from gapslsim.data.target import Target
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component
from gapslsim.unpacking import check_parquet, parquet_frame, unpacked
from gapslsim.work import content_key

__all__ = ["Table"]

_MOST_CATEGORIES = 100


@datasets.register
@component
class Table(OwnData):
    """Rows of a table: numbers as they are, categories (text, true or false) one-hot, one column with the label.

    Categories are those of the training set. Labels may be anything; the classes are their values in order. With
    `target` the label is one column or several of 0 and 1 (`labels`), or of numbers,
    which are not scaled. Columns that are no input but say whose a row is are named under `columns`; the partition
    `by_column` divides by them.
    """

    kind: Literal["table"] = "table"
    file: OwnPath | None = None
    """CSV or Parquet file (.csv, .tsv, .parquet; also .csv.gz), relative to the scenario file."""
    name: Literal["iris", "wine", "breast_cancer", "digits", "diabetes"] | None = None
    """In place of a file: a table that scikit-learn holds; `diabetes` has a number to predict."""
    label: str | tuple[str, ...] | None = None
    """Column with the label, or several (see `target`); needed for a file."""
    target: Target = "class"
    """What a label is: a `class`, several `labels` (0 or 1 each), or `numbers`."""
    test_file: OwnPath | None = None
    """File with the test set; by default `test_fraction` of the rows are kept."""
    drop: tuple[str, ...] = ()
    """Columns that are no input, such as numbers of rows."""
    columns: tuple[str, ...] = ()
    """Columns that are no input but known to the partition, such as `user`."""

    @model_validator(mode="after")
    def _one_source(self) -> Table:
        if (self.file is None) == (self.name is None):
            raise ValueError("give either file or name, for instance 'name: iris' or 'file: rows.csv'")
        if self.file is not None and self.label is None:
            raise ValueError(
                "label is missing; name the column with the class, for instance 'label: species'"
            )
        if self.name is not None and (self.label or self.test_file):
            raise ValueError("name means a table whose label is known; leave label and test_file out")
        if self.name is not None and (self.name == "diabetes") != (self.target == "numbers"):
            fits = "numbers" if self.name == "diabetes" else "class"
            raise ValueError(
                f"target: the label of {self.name!r} is no {self.target!r}; write target: {fits}"
            )
        if isinstance(self.label, tuple) and (self.target == "class" or not self.label):
            raise ValueError(
                f"target: label names {len(self.label)} columns, and a class has one; write target: labels or "
                "target: numbers"
            )
        return self

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        train, digest = self._frame()
        label = self.label if isinstance(self.label, tuple) else (self.label or "target",)
        frames = {"train": train}
        if self.test_file is not None:
            frames["test"] = _read(found_file(self.test_file, "test_file"), "test_file")
        apart = {
            **dict.fromkeys(label, "label"),
            **dict.fromkeys(self.drop, "drop"),
            **dict.fromkeys(self.columns, "columns"),
        }
        for split, frame in frames.items():
            self._check_columns(frame, train, apart, split)
        labels, n_classes = self._labels(frames, label)
        if "test" not in frames:
            rows, held_out = self.hold_out(labels["train"])
            frames = {"train": train.iloc[rows], "test": train.iloc[held_out]}
            labels = {"train": labels["train"][rows], "test": labels["train"][held_out]}
        inputs = [name for name in train.columns if name not in apart]
        if not inputs:
            raise DataError("The table has no column left for inputs; shorten drop or columns.")
        raw = _numbers(frames, inputs)
        readers = scaled(lambda: raw["train"], lambda: raw["test"], self.standardise)
        settings: list[object] = [
            self.label or "target",
            list(self.drop),
            self.standardise,
            self.test_fraction,
            self.test_file is None,
        ]
        settings += [] if self.target == "class" else [self.target]

        def samples(split: str, place: int) -> Samples:
            known = {name: frames[split][name].to_numpy() for name in self.columns}
            return Samples(labels[split], readers[place], known)

        return LoadedData(
            key=content_key("data", ["table", digest, settings]),
            train=samples("train", 0),
            test=samples("test", 1),
            n_classes=n_classes,
            input_shape=(raw["train"].shape[1],),
            target=self.target,
        )

    def _labels(self, frames: dict[str, Any], label: tuple[str, ...]) -> tuple[dict[str, NDArray[Any]], int]:
        """Labels by split, and how many outputs a model needs for them."""
        if self.target == "class":
            return _classes(frames, label[0])
        try:
            given = {split: frame[list(label)].to_numpy(np.float64) for split, frame in frames.items()}
        except (ValueError, TypeError) as error:
            raise DataError(
                f"label {', '.join(label)}: target: {self.target} needs numbers ({error})."
            ) from error
        return labels_of(given, self.target)

    def _frame(self) -> tuple[Any, str]:
        """The table, and a digest of where it comes from."""
        if self.file is not None:
            path = found_file(self.file, "file")
            frame = _read(path, "file")
            files = [path] if self.test_file is None else [path, found_file(self.test_file, "test_file")]
            return frame, digest_of(files)
        import sklearn.datasets

        return getattr(sklearn.datasets, f"load_{self.name}")(
            as_frame=True
        ).frame, f"scikit-learn {self.name}"

    def _check_columns(self, frame: Any, train: Any, apart: dict[str, str], split: str) -> None:
        there = [str(name) for name in frame.columns]
        for name, setting in apart.items():
            if name not in frame.columns:
                raise DataError(
                    # Not which it has: a stranger's scenario may name a file of passwords, and errors are passed on.
                    f"{setting} names column {name!r}, which the {split} table lacks."
                    f"{did_you_mean(name, there)}"
                )
        if not len(frame):
            raise DataError(f"The {split} table has no rows.")
        if set(frame.columns) != set(train.columns):
            other = sorted(set(map(str, train.columns)) ^ set(there))
            raise DataError(
                f"test_file has other columns than file: {', '.join(other[:6])}; make them equal."
            )


def _read(path: Path, setting: str) -> Any:
    import pandas as pd

    ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    try:
        match ending.lower():
            case ".parquet" | ".pq":
                check_parquet(path)
                return parquet_frame(path)
            case ".csv" | ".csv.gz" | ".txt" | ".tsv" | ".tsv.gz":
                with unpacked(path) as file:
                    return pd.read_csv(file, sep="\t" if ending.lower().startswith(".tsv") else ",")
    except Exception as error:  # pandas and pyarrow raise many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{setting} {path} cannot be read as {ending} ({reason}); a line with the columns' names comes first."
        ) from error
    raise DataError(f"{setting} {path} ends in {ending or 'nothing'}; give a .csv, .tsv or .parquet file.")


def _classes(frames: dict[str, Any], label: str) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Place of each row's label among the values that the training table has, in their order; how many these are."""
    columns = {split: frame[label] for split, frame in frames.items()}
    for split, column in columns.items():
        missing = np.flatnonzero(column.isna().to_numpy())
        if len(missing):
            raise DataError(
                f"label is missing in row {missing[0]} of the {split} table; fill it, or leave the row out."
            )
    train = columns["train"]
    are_numbers = all(column.dtype.kind in "fiub" for column in columns.values())
    values = {split: column.to_numpy(None if are_numbers else str) for split, column in columns.items()}
    classes = np.unique(values["train"])
    if len(classes) < 2:
        raise DataError(f"label {label!r} has one value alone, {classes[0]}; a classifier needs 2 or more.")
    if train.dtype.kind == "f" and len(classes) > max(10, len(train) // 2):
        raise DataError(
            f"label {label!r} holds {len(classes)} different numbers in {len(train)} rows, which are no classes; write "
            "target: numbers, or cut them into classes, for instance by pandas.cut."
        )
    for split, found in values.items():
        strange = np.setdiff1d(found, classes)
        if len(strange):
            raise DataError(f"Class {strange[0]} of the {split} table has no training row; leave it out.")
    return {split: np.searchsorted(classes, found) for split, found in values.items()}, len(classes)


def _numbers(frames: dict[str, Any], inputs: list[str]) -> dict[str, NDArray[np.float64]]:
    """Inputs as numbers [n, d] by split; text becomes one column for each value that the training set has."""
    import pandas as pd

    blocks: dict[str, list[NDArray[np.float64]]] = {split: [] for split in frames}
    for name in inputs:
        for split, frame in frames.items():
            bad = np.flatnonzero(frame[name].isna().to_numpy())
            if len(bad):
                row = frame.index[bad[0]]
                raise DataError(
                    f"Column {name!r} has no value in row {row} of the {split} table ({len(bad)} such rows); fill it, "
                    f"leave such rows out, or write drop: [{name}]."
                )
        if pd.api.types.is_numeric_dtype(frames["train"][name]) and frames["train"][name].dtype.kind != "b":
            for split, frame in frames.items():
                try:
                    blocks[split].append(frame[name].to_numpy(np.float64)[:, None])
                except (ValueError, TypeError) as error:
                    raise DataError(
                        f"Column {name!r} holds numbers in the training table and not in the {split} table ({error})."
                    ) from error
            continue
        values = np.unique(frames["train"][name].astype(str))
        if len(values) > min(_MOST_CATEGORIES, max(2, len(frames["train"]) // 2)):
            raise DataError(
                f"Column {name!r} is text with {len(values)} different values in {len(frames['train'])} rows; write "
                f"drop: [{name}], or columns: [{name}] if it says whose a row is."
            )
        for split, frame in frames.items():
            blocks[split].append((frame[name].astype(str).to_numpy()[:, None] == values).astype(np.float64))
    return {split: np.concatenate(parts, axis=1) for split, parts in blocks.items()}
