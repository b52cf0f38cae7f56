"""CIFAR-10: 60,000 colour images of 32 x 32 in 10 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from gapslsim.data._cifar_pickles import find_pickles
from gapslsim.data._image_dataset import ImageDataset
from gapslsim.data._images import ImageFiles, ImageKind, Split
from gapslsim.data._parquet_images import find_parquet
from gapslsim.data.dataset import datasets
from gapslsim.registry import component

__all__ = ["Cifar10"]


@datasets.register
@component
class Cifar10(ImageDataset):
    """CIFAR-10 (Krizhevsky 2009), from its own Python files or from Hugging Face's parquet files.

    Inputs are normalised by the mean and standard deviation of each channel over all training pixels of the original
    data. (The standard deviations often seen, 0.2023 0.1994 0.2010, are means over images; they are not used.)
    """

    kind: Literal["cifar10"] = "cifar10"

    image_kind: ClassVar[ImageKind] = ImageKind(
        name="cifar10",
        shape=(3, 32, 32),
        n_classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        how_to_get="https://www.cs.toronto.edu/~kriz/cifar.html (cifar-10-python.tar.gz, unpacked)",
        n_samples=(50_000, 10_000),
    )

    def find(self, place: Path) -> ImageFiles | None:
        """See `ImageDataset.find`."""
        pickles: dict[Split, list[str]] = {
            "train": [f"data_batch_{i}" for i in range(1, 6)],
            "test": ["test_batch"],
        }
        own = find_pickles(place, "cifar-10-batches-py", pickles, "labels")
        return own or find_parquet(place, "label", self.image_kind.shape)

    def expected(self) -> str:
        """See `ImageDataset.expected`."""
        return "cifar-10-batches-py/ or train-*.parquet and test-*.parquet with columns img and label"
