"""LEAF's files: JSON by user, as of FEMNIST, Shakespeare and Synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.bounds import Classes
from gapslsim.data._files import OwnPath, digest_of, found_folder
from gapslsim.data._own_data import OwnData, classes_of, scaled
from gapslsim.data._text import codes, letters_of
from gapslsim.data.dataset import LoadedData, Samples, datasets
from gapslsim.data.partition import Partition, partitions
from gapslsim.documents import json_data
from gapslsim.errors import DataError
from gapslsim.registry import component
from gapslsim.regular_files import read_text
from gapslsim.work import content_key

__all__ = ["Leaf"]

_MOST_BYTES = 1 << 30
"""Of a file; those of FEMNIST have about 70 MB."""


@datasets.register
@component
class Leaf(OwnData):
    """Samples by user in the layout of LEAF (Caldas et al. 2018, arXiv:1812.01097): `train/*.json` and `test/*.json`.

    Each file holds `users` and `user_data: {USER: {x: [...], y: [...]}}`. An x is a list of numbers, or a text, which
    becomes characters as int64 [T]; then y is the next character. Whose a sample is, is known as the column `user`.
    Without `test`, `test_fraction` of each class is kept for testing.
    """

    kind: Literal["leaf"] = "leaf"
    partition: Annotated[Partition, partitions] = Field(default_factory=lambda: partitions["by_column"]())
    """How the training set is divided among the clients; by user unless given."""
    root: OwnPath
    """Folder with `train/` and `test/`, or with the files themselves; relative to the scenario file."""
    input_shape: tuple[PositiveInt, ...] | None = None
    """Shape of one input, for instance [1, 28, 28] where x is a list of 784 numbers; as in the files unless given."""
    n_classes: Classes | None = None
    """Number of classes; as many as the labels show unless given."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        root = found_folder(self.root, "root")
        files = {split: sorted((root / split).glob("*.json")) for split in ("train", "test")}
        if not files["train"]:
            files = {"train": sorted(root.glob("*.json"))}
        if not files["train"]:
            raise DataError(f"root {root} holds no train/*.json and no *.json.")
        found = {split: _samples(paths) for split, paths in files.items() if paths}
        x: dict[str, Any] = {split: part[0] for split, part in found.items()}
        y: dict[str, Any] = {split: part[1] for split, part in found.items()}
        inputs: dict[str, NDArray[Any]] = {}
        n_classes = self.n_classes
        if is_text := isinstance(x["train"][0], str):
            letters = letters_of("".join(x["train"]) + "".join(map(str, y["train"])))
            for split, given in y.items():
                y[split] = codes([str(label) for label in given], letters, f"y of {split}")[:, 0]
                inputs[split] = codes(x[split], letters, f"x of {split}")
            n_classes = n_classes or len(letters)
        else:
            inputs = {split: self._numbers(values, split) for split, values in x.items()}
        if len({array.shape[1:] for array in inputs.values()}) > 1:
            raise DataError(f"root {root}: the x of train and test differ in shape; make them equal.")
        labels, shown = classes_of(y, n_classes)
        users = {split: np.asarray(part[2]) for split, part in found.items()}
        if "test" not in inputs:
            rows = dict(zip(("train", "test"), self.hold_out(labels["train"]), strict=True))
            inputs, labels, users = (
                {split: of["train"][chosen] for split, chosen in rows.items()}
                for of in (inputs, labels, users)
            )
        readers = (lambda: inputs["train"]), (lambda: inputs["test"])
        if not is_text:
            readers = scaled(*readers, self.standardise)
        paths = [path for each in files.values() for path in each]
        settings = [self.input_shape, shown, self.standardise, self.test_fraction]
        return LoadedData(
            key=content_key("data", ["leaf", digest_of(paths), settings]),
            train=Samples(labels["train"], readers[0], {"user": users["train"]}),
            test=Samples(labels["test"], readers[1], {"user": users["test"]}),
            n_classes=shown,
            input_shape=inputs["train"].shape[1:],
            input_dtype="int64" if is_text else "float32",
        )

    def _numbers(self, values: list[Any], split: str) -> NDArray[np.float32]:
        try:
            array = np.asarray(values, dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"root: the x of {split} are not lists of equally many numbers ({error})."
            ) from error
        if self.input_shape is not None:
            try:
                array = array.reshape(len(array), *self.input_shape)
            except ValueError as error:
                raise DataError(
                    f"input_shape {list(self.input_shape)} does not fit an x of shape {array.shape[1:]}; their "
                    "products must be equal."
                ) from error
        return array[:, None] if array.ndim == 1 else array


def _samples(paths: list[Path]) -> tuple[list[Any], list[Any], list[str]]:
    """x, y and user of every sample, users in the order of the files."""
    x: list[Any] = []
    y: list[Any] = []
    users: list[str] = []
    for path in paths:
        form = "LEAF's files hold {users: [...], user_data: {USER: {x: [...], y: [...]}}}"
        try:
            content = json_data(read_text(path, _MOST_BYTES), _MOST_BYTES, finite=False)
            known = [(user, content["user_data"][user]) for user in content["users"]]
            pairs = [(user, list(data["x"]), list(data["y"])) for user, data in known]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"root: {path} cannot be read ({type(error).__name__}: {error}); {form}."
            ) from error
        for user, own_x, own_y in pairs:
            if len(own_x) != len(own_y):
                raise DataError(
                    f"root: user {user!r} of {path} has {len(own_x)} x and {len(own_y)} y; make them equal."
                )
            x.extend(own_x)
            y.extend(own_y)
            users.extend([str(user)] * len(own_x))
    if not x:
        raise DataError(f"root: {paths[0].parent} holds no samples.")
    return x, y, users
