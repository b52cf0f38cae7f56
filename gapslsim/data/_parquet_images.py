"""Images in the Hugging Face parquet layout: encoded files in a struct column beside their labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data._images import ImageFiles, Split
from gapslsim.data._open_image import opened_image
from gapslsim.errors import DataError
from gapslsim.unpacking import check_parquet

__all__ = ["find_parquet", "reading"]

_FOLDERS = (".", "data", "plain_text")
_IMAGES = ("img", "image")
"""Names that the column of images may have."""


def find_parquet(place: Path, label: str, shape: tuple[int, int, int]) -> ParquetImages | None:
    """Finds `train-*.parquet` and `test-*.parquet` in `place`, its `data/` or its `plain_text/`.

    Args:
        place: folder to look in.
        label: name of the label column.
        shape: channels, height and width of an image.

    Returns:
        None if there are no such files or their columns are others.

    Raises:
        DataError: if only one of the two splits is there, or a file cannot be read as parquet.
    """
    for name in _FOLDERS:
        folder = place / name
        files: dict[Split, list[Path]] = {
            "train": sorted(folder.glob("train-*.parquet")),
            "test": sorted(folder.glob("test-*.parquet")),
        }
        lacking = [split for split, found in files.items() if not found]
        if len(lacking) == 2:
            continue
        if lacking:
            raise DataError(
                f"No {lacking[0]}-*.parquet in {folder}, which has the other split; fetch it as well."
            )
        with reading(files["train"][0]) as parquet:
            columns = parquet.schema_arrow.names
        images = [column for column in _IMAGES if column in columns]
        if images and label in columns:
            return ParquetImages(files, images[0], label, shape)
    return None


class ParquetImages(ImageFiles):
    """Images of one data set in parquet files; see `find_parquet`."""

    layout = "parquet"

    def __init__(
        self, files: dict[Split, list[Path]], image: str, label: str, shape: tuple[int, int, int]
    ) -> None:
        super().__init__((path for paths in files.values() for path in paths), label)
        self._files = files
        self._image = image
        self._shape = shape

    def labels(self, split: Split) -> NDArray[np.int64]:
        """See `ImageFiles.labels`; reads the label column only."""
        parts = []
        for path in self._files[split]:
            with reading(path) as parquet:
                column = parquet.read(columns=[self.label]).column(0)
                if column.null_count:
                    raise DataError(f"{path} has {column.null_count} rows without a label; fetch it again.")
                parts.append(column.to_numpy().astype(np.int64))
        return np.concatenate(parts)

    def pixels(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `ImageFiles.pixels`; reads and decodes one row group at a time."""
        pixels = np.empty((len(rows), *self._shape), dtype=np.uint8)
        # By place in the files, so that each row group is read one time and let go.
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        first = 0
        for path in self._files[split]:
            with reading(path) as parquet:
                for group in range(parquet.num_row_groups):
                    end = first + parquet.metadata.row_group(group).num_rows
                    low, high = np.searchsorted(wanted, (first, end))
                    if low < high:
                        column = parquet.read_row_group(group, columns=[f"{self._image}.bytes"]).column(0)
                        encoded = column.combine_chunks().field("bytes").to_pylist()
                        for place, row in zip(order[low:high], wanted[low:high], strict=True):
                            pixels[place] = self._decode(encoded[int(row) - first], path, int(row))
                    first = end
        return pixels

    def _decode(self, encoded: bytes | None, path: Path, row: int) -> NDArray[np.uint8]:
        """Pixels of one encoded image, uint8 [channels, height, width]."""
        channels, height, width = self._shape
        mode = "L" if channels == 1 else "RGB"
        try:
            if encoded is None:
                raise ValueError("no image bytes")
            with opened_image(encoded) as image:
                values = np.asarray(image if image.mode == mode else image.convert(mode), dtype=np.uint8)
        # Pillow raises SyntaxError for a broken PNG.
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(
                f"Image in row {row} of {path} is corrupted ({error}); fetch the file again."
            ) from error
        if values.shape[:2] != (height, width):
            found = f"{values.shape[1]} x {values.shape[0]}"
            raise DataError(f"Image in row {row} of {path} is {found} pixels, expected {width} x {height}.")
        # Also greyscale, which comes without an axis for channels.
        return values.reshape(height, width, channels).transpose(2, 0, 1)


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """An open parquet file; what goes wrong with it becomes a DataError that names it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_parquet(path)
        with pq.ParquetFile(path) as parquet:
            yield parquet
    except (OSError, pa.ArrowException, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} cannot be read as parquet ({reason}); it is cut short or corrupted, fetch it again."
        ) from error
