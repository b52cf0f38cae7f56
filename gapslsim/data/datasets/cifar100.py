"""CIFAR-100: 60,000 colour images of 32 x 32 in 100 classes of 20 superclasses."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from gapslsim.data._cifar_pickles import find_pickles
from gapslsim.data._image_dataset import ImageDataset
from gapslsim.data._images import ImageFiles, ImageKind, Split
from gapslsim.data._parquet_images import find_parquet
from gapslsim.data.dataset import datasets
from gapslsim.registry import component

__all__ = ["Cifar100"]


@datasets.register
@component
class Cifar100(ImageDataset):
    """CIFAR-100 (Krizhevsky 2009), from its own Python files or from Hugging Face's parquet files.

    Inputs are normalised by the mean and standard deviation of each channel over all training pixels of the original
    data.
    """

    kind: Literal["cifar100"] = "cifar100"
    labels: Literal["fine", "coarse"] = "fine"
    """Which labels: the 100 classes or the 20 superclasses."""

    image_kind: ClassVar[ImageKind] = ImageKind(
        name="cifar100",
        shape=(3, 32, 32),
        n_classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        how_to_get="https://www.cs.toronto.edu/~kriz/cifar.html (cifar-100-python.tar.gz, unpacked)",
        n_samples=(50_000, 10_000),
    )

    def find(self, place: Path) -> ImageFiles | None:
        """See `ImageDataset.find`."""
        pickles: dict[Split, list[str]] = {"train": ["train"], "test": ["test"]}
        own = find_pickles(place, "cifar-100-python", pickles, f"{self.labels}_labels")
        return own or find_parquet(place, f"{self.labels}_label", self.image_kind.shape)

    def expected(self) -> str:
        """See `ImageDataset.expected`."""
        return f"cifar-100-python/ or train-*.parquet and test-*.parquet with columns img and {self.labels}_label"

    def _n_classes(self) -> int:
        return 100 if self.labels == "fine" else 20
