"""What the image data sets share: settings, the search for their files, and loading from what was found."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, field_validator

from gapslsim.data._images import ImageFiles, ImageKind, Split, normalise
from gapslsim.data.dataset import Dataset, LoadedData, Samples
from gapslsim.data.source import VARIABLE
from gapslsim.data.stratify import balanced_order
from gapslsim.errors import DataError
from gapslsim.registry import component
from gapslsim.regular_files import in_home
from gapslsim.work import content_key

__all__ = ["ImageDataset"]

_kept: Final[dict[tuple[object, ...], LoadedData]] = {}
"""The data set that was loaded last, by its settings and the state of its files."""


@component
class ImageDataset(Dataset):
    """Settings common to data sets of image files; each names its constants and its layouts.

    Samples stay in the order of their files, so that lists of indices mean what they say. A choice is the beginning of
    `balanced_order`: any `n_train` gives the same number of each class up to one, and a smaller choice is part of a
    larger one. Images are decoded when the inputs are first asked for; labels never need them.
    """

    root: Path | None = None
    """Folder of the files (relative to the current directory); by default the data set's folder in the public data."""
    n_train: PositiveInt | None = None
    """Training samples to use, class balanced; all by default."""
    n_test: PositiveInt | None = None
    """Test samples to use, class balanced; all by default."""
    size: PositiveInt | None = None
    """Side of the images in pixels after averaging over squares; must divide the original side, the default."""

    image_kind: ClassVar[ImageKind]

    @field_validator("size")
    @classmethod
    def _divides(cls, size: int | None) -> int | None:
        side = cls.image_kind.shape[-1]
        if size is not None and side % size:
            sizes = ", ".join(str(i) for i in range(1, side + 1) if side % i == 0)
            raise ValueError(
                f"size must divide the side of the images, {side}; found {size}; use one of {sizes}"
            )
        return size

    @abstractmethod
    def find(self, place: Path) -> ImageFiles | None:
        """The files that lie in a folder, in the layout that is preferred; None if it holds none of the data set."""

    @abstractmethod
    def expected(self) -> str:
        """What `find` looks for, in words."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; `seed` is of no account.

        The last one loaded is kept: the runs of a study read and decode their images once per process.
        """
        files = self._find(folder)
        wanted = (type(self), self.n_train, self.n_test, self.size, self._n_classes(), files.state())
        if wanted not in _kept:
            loaded = self._load(files)
            # One at a time: data sets are large, and the runs of a study mostly share theirs.
            _kept.clear()
            _kept[wanted] = loaded
        return _kept[wanted]

    def _load(self, files: ImageFiles) -> LoadedData:
        kind = self.image_kind
        n_classes = self._n_classes()
        size = self.size or kind.shape[-1]
        train, n_train_all = self._samples(files, "train", self.n_train, n_classes, size)
        test, n_test_all = self._samples(files, "test", self.n_test, n_classes, size)
        settings = {
            "n_train": len(train),
            "n_test": len(test),
            "size": size,
            "n_classes": n_classes,
            "layout": files.layout,
            "files": files.fingerprint(),
            "order": "file",
            # The choice of rows depends on all that the files hold.
            "rows": [n_train_all, n_test_all],
        }
        return LoadedData(
            key=content_key("data", [kind.name, settings]),
            train=train,
            test=test,
            n_classes=n_classes,
            input_shape=(kind.shape[0], size, size),
        )

    def outline(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.outline`: without files the published numbers, every class with equally many images.

        Which image has which label is then not known, but every shipped partition gives clients as many as with files.
        """
        if self._place(folder) is not None:
            return self.load(folder, seed)
        kind, n_classes = self.image_kind, self._n_classes()
        size = self.size or kind.shape[-1]

        def samples(split: Split, n: int | None, published: int) -> Samples:
            self._check_number(split, n, published)

            def read() -> NDArray[np.float32]:
                self._find(folder)  # says what is missing
                raise DataError(
                    f"Data set '{kind.name}' was outlined without its files, which are there now."
                )

            return Samples(np.arange(n or published) % n_classes, read)

        train = samples("train", self.n_train, kind.n_samples[0])
        test = samples("test", self.n_test, kind.n_samples[1])
        key = content_key("outline", [kind.name, len(train), len(test), size, n_classes])
        return LoadedData(key, train, test, n_classes, (kind.shape[0], size, size))

    def _n_classes(self) -> int:
        return self.image_kind.n_classes

    def _places(self, folder: Path | None) -> list[Path]:
        """Where to look."""
        if self.root is not None:
            return [in_home(self.root)]
        # Its own folder first: the public data may hold files of several sets side by side.
        return [] if folder is None else [folder / self.image_kind.name, folder]

    def _place(self, folder: Path | None) -> ImageFiles | None:
        """The files in the first layout found in the first place that has one; None if none has."""
        return next(
            (files for place in self._places(folder) if (files := self.find(place)) is not None), None
        )

    def _find(self, folder: Path | None) -> ImageFiles:
        """The same, where there must be some."""
        if (files := self._place(folder)) is not None:
            return files
        kind, places = self.image_kind, self._places(folder)
        looked = f"looked in {' and '.join(str(place) for place in places)}" if places else "looked nowhere"
        no_folder = "" if places else f" ({VARIABLE} is not set and there is no ../shared/data)"
        raise DataError(
            f"Data set '{kind.name}' is missing: {looked}{no_folder} for {self.expected()}. Get it from "
            f"{kind.how_to_get}, or by 'gapslsim data get {kind.name}'; then set data.root to its folder, or the "
            f"environment variable {VARIABLE} to a folder that holds it as {kind.name}/. The data set "
            "'digits' needs no files."
        )

    def _samples(
        self, files: ImageFiles, split: Split, n: int | None, n_classes: int, size: int
    ) -> tuple[Samples, int]:
        """The chosen samples of a split, and how many the files hold."""
        kind = self.image_kind
        labels = files.labels(split)
        if len(labels) == 0:
            raise DataError(f"Data set '{kind.name}' has no {split} samples in its files ({files.layout}).")
        # A label out of range would fail deep in the loss, or on an accelerator without any message.
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= n_classes:
            raise DataError(
                f"Data set '{kind.name}' has {split} labels from {low} to {high}, expected 0 to {n_classes - 1}: "
                f"these files are of another data set or corrupted; get it again from {kind.how_to_get}."
            )
        self._check_number(split, n, len(labels))
        rows = np.arange(len(labels)) if n is None else np.sort(balanced_order(labels)[:n])

        def read() -> NDArray[np.float32]:
            return normalise(files.pixels(split, rows), size, kind)

        return Samples(labels[rows], read), len(labels)

    def _check_number(self, split: Split, n: int | None, there: int) -> None:
        if n is not None and n > there:
            raise DataError(
                f"data.n_{split} = {n} is more than the {there} {split} samples of '{self.image_kind.name}'; "
                f"use {there} or less, or leave it out for all."
            )
