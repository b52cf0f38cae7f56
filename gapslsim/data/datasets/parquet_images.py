"""Images of one's own in Hugging Face's parquet layout, of any size and colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gapslsim.bounds import Classes
from gapslsim.data._files import OwnPath, digest_of, found_folder
from gapslsim.data._own_data import classes_of
from gapslsim.data._own_images import Encoded, FoundImages, OwnImages
from gapslsim.data._parquet_images import reading
from gapslsim.data.dataset import datasets
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component

__all__ = ["ParquetImages"]


@datasets.register
@component
class ParquetImages(OwnImages):
    """Files `train-*.parquet` and `test-*.parquet` with a column of encoded images and a column of labels.

    They may lie in `root`, its `data/` or its `plain_text/`; without files for testing `test_fraction` of each class is
    kept. The images are structs with a field `bytes`, as Hugging Face's `datasets` writes them, or bytes.
    """

    kind: Literal["parquet_images"] = "parquet_images"
    root: OwnPath
    """Folder of the files, relative to the scenario file."""
    image: str | None = None
    """Column of images; `image` or `img` unless given."""
    label: str = "label"
    """Column of labels: whole numbers from 0, or names."""
    n_classes: Classes | None = None
    """Number of classes; as many as the labels show unless given."""

    def find(self) -> FoundImages:
        """See `OwnImages.find`."""
        root = found_folder(self.root, "root")
        files: dict[str, list[Path]] = {}
        for folder in (root, root / "data", root / "plain_text"):
            files = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in ("train", "test")}
            if files["train"]:
                break
        if not files["train"]:
            raise DataError(f"root {root} holds no train-*.parquet, nor do its folders data and plain_text.")
        files = {split: paths for split, paths in files.items() if paths}
        with reading(files["train"][0]) as parquet:
            names = list(parquet.schema_arrow.names)
        image = self.image or next((name for name in ("image", "img") if name in names), "image")
        for setting, name in (("image", image), ("label", self.label)):
            if name not in names:
                raise DataError(
                    f"{setting} {name!r} is no column of {files['train'][0]}, which has {', '.join(names)}."
                    f"{did_you_mean(name, names)}"
                )
        given = {split: _column(paths, self.label) for split, paths in files.items()}
        labels, n_classes = classes_of(given, self.n_classes)

        def of(split: str) -> Encoded:
            def encoded(places: Sequence[int]) -> list[Path | bytes | None]:
                images = _column(files[split], image, may_lack=True)
                return [_bytes(images[place]) for place in places]

            return encoded

        return FoundImages(
            labels,
            {split: of(split) for split in files},
            lambda split, place: f"in row {place} of the {split} files of {root}",
            n_classes,
            digest_of([path for paths in files.values() for path in paths]),
        )


def _column(paths: Sequence[Path], name: str, may_lack: bool = False) -> NDArray[Any]:
    parts: list[Any] = []
    for path in paths:
        with reading(path) as parquet:
            column = parquet.read(columns=[name]).column(name)
            if name != "image" and column.null_count and "bytes" not in str(column.type):
                raise DataError(
                    f"{path} has {column.null_count} rows without {name!r}; fill or leave them out."
                )
            parts += column.to_pylist()
    array = np.empty(len(parts), dtype=object)
    array[:] = parts
    return array if parts and isinstance(parts[0], (dict, bytes)) else np.asarray(parts)


def _bytes(given: Any) -> bytes | None:
    found = given.get("bytes") if isinstance(given, dict) else given
    return found if isinstance(found, bytes) else None
