"""Fashion-MNIST: 70,000 greyscale images of 28 x 28 in 10 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from gapslsim.data._idx import find_idx
from gapslsim.data._image_dataset import ImageDataset
from gapslsim.data._images import ImageFiles, ImageKind
from gapslsim.data._parquet_images import find_parquet
from gapslsim.data.dataset import datasets
from gapslsim.registry import component

__all__ = ["FashionMnist"]


@datasets.register
@component
class FashionMnist(ImageDataset):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747).

    Read from IDX files or from Hugging Face's parquet files. Inputs are normalised by the mean and standard deviation
    over all training pixels.
    """

    kind: Literal["fashion_mnist"] = "fashion_mnist"

    image_kind: ClassVar[ImageKind] = ImageKind(
        name="fashion_mnist",
        shape=(1, 28, 28),
        n_classes=10,
        mean=(0.2860,),
        std=(0.3530,),
        how_to_get="https://github.com/zalandoresearch/fashion-mnist (the four .gz files)",
        n_samples=(60_000, 10_000),
    )

    def find(self, place: Path) -> ImageFiles | None:
        """See `ImageDataset.find`."""
        return find_idx(place, "FashionMNIST") or find_parquet(place, "label", self.image_kind.shape)

    def expected(self) -> str:
        """See `ImageDataset.expected`."""
        return (
            "FashionMNIST/raw/ with train-images-idx3-ubyte(.gz) and the other three, or train-*.parquet and "
            "test-*.parquet with columns image and label"
        )
