from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gapslsim.data.datasets.fashion_mnist import FashionMnist
from gapslsim.errors import DataError

LABELS = {"train": [0, 1, 0, 9], "t10k": [9, 1]}
PIXELS = {"train": (4, 28, 28), "t10k": (2, 28, 28)}


def write_idx(folder: Path, packed: bool = True) -> np.ndarray:
    """Writes the four files; gives the pixels of the training images."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    pixels = {name: random.integers(0, 256, shape, dtype=np.uint8) for name, shape in PIXELS.items()}
    for name, labels in LABELS.items():
        images = struct.pack(">BBBBiii", 0, 0, 8, 3, *PIXELS[name]) + pixels[name].tobytes()
        numbers = struct.pack(">BBBBi", 0, 0, 8, 1, len(labels)) + bytes(labels)
        for end, content in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", numbers)):
            path = folder / f"{name}-{end}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return pixels["train"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["FashionMNIST/raw", "fashion_mnist/FashionMNIST/raw", "fashion_mnist"])
def test_idx_files_are_read_packed_or_not(tmp_path: Path, place: str, packed: bool) -> None:
    pixels = write_idx(tmp_path / place, packed)
    data = FashionMnist().load(tmp_path, seed=1)
    assert data.train.labels.tolist() == [0, 1, 0, 9]
    assert data.train.inputs.dtype == np.float32
    np.testing.assert_allclose(data.train.inputs[:, 0], (pixels / 255 - 0.2860) / 0.3530, atol=1e-5)
    assert (data.input_shape, data.n_classes, len(data.test)) == ((1, 28, 28), 10, 2)


def test_images_can_be_made_smaller(tmp_path: Path) -> None:
    pixels = write_idx(tmp_path)
    data = FashionMnist(root=tmp_path, size=14, n_train=1).load(None, seed=1)
    averaged = pixels[0].reshape(14, 2, 14, 2).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(data.train.inputs[0, 0], (averaged - 0.2860) / 0.3530, atol=1e-5)


def test_hugging_face_parquet_files_are_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    encoded = []
    for image in pixels:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        table = pa.table({"image": pa.array(encoded), "label": [2, 0, 1]})
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    data = FashionMnist(root=tmp_path).load(None, seed=1)
    assert data.train.labels.tolist() == [2, 0, 1]
    np.testing.assert_allclose(data.test.inputs[:, 0], (pixels / 255 - 0.2860) / 0.3530, atol=1e-5)


def test_labels_need_no_file_of_images(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    data = FashionMnist(root=tmp_path).load(None, seed=1)
    assert len(data.train) == 4
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is cut short or corrupted"):
        _ = data.train.inputs


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte \(or the same with \.gz\)"):
        FashionMnist(root=tmp_path).load(None, seed=1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no IDX file of n bytes"),
        (struct.pack(">BBBBi", 0, 0, 8, 3, 4) + bytes(4), "is no IDX file of n bytes"),
        (struct.pack(">BBBBi", 0, 0, 8, 1, 4) + bytes(3), "holds 3 values, its header says 4"),
    ],
)
def test_a_damaged_file_of_labels_is_an_error(tmp_path: Path, content: bytes, why: str) -> None:
    write_idx(tmp_path, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=rf"train-labels-idx1-ubyte {why}"):
        FashionMnist(root=tmp_path).load(None, seed=1)


def test_fewer_images_than_labels_is_an_error(tmp_path: Path) -> None:
    write_idx(tmp_path, packed=False)
    one = struct.pack(">BBBBiii", 0, 0, 8, 3, 1, 28, 28) + bytes(784)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(one)
    with pytest.raises(DataError, match="holds 1 images, fewer than there are labels"):
        _ = FashionMnist(root=tmp_path).load(None, seed=1).train.inputs


def test_a_missing_data_set_names_its_page(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'fashion_mnist' is missing.*zalandoresearch/fashion-mnist"):
        FashionMnist().load(tmp_path, seed=1)
