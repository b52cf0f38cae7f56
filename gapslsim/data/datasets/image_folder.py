"""A folder of one's own with one folder of image files per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from gapslsim.data._files import OwnPath, digest_of, found_folder
from gapslsim.data._own_images import Encoded, FoundImages, OwnImages
from gapslsim.data.dataset import datasets
from gapslsim.errors import DataError, did_you_mean
from gapslsim.registry import component

__all__ = ["ImageFolder"]

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@datasets.register
@component
class ImageFolder(OwnImages):
    """Images in folders named as their class: `root/train/CLASS/*.png` with `root/test/...`, or `root/CLASS/*.png`.

    The layout of torchvision's `ImageFolder`: classes are numbered in the order of their names, images come in the
    order of their paths. Without a folder `test`, `test_fraction` of each class is kept for testing.
    """

    kind: Literal["image_folder"] = "image_folder"
    root: OwnPath
    """The folder, relative to the scenario file."""

    def find(self) -> FoundImages:
        """See `OwnImages.find`."""
        root = found_folder(self.root, "root")
        parts = {split: root / split for split in ("train", "test") if (root / split).is_dir()}
        if "test" in parts and "train" not in parts:
            raise DataError(f"root {root} has a folder 'test' and none called 'train'; add it.")
        if parts:
            strays = sorted(each.name for each in root.iterdir() if each.is_dir() and each.name not in parts)
            strays = [
                name for name in strays if name not in ("val", "valid", "validation") and name[0] != "."
            ]
            if strays:
                raise DataError(
                    f"root {root} has 'train' beside {strays[0]!r}; keep train and test there, and the classes in them."
                    f"{did_you_mean(strays[0], ['test'])}"
                )
        else:
            parts = {"train": root}
        by_class = {split: _images(folder) for split, folder in parts.items()}
        classes = sorted(by_class["train"])
        if len(classes) < 2:
            known = f"one, {classes[0]!r}" if classes else "none"
            raise DataError(f"root {root} needs a folder for each of 2 or more classes; found {known}.")
        for split, found in by_class.items():
            strange = sorted(set(found) - set(classes))
            if strange:
                raise DataError(
                    f"Class {strange[0]!r} of {parts[split]} has no folder in 'train'; add it, or take it out."
                    f"{did_you_mean(strange[0], classes)}"
                )
            if not any(found.values()):
                raise DataError(f"root: {parts[split]} holds no images ({', '.join(sorted(_ENDINGS))}).")
        empty = [name for name in classes if not by_class["train"][name]]
        if empty:
            raise DataError(
                f"Class {empty[0]!r} has no training image in {parts['train'] / empty[0]}; add some."
            )
        paths = {
            s: [path for name in classes for path in found.get(name, ())] for s, found in by_class.items()
        }
        labels = {
            split: np.repeat(np.arange(len(classes)), [len(found.get(name, ())) for name in classes])
            for split, found in by_class.items()
        }

        def of(split: str) -> Encoded:
            def encoded(places: Sequence[int]) -> list[Path | bytes | None]:
                return [paths[split][place] for place in places]

            return encoded

        return FoundImages(
            labels,
            {split: of(split) for split in paths},
            lambda split, place: str(paths[split][place]),
            len(classes),
            digest_of([path for found in paths.values() for path in found]),
        )


def _images(folder: Path) -> dict[str, list[Path]]:
    """Image files by class."""
    return {
        each.name: sorted(path for path in each.rglob("*") if path.suffix.lower() in _ENDINGS)
        for each in sorted(folder.iterdir())
        if each.is_dir() and not each.name.startswith(".")
    }
