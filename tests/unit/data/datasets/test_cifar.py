from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from gapslsim.data import _cifar_pickles as cifar_pickles
from gapslsim.data import _parquet_images as parquet_images
from gapslsim.data.datasets.cifar10 import Cifar10
from gapslsim.data.datasets.cifar100 import Cifar100
from gapslsim.errors import DataError

MEAN = np.array([0.4914, 0.4822, 0.4465])[:, None, None]
STD = np.array([0.2470, 0.2435, 0.2616])[:, None, None]
BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def python2_pickle(labels: list[int], data: np.ndarray) -> bytes:
    """A batch as Python 2 wrote it: byte strings as BINSTRING, the array as state of numpy.core.multiarray."""

    def string(text: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(text)) + text

    def integer(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n(" + string(b"u1") + integer(0) + integer(1) + b"tR"
    dtype += b"(" + integer(3) + string(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
        + integer(0)
        + b"t"
        + string(b"b")
        + b"tR"
    )
    shape = b"(" + integer(data.shape[0]) + integer(data.shape[1]) + b"t"
    array += b"(" + integer(1) + shape + dtype + b"\x89" + string(data.tobytes()) + b"tb"
    numbers = b"(" + b"".join(integer(label) for label in labels) + b"l"
    return b"\x80\x02}(" + string(b"data") + array + string(b"labels") + numbers + b"u."


def torchvision_cifar10(root: Path, python2: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Writes 5 batches of 6 images and a test batch of 4; gives labels and pixels of the 30 training images."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    every_label, every_pixel = [], []
    for name, n in [*((name, 6) for name in BATCHES), ("test_batch", 4)]:
        labels = random.integers(0, 3, n).tolist()
        data = random.integers(0, 256, (n, 3072), dtype=np.uint8)
        content = {b"data": data, b"labels": labels, b"batch_label": name.encode()}
        raw = python2_pickle(labels, data) if python2 else pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(raw)
        if name != "test_batch":
            every_label += labels
            every_pixel.append(data.reshape(-1, 3, 32, 32))
    return np.array(every_label), np.concatenate(every_pixel)


def png(pixels: np.ndarray) -> bytes:
    """An image file of [height, width, 3] or [height, width] pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def write_parquet(path: Path, images: list[bytes], columns: dict[str, list[int]]) -> None:
    encoded = [{"bytes": image, "path": f"{i}.png"} for i, image in enumerate(images)]
    table = pa.table(
        {"img": pa.array(encoded), **{name: pa.array(column) for name, column in columns.items()}}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)


def parquet_cifar10(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Writes training files of 8 and 4 images and a test file of 4; gives labels and pixels of the training images."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    labels = random.integers(0, 3, 16).tolist()
    images = [png(image) for image in pixels]
    write_parquet(folder / "train-00000-of-00002.parquet", images[:8], {"label": labels[:8]})
    write_parquet(folder / "train-00001-of-00002.parquet", images[8:12], {"label": labels[8:12]})
    write_parquet(folder / "test-00000-of-00001.parquet", images[12:], {"label": labels[12:]})
    return np.array(labels[:12]), pixels[:12].transpose(0, 3, 1, 2)


def go_round(labels: np.ndarray) -> list[int]:
    """The balanced order written plainly: first of each class as they come, then second of each."""
    rank = [int(np.sum(labels[:i] == label)) for i, label in enumerate(labels)]
    return sorted(range(len(labels)), key=lambda i: (rank[i], i))


@pytest.mark.parametrize("python2", [False, True])
@pytest.mark.parametrize("place", ["default", "as root", "batches as root", "beside the others"])
def test_the_torchvision_layout_is_read_wherever_it_may_lie(
    tmp_path: Path, place: str, python2: bool
) -> None:
    base = {"default": tmp_path / "cifar10", "beside the others": tmp_path}.get(place, tmp_path / "mine")
    labels, pixels = torchvision_cifar10(base, python2)
    root = {"as root": base, "batches as root": base / "cifar-10-batches-py"}.get(place)
    data = Cifar10(root=root).load(None if root else tmp_path, seed=1)
    assert data.train.labels.tolist() == labels.tolist()
    np.testing.assert_allclose(data.train.inputs, (pixels / 255 - MEAN) / STD, atol=1e-5)
    assert (len(data.test), data.n_classes, data.input_shape) == (4, 10, (3, 32, 32))


def test_the_parquet_layout_is_read_over_files_and_row_groups(tmp_path: Path) -> None:
    labels, pixels = parquet_cifar10(tmp_path / "cifar10")
    data = Cifar10(n_train=7, size=16).load(tmp_path, seed=1)
    order = sorted(go_round(labels)[:7])
    assert data.train.labels.tolist() == labels[order].tolist()
    averaged = pixels[order].reshape(7, 3, 16, 2, 16, 2).mean(axis=(3, 5)) / 255
    np.testing.assert_allclose(data.train.inputs, (averaged - MEAN) / STD, atol=1e-5)
    assert data.input_shape == (3, 16, 16)
    assert data.test.inputs.shape == (4, 3, 16, 16)


def test_labels_come_without_decoding_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet_cifar10(tmp_path / "cifar10")

    def refuse(*_: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(parquet_images.ParquetImages, "_decode", refuse)
    data = Cifar10().load(tmp_path, seed=1)
    assert len(data.train.labels) == 12
    assert "inputs" not in vars(data.train)
    with pytest.raises(AssertionError, match="an image was decoded"):
        _ = data.train.inputs


def test_any_number_of_training_images_is_class_balanced_in_file_order_and_part_of_the_larger(
    tmp_path: Path,
) -> None:
    labels, _ = torchvision_cifar10(tmp_path / "cifar10")
    smallest = np.bincount(labels).min()
    ten, all_of_them = (Cifar10(n_train=n).load(tmp_path, 1).train for n in (3 * smallest, None))
    assert np.bincount(ten.labels).tolist() == [smallest] * 3
    chosen = sorted(go_round(labels)[: 3 * smallest])
    np.testing.assert_array_equal(ten.inputs, all_of_them.inputs[chosen])


def test_the_key_depends_on_settings_and_files_and_not_on_where_they_lie(tmp_path: Path) -> None:
    for place in ("a", "b"):
        torchvision_cifar10(tmp_path / place)
    parquet_cifar10(tmp_path / "c")
    here, there, parquet = (
        Cifar10(root=tmp_path / place).load(None, seed) for seed, place in enumerate("abc")
    )
    assert here.key == there.key != parquet.key
    assert Cifar10(root=tmp_path / "a", n_train=30, size=32).load(None, 1).key == here.key
    keys = {
        Cifar10(root=tmp_path / "a", **one).load(None, 1).key
        for one in ({"size": 8}, {"n_train": 9}, {"n_test": 2})
    }
    assert len(keys | {here.key}) == 4


def test_other_images_of_the_same_size_in_bytes_have_another_key(tmp_path: Path) -> None:
    torchvision_cifar10(tmp_path)
    before = Cifar10(root=tmp_path).load(None, 1).key
    path = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    content = pickle.loads(path.read_bytes())
    content[b"data"][0, 0] ^= 1
    path.write_bytes(pickle.dumps(content, protocol=2))
    assert Cifar10(root=tmp_path).load(None, 1).key != before


def test_images_are_read_once_per_process_for_as_long_as_the_files_are_the_same(tmp_path: Path) -> None:
    parquet_cifar10(tmp_path / "cifar10")
    first = Cifar10(size=16).load(tmp_path, seed=1)
    again = Cifar10(size=16, partition={"kind": "dirichlet", "alpha": 0.1}).load(tmp_path, seed=2)
    assert again is first
    assert Cifar10(size=8).load(tmp_path, seed=1).key != first.key
    file = next((tmp_path / "cifar10").rglob("test-*.parquet"))
    written = file.stat().st_mtime_ns
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(written + 1_000_000, written + 1_000_000))
    changed = Cifar10(size=16).load(tmp_path, seed=1)
    assert changed is not first
    assert changed.key == first.key


def test_a_missing_data_set_says_where_it_looked_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Cifar10().load(tmp_path, seed=1)
    message = str(caught.value)
    assert (
        f"looked in {tmp_path / 'cifar10'} and {tmp_path} for cifar-10-batches-py/ or train-*.parquet"
        in message
    )
    for text in ("https://www.cs.toronto.edu/~kriz/cifar.html", "data.root", "GAPSLSIM_DATA", "digits"):
        assert text in message


def test_a_missing_root_is_the_only_place_that_is_named(tmp_path: Path) -> None:
    parquet_cifar10(tmp_path / "cifar10")
    with pytest.raises(
        DataError, match=rf"'cifar100' is missing: looked in {tmp_path / 'mine'} for cifar-100-python/"
    ):
        Cifar100(root=tmp_path / "mine").load(tmp_path, seed=1)


def test_without_a_folder_the_message_says_that_none_is_set() -> None:
    with pytest.raises(DataError, match=r"looked nowhere \(GAPSLSIM_DATA is not set"):
        Cifar10().load(None, seed=1)


def test_more_images_than_there_are_is_an_error_that_says_how_many_there_are(tmp_path: Path) -> None:
    torchvision_cifar10(tmp_path / "cifar10")
    with pytest.raises(DataError, match=r"data.n_train = 31 is more than the 30 train samples of 'cifar10'"):
        Cifar10(n_train=31).load(tmp_path, 1)


def test_a_missing_batch_or_split_is_named(tmp_path: Path) -> None:
    torchvision_cifar10(tmp_path / "a")
    (tmp_path / "a" / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError, match="cifar-10-batches-py lacks data_batch_3"):
        Cifar10(root=tmp_path / "a").load(None, 1)
    parquet_cifar10(tmp_path / "b")
    (tmp_path / "b" / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"No test-\*\.parquet in"):
        Cifar10(root=tmp_path / "b").load(None, 1)


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_batch_cut_short_is_an_error_that_names_the_file(tmp_path: Path, keep: int) -> None:
    torchvision_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"data_batch_2 is cut short or corrupted"):
        Cifar10(root=tmp_path).load(None, 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({b"labels": [0]}, "it has no field 'data'"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "it has no field 'labels'"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}, "for 2 labels"),
        ({b"data": np.zeros((1, 99), np.uint8), b"labels": [0]}, r"shape \(1, 99\)"),
        ({b"data": np.zeros((1, 3072)), b"labels": [0]}, "no uint8 array"),
    ],
)
def test_a_batch_with_other_content_is_refused(tmp_path: Path, content: object, why: str) -> None:
    torchvision_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=rf"data_batch_1 is cut short or corrupted .*{why}"):
        Cifar10(root=tmp_path).load(None, 1)


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("exit 1",)


def test_a_batch_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torchvision_cifar10(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(
        pickle.dumps({b"data": _Harmful()}, protocol=2)
    )
    with pytest.raises(DataError, match="it asks for a class or function that no CIFAR file needs"):
        Cifar10(root=tmp_path).load(None, 1)


def test_a_damaged_parquet_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    parquet_cifar10(tmp_path)
    path = tmp_path / "train-00000-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{path} cannot be read as parquet .* fetch it again"):
        Cifar10(root=tmp_path).load(None, 1)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"no image", "row 1 of .* is corrupted"),
        (png(np.zeros((32, 32, 3), np.uint8))[:60], "row 1 of .* is corrupted"),
        (png(np.zeros((16, 24, 3), np.uint8)), "row 1 of .* is 24 x 16 pixels, expected 32 x 32"),
        (None, "row 1 of .* is corrupted"),
    ],
)
def test_a_damaged_image_is_an_error_that_names_its_row(tmp_path: Path, image: bytes, why: str) -> None:
    good = png(np.zeros((32, 32, 3), np.uint8))
    write_parquet(tmp_path / "train-0.parquet", [good, image], {"label": [0, 1]})
    write_parquet(tmp_path / "test-0.parquet", [good], {"label": [0]})
    data = Cifar10(root=tmp_path).load(None, 1)
    with pytest.raises(DataError, match=why):
        _ = data.train.inputs


def test_labels_of_another_data_set_are_refused(tmp_path: Path) -> None:
    good = png(np.zeros((32, 32, 3), np.uint8))
    write_parquet(tmp_path / "train-0.parquet", [good, good], {"label": [0, 10]})
    write_parquet(tmp_path / "test-0.parquet", [good], {"label": [0]})
    with pytest.raises(DataError, match="train labels from 0 to 10, expected 0 to 9"):
        Cifar10(root=tmp_path).load(None, 1)


def test_parquet_files_with_other_columns_are_not_taken(tmp_path: Path) -> None:
    parquet_cifar10(tmp_path)
    with pytest.raises(DataError, match="with columns img and fine_label"):
        Cifar100(root=tmp_path).load(None, 1)


@pytest.mark.parametrize("layout", ["parquet", "torchvision"])
def test_cifar100_has_fine_or_coarse_labels(tmp_path: Path, layout: str) -> None:
    fine, coarse = [99, 0, 5], [19, 0, 1]
    if layout == "parquet":
        images = [png(np.zeros((32, 32, 3), np.uint8))] * 3
        for split in ("train", "test"):
            write_parquet(
                tmp_path / f"{split}-0.parquet", images, {"fine_label": fine, "coarse_label": coarse}
            )
    else:
        (tmp_path / "cifar-100-python").mkdir()
        content = {b"data": np.zeros((3, 3072), np.uint8), b"fine_labels": fine, b"coarse_labels": coarse}
        for split in ("train", "test"):
            (tmp_path / "cifar-100-python" / split).write_bytes(pickle.dumps(content, protocol=2))
    by_fine, by_coarse = (Cifar100(root=tmp_path, labels=which).load(None, 1) for which in ("fine", "coarse"))
    assert (by_fine.n_classes, by_fine.train.labels.tolist()) == (100, fine)
    assert (by_coarse.n_classes, by_coarse.train.labels.tolist()) == (20, coarse)
    assert by_fine.key != by_coarse.key


@pytest.mark.parametrize("size", [5, 33, 64, 0])
def test_a_size_that_does_not_divide_the_images_is_refused(size: int) -> None:
    with pytest.raises(ValidationError, match=r"1, 2, 4, 8, 16, 32|greater than 0"):
        Cifar10(size=size)


@pytest.mark.data
@pytest.mark.parametrize(("dataset", "n_classes"), [(Cifar10, 10), (Cifar100, 100)])
def test_the_public_parquet_files_are_read_from_the_beginning(
    public_data: Path, dataset: type[Cifar10] | type[Cifar100], n_classes: int
) -> None:
    folder = public_data / dataset.image_kind.name
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    data = dataset(n_train=200, n_test=n_classes, size=8).load(public_data, seed=1)
    assert np.bincount(data.train.labels).tolist() == [200 // n_classes] * n_classes
    table = pq.ParquetFile(next(folder.glob("train-*.parquet"))).read_row_group(0)
    column = "label" if n_classes == 10 else "fine_label"
    assert data.train.labels.tolist() == table.column(column).to_pylist()[:200]
    image = np.asarray(Image.open(io.BytesIO(table.column("img")[17].as_py()["bytes"])))
    averaged = image.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    kind = dataset.image_kind
    expected = (averaged - np.array(kind.mean)[:, None, None]) / np.array(kind.std)[:, None, None]
    np.testing.assert_allclose(data.train.inputs[17], expected, atol=1e-5)
    # The constants are those of the original data: a random choice comes out near mean 0; averaging lowers the std.
    assert np.abs(data.train.inputs.mean(axis=(0, 2, 3))).max() < 0.2
    assert 0.7 < data.train.inputs.std() < 1.1


def test_only_the_names_that_arrays_need_can_be_unpickled() -> None:
    content = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), b"labels": [1, 2], b"batch_label": b"one"}
    read = cifar_pickles._Safe(io.BytesIO(pickle.dumps(content, protocol=2)), encoding="bytes").load()
    np.testing.assert_array_equal(read[b"data"], content[b"data"])
    with pytest.raises(pickle.UnpicklingError, match="a class or function that no CIFAR file needs"):
        cifar_pickles._Safe(io.BytesIO(pickle.dumps(eval)), encoding="bytes").load()
