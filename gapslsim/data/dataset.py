"""What a data set is: arrays in memory, loaded from where the user says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from gapslsim.data.augmentation import Augmentation
from gapslsim.data.partition import Partition, partitions
from gapslsim.data.target import Target
from gapslsim.registry import Family, component

__all__ = ["Dataset", "LoadedData", "Samples", "datasets"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and labels; the inputs are decoded when first asked for, so that a dry run reads labels only.

    Args:
        labels: class of each sample, int64 [n]; or a row for each, [n, n_classes], as `LoadedData.target` says.
        read_inputs: gives the normalised inputs, float32 [n, *input_shape], or tokens as int64 [n, T], in the order of
            `labels`.
        columns: what else is known of each sample, [n] each, for instance `user`; partitions may divide by it.
    """

    labels: NDArray[Any]
    read_inputs: Callable[[], NDArray[Any]]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> NDArray[Any]:
        """Normalised inputs, float32 [n, *input_shape], or tokens as int64 [n, T]."""
        # Kept: decoding a data set takes seconds, and every run of a process asks again.
        return self.read_inputs()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class LoadedData:
    """A data set in memory.

    Args:
        key: content key of what was loaded (name, settings, source).
        n_classes: outputs of the model: classes, or labels or numbers per sample.
        input_shape: shape of one input, for instance (3, 32, 32).
        input_dtype: what the model is given; `int64` for tokens, which a first layer `nn.Embedding` takes.
        target: what labels are: a `class` per sample, several `labels` (0 or 1), or `numbers` (real values).
    """

    key: str
    train: Samples
    test: Samples
    n_classes: int
    input_shape: tuple[int, ...]
    input_dtype: Literal["float32", "int64"] = "float32"
    target: Target = "class"

    @property
    def label_bytes(self) -> int:
        """What a sample's label takes on the wire: a class 8 bytes (int64), each of several labels 1, a number 4."""
        return {"class": 8, "labels": self.n_classes, "numbers": 4 * self.n_classes}[self.target]


@component
class Dataset(ABC):
    """Settings of a data set and of how it is divided among clients; a pydantic component."""

    partition: Annotated[Partition, partitions] = Field(default_factory=lambda: partitions["iid"]())
    """How the training set is divided among the clients."""
    augmentation: Augmentation | None = None
    """Random changes of training images, for instance `{crop: 4, flip: true}`; none by default."""
    validation: Annotated[float, Field(gt=0, le=0.9)] | None = None
    """Share of the training samples of each class to judge models on in place of the test set, which is then not looked
    at. Nobody trains on them; they are the same for every seed. For choosing settings; none by default."""

    drawn: ClassVar[bool] = False
    """Whether inputs are computed rather than read, so that there is nothing in them to check before a run."""

    @abstractmethod
    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """Loads it.

        Args:
            folder: where public data lies (the environment's GAPSLSIM_DATA or its fallback); None if there is none.
            seed: the scenario's seed, for data sets that are drawn.

        Raises:
            DataError: if it is missing; says where it looked and how to get it.
        """

    def outline(self, folder: Path | None, seed: int) -> LoadedData:
        """What a dry run needs: labels and shapes; `load` unless these are known without files."""
        return self.load(folder, seed)


datasets: Family[Dataset] = Family("data", "gapslsim.data.datasets")
