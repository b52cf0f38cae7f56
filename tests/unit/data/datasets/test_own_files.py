"""Data sets of the user's own files hold what the files hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_wine
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torchvision.datasets import ImageFolder as TorchFolder

from gapslsim import DataError, stratified_split, stream
from gapslsim.data.dataset import LoadedData
from gapslsim.data.datasets.image_folder import ImageFolder
from gapslsim.data.datasets.leaf import Leaf
from gapslsim.data.datasets.npz import Npz
from gapslsim.data.datasets.parquet_images import ParquetImages
from gapslsim.data.datasets.table import Table
from gapslsim.data.datasets.text import Text
from gapslsim.data.division import load_sound
from tests.own_files import LABELS, own_files, pixels, png, write_parquet


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_files(tmp_path_factory.mktemp("own"))


def images(split: str) -> np.ndarray:
    """Channels first, from 0 to 1."""
    return pixels(len(LABELS[split]), 6, 8, 3).transpose(0, 3, 1, 2) / 255


def standard(of: np.ndarray) -> np.ndarray:
    """By mean and deviation of each channel of the training images."""
    train = images("train")
    return (of - train.mean((0, 2, 3), keepdims=True)) / train.std((0, 2, 3), keepdims=True)


def check(data: LoadedData, train: np.ndarray, test: np.ndarray) -> None:
    np.testing.assert_allclose(data.train.inputs, train, atol=1e-5)
    np.testing.assert_allclose(data.test.inputs, test, atol=1e-5)
    assert data.train.inputs.dtype == np.float32
    assert data.input_shape == train.shape[1:]


def test_medmnists_layout_is_read_standardised_by_the_training_set(own: Path) -> None:
    data = load_sound(Npz(file=own / "medmnist.npz"), None, 1)
    check(data, standard(images("train")), standard(images("test")))
    assert data.train.labels.tolist() == LABELS["train"].tolist()
    assert (data.test.labels.tolist(), data.n_classes) == (LABELS["test"].tolist(), 3)
    raw = load_sound(Npz(file=own / "medmnist.npz", standardise=False), None, 1)
    check(raw, images("train"), images("test"))
    assert raw.key != data.key


def test_plain_x_and_y_keep_a_test_set_of_their_own_and_its_rows_never_scale(own: Path) -> None:
    data = load_sound(Npz(file=own / "x.npz", test_fraction=0.25), None, 1)
    x = np.load(own / "x.npz")["x"]
    rows = [data.train.columns["row"], data.test.columns["row"]]
    assert sorted(np.concatenate(rows)) == list(range(24))
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    scaler = StandardScaler().fit(x[rows[0]])
    check(data, scaler.transform(x[rows[0]]), scaler.transform(x[rows[1]]))
    again = load_sound(Npz(file=own / "x.npz", test_fraction=0.25), None, 99)
    assert (again.key, again.test.labels.tolist()) == (data.key, data.test.labels.tolist())


def test_labels_from_1_and_names_become_classes_from_0(tmp_path: Path) -> None:
    x = np.zeros((6, 2))
    np.savez(tmp_path / "one.npz", x=x, y=[1, 2, 3, 1, 2, 3])
    assert np.unique(
        load_sound(Npz(file=tmp_path / "one.npz", first_label=1), None, 1).train.labels
    ).tolist() == [0, 1, 2]
    np.savez(tmp_path / "names.npz", x_train=x, y_train=list("cabcab"), x_test=x[:2], y_test=["b", "c"])
    data = load_sound(Npz(file=tmp_path / "names.npz"), None, 1)
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([2, 0, 1, 2, 0, 1], [1, 2])


@pytest.mark.parametrize(
    ("shape", "dtype", "channels", "expected"),
    [
        ((6, 4, 5), np.uint8, "auto", (1, 4, 5)),
        ((6, 4, 5), np.float64, "auto", (4, 5)),
        ((6, 4, 5, 3), np.float32, "auto", (3, 4, 5)),
        ((6, 3, 4, 5), np.uint8, "auto", (3, 4, 5)),
        ((6, 3, 4, 3), np.uint8, "auto", (3, 4, 3)),
        ((6, 3, 4, 3), np.uint8, "last", (3, 3, 4)),
        ((6, 4, 5, 3), np.uint8, "first", (4, 5, 3)),
    ],
)
def test_channels_come_first(
    tmp_path: Path, shape: tuple[int, ...], dtype: type, channels: str, expected: tuple[int, ...]
) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(shape, dtype), y=[0, 1] * 3)
    data = load_sound(Npz(file=tmp_path / "a.npz", channels=channels), None, 1)
    assert data.input_shape == expected
    assert data.train.inputs.shape[1:] == expected


def test_other_content_under_the_same_path_has_another_key(tmp_path: Path) -> None:
    keys = set()
    for value in (0.0, 1.0):
        np.savez(tmp_path / "a.npz", x=np.full((4, 2), value), y=[0, 1, 0, 1])
        keys.add(Npz(file=tmp_path / "a.npz").load(None, 1).key)
    assert len(keys) == 2


def test_a_table_has_numbers_standardised_and_text_one_hot_as_scikit_learn_does(own: Path) -> None:
    data = load_sound(Table(file=own / "rows.csv", label="kind", columns=("hospital",)), None, 1)
    frame = pd.read_csv(own / "rows.csv")
    scaler = StandardScaler()
    train_rows = stratified_split(np.arange(24) % 3, 0.2, stream(0, "data", "table", "split"))[0]
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(frame[["colour"]])
    raw = np.column_stack([frame["height"], one_hot])
    scaler.fit(raw[train_rows])
    np.testing.assert_allclose(data.train.inputs, scaler.transform(raw[train_rows]), atol=1e-5)
    assert data.train.labels.tolist() == (train_rows % 3).tolist()
    assert data.train.columns["hospital"].tolist() == [f"h{row % 4}" for row in train_rows]


def test_a_test_file_is_read_as_the_training_file_was(own: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(own / "rows.csv")
    frame.to_parquet(tmp_path / "train.parquet")
    frame.iloc[[3, 7]].to_csv(tmp_path / "test.csv", index=False)
    settings = {"file": tmp_path / "train.parquet", "test_file": tmp_path / "test.csv", "label": "kind"}
    data = load_sound(Table(**settings, drop=("hospital",)), None, 1)
    assert (len(data.train), data.test.labels.tolist()) == (24, [0, 1])
    np.testing.assert_array_equal(data.test.inputs, data.train.inputs[[3, 7]])


def test_scikit_learns_tables_come_by_name() -> None:
    data = load_sound(Table(name="wine", test_fraction=0.3, standardise=False), None, 1)
    wine = load_wine()
    whole = np.concatenate([data.train.inputs, data.test.inputs])
    np.testing.assert_allclose(np.sort(whole, axis=0), np.sort(wine.data.astype(np.float32), axis=0))
    assert np.bincount(data.test.labels).tolist() == [round(0.3 * n) for n in np.bincount(wine.target)]


def test_numbers_as_labels_are_classes_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(12), "y": [10, 9, 100] * 4}).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame({"a": [1, 2], "y": [100, 10]}).to_csv(tmp_path / "test.csv", index=False)
    data = Table(file=tmp_path / "t.csv", test_file=tmp_path / "test.csv", label="y").load(None, 1)
    assert data.train.labels.tolist() == [1, 0, 2] * 4
    assert data.test.labels.tolist() == [2, 1]


def test_a_folder_of_images_is_read_in_torchvisions_order(own: Path) -> None:
    data = load_sound(ImageFolder(root=own / "images", standardise=False), None, 1)
    for split, part in (("train", data.train), ("test", data.test)):
        theirs = TorchFolder(str(own / "images" / split))
        assert part.labels.tolist() == theirs.targets
        expected = np.stack([np.asarray(image).transpose(2, 0, 1) / 255 for image, _ in theirs])
        np.testing.assert_allclose(part.inputs, expected, atol=1e-6)
    scaled = load_sound(ImageFolder(root=own / "images"), None, 1)
    np.testing.assert_allclose(scaled.train.inputs.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.train.inputs.std((0, 2, 3)), 1, atol=1e-5)


def test_images_are_resized_or_cut_and_made_grey(own: Path) -> None:
    first = Image.open(own / "images" / "train" / "class0" / "000.png")
    data = load_sound(ImageFolder(root=own / "images", size=4, colour="grey", standardise=False), None, 1)
    expected = np.asarray(first.convert("L").resize((4, 4), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(data.train.inputs[0, 0], expected, atol=1e-6)
    cut = load_sound(ImageFolder(root=own / "images", size=(6, 6), fit="crop", standardise=False), None, 1)
    np.testing.assert_allclose(
        cut.train.inputs[0], np.asarray(first).transpose(2, 0, 1)[:, :, 1:7] / 255, atol=1e-6
    )


def test_a_folder_without_a_test_set_keeps_part_of_each_class(own: Path) -> None:
    data = load_sound(ImageFolder(root=own / "images" / "train", test_fraction=0.25), None, 1)
    assert np.bincount(data.train.labels).tolist() == [6, 6, 6]
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]


def test_hugging_face_parquet_of_any_size_and_colour_is_read(own: Path, tmp_path: Path) -> None:
    data = load_sound(ParquetImages(root=own / "parquet", standardise=False), None, 1)
    assert data.input_shape == (1, 6, 8)
    np.testing.assert_allclose(data.train.inputs[:, 0], pixels(24, 6, 8, 3)[..., 0] / 255, atol=1e-6)
    of_two_sizes = [png(pixels(1, 9, 7, 3)[0]), png(pixels(1, 5, 5, 3)[0])] * 3
    write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet", of_two_sizes, list("abcabc"), "img")
    mixed = load_sound(ParquetImages(root=tmp_path, size=[5, 3], n_classes=None, test_fraction=0.5), None, 1)
    assert (mixed.input_shape, mixed.n_classes) == ((3, 5, 3), 3)
    assert len(mixed.train) == len(mixed.test) == 3
    assert mixed.train.inputs.shape == (3, 3, 5, 3)


@pytest.mark.data
def test_the_public_cifar_files_are_read_as_any_parquet() -> None:
    from gapslsim.data.datasets.cifar10 import Cifar10
    from gapslsim.data.source import public_data_folder

    folder = public_data_folder()
    if folder is None or not list((folder / "cifar10").glob("test-*.parquet")):
        pytest.skip("no CIFAR-10 in the public data")
    own, shipped = ParquetImages(root=folder / "cifar10", standardise=False), Cifar10()
    ours, theirs = own.load(folder, 1).test, shipped.load(folder, 1).test
    assert ours.labels.tolist() == theirs.labels.tolist()
    kind = Cifar10.image_kind
    mean, std = (np.array(each)[:, None, None] for each in (kind.mean, kind.std))
    np.testing.assert_allclose((ours.inputs[:50] - mean) / std, theirs.inputs[:50], atol=1e-4)


def test_leaf_has_users_and_numbers(own: Path) -> None:
    data = load_sound(Leaf(root=own / "leaf", standardise=False), None, 1)
    assert data.train.columns["user"].tolist() == ["u0"] * 2 + ["u1"] * 3 + ["u2"] * 4
    assert data.train.inputs.tolist()[2:5] == [[1, 1, 0], [1, 1, 2], [1, 1, 4]]
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 1]
    assert load_sound(Leaf(root=own / "leaf", input_shape=[3, 1]), None, 1).input_shape == (3, 1)


def test_leafs_texts_become_characters_and_the_next_one(tmp_path: Path) -> None:
    from tests.own_files import leaf_file

    for split in ("train", "test"):
        leaf_file(
            tmp_path / split / "a.json", {"romeo": (["abc", "bca"], ["a", "b"]), "juliet": (["cab"], ["c"])}
        )
    data = load_sound(Leaf(root=tmp_path), None, 1)
    assert data.train.inputs.tolist() == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    assert data.train.inputs.dtype == np.int64
    assert (data.train.labels.tolist(), data.n_classes) == ([0, 1, 2], 3)


def test_a_text_gives_windows_and_the_character_that_follows(tmp_path: Path) -> None:
    text = "abcdefghij" * 5
    (tmp_path / "t.txt").write_text(f"{text}\n\n{text[::-1]}\n")
    data = load_sound(Text(file=tmp_path / "t.txt", length=3), None, 1)
    assert data.n_classes == 10
    assert data.train.inputs.dtype == np.int64
    # 47 windows of each document, of which 9 are kept for testing and 3 lie between.
    assert [len(data.train), len(data.test)] == [2 * 35, 2 * 9]
    forward = data.train.columns["document"] == 0
    assert forward.sum() == 35
    assert ((data.train.inputs[forward][:, -1] + 1) % 10 == data.train.labels[forward]).all()
    assert ((data.train.inputs[~forward][:, -1] - 1) % 10 == data.train.labels[~forward]).all()
    assert data.train.inputs[0].tolist() == [0, 1, 2]
    assert data.test.inputs[0].tolist() == [8, 9, 0]


def test_the_embedded_text_has_eight_documents_and_bytes_are_a_level_of_their_own() -> None:
    data = load_sound(Text(length=16, stride=3), None, 1)
    assert len(np.unique(data.train.columns["document"])) == 8
    assert 40 < data.n_classes < 80
    as_bytes = load_sound(Text(length=16, stride=3, level="byte"), None, 1)
    assert as_bytes.n_classes == 256
    assert bytes(as_bytes.train.inputs[0].tolist()) == b"Shall I compare "
    assert chr(as_bytes.train.labels[0]) == "t"


def several(n: int) -> np.ndarray:
    return (np.random.default_rng(n).random((n, 3)) < 0.4).astype(np.uint8)


def test_several_labels_and_numbers_are_read_from_npz_as_they_are(tmp_path: Path) -> None:
    x, y = np.arange(40.0).reshape(20, 2), several(20)
    np.savez(tmp_path / "own.npz", x=x, y=y, user=np.arange(20))
    data = load_sound(Npz(file=tmp_path / "own.npz", target="labels", columns=("user",)), None, 1)
    rows = data.train.columns["user"]
    assert (data.n_classes, data.target, len(data.train), len(data.test)) == (3, "labels", 16, 4)
    np.testing.assert_array_equal(data.train.labels, y[rows])
    np.testing.assert_array_equal(data.test.labels, y[np.setdiff1d(np.arange(20), rows)])
    np.savez(tmp_path / "own.npz", x=x, y=x[:, 0] / 3)
    data = load_sound(Npz(file=tmp_path / "own.npz", target="numbers"), None, 1)
    assert (data.n_classes, data.train.labels.shape) == (1, (16, 1))
    np.testing.assert_array_equal(data.train.labels[:, 0], x[rows, 0] / 3)


def test_several_labels_and_numbers_are_columns_of_a_table(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"x": range(20), "a": several(20)[:, 0], "b": several(20)[:, 1], "y": np.arange(20) / 7}
    )
    frame.to_csv(tmp_path / "own.csv", index=False)
    own = {"file": tmp_path / "own.csv", "columns": ("x",)}
    data = load_sound(Table(**own, label=("a", "b"), target="labels"), None, 1)
    np.testing.assert_array_equal(data.train.labels, frame[["a", "b"]].to_numpy()[data.train.columns["x"]])
    assert data.input_shape == (1,)
    data = load_sound(Table(**own, label="y", target="numbers"), None, 1)
    np.testing.assert_array_equal(data.train.labels[:, 0], data.train.columns["x"] / 7)
    data = load_sound(Table(name="diabetes", target="numbers"), None, 1)
    assert (data.n_classes, data.input_shape, len(data.train)) == (1, (10,), 354)


@pytest.mark.parametrize(
    ("y", "settings", "told"),
    [
        (np.full((20, 2), 2), {"target": "labels"}, "sample 0 is 2 at 0"),
        (np.full((20, 2), np.nan), {"target": "numbers"}, "must be finite"),
        (np.full((20, 2), "a"), {"target": "numbers"}, "of type <U1"),
        (np.zeros((20, 2, 2)), {"target": "numbers"}, "a row per sample"),
        (np.zeros((19, 2)), {"target": "numbers"}, "20 inputs"),
        (several(20), {}, "several labels per sample are target: labels"),
    ],
)
def test_labels_that_are_not_what_is_said_are_refused(
    tmp_path: Path, y: np.ndarray, settings: dict[str, Any], told: str
) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((20, 2)), y=y)
    with pytest.raises(DataError, match=told):
        load_sound(Npz(file=tmp_path / "own.npz", **settings), None, 1)


@pytest.mark.parametrize(
    "settings",
    [{"name": "diabetes"}, {"name": "iris", "target": "numbers"}, {"file": "a.csv", "label": ("a", "b")}],
)
def test_a_table_whose_label_is_something_else_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="write target"):
        Table(**settings)


def test_medmnists_validation_arrays_are_ignored_trained_on_or_tested_on(tmp_path: Path) -> None:
    sizes = {"train": 9, "val": 4, "test": 5}
    start = {"train": 0, "val": 100, "test": 200}
    arrays = {
        f"{split}_images": start[split] + np.arange(2.0 * n).reshape(n, 2) for split, n in sizes.items()
    }
    arrays |= {f"{split}_labels": (np.arange(n) % 2)[:, None] for split, n in sizes.items()}
    arrays |= {f"{split}_user": start[split] + np.arange(n) for split, n in sizes.items()}
    np.savez(tmp_path / "med.npz", **arrays)
    keys = set()
    for val, train, test in (
        ("ignore", ["train"], ["test"]),
        ("train", ["train", "val"], ["test"]),
        ("test", ["train"], ["val"]),
    ):
        own = Npz(file=tmp_path / "med.npz", val=val, standardise=False, columns=("user",))
        data = load_sound(own, None, 1)
        for part, splits in ((data.train, train), (data.test, test)):
            np.testing.assert_array_equal(
                part.inputs, np.concatenate([arrays[f"{s}_images"] for s in splits])
            )
            assert (
                part.labels.tolist() == np.concatenate([arrays[f"{s}_labels"][:, 0] for s in splits]).tolist()
            )
        users = np.concatenate([arrays[f"{s}_user"] for s in train])
        np.testing.assert_array_equal(data.train.columns["user"], users)
        keys.add(data.key)
    assert len(keys) == 3


def test_validation_arrays_that_are_not_there_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((4, 2)), y=np.arange(4) % 2)
    with pytest.raises(DataError, match="write val: ignore"):
        Npz(file=tmp_path / "own.npz", val="train").load(None, 1)


def test_what_is_no_file_among_images_is_refused_in_words(own: Path, tmp_path: Path) -> None:
    shutil.copytree(own / "images", tmp_path / "images")
    odd = next((tmp_path / "images").rglob("*.png")).with_name("odd.png")
    for make in (
        lambda: os.mkfifo(odd),
        odd.mkdir,
        lambda: odd.symlink_to("nowhere"),
        lambda: odd.symlink_to(odd),
    ):
        make()
        with pytest.raises(DataError, match=r"odd\.png cannot be read .* replace it or take it out"):
            ImageFolder(root=tmp_path / "images", size=4).load(None, 0)
        odd.rmdir() if odd.is_dir() and not odd.is_symlink() else odd.unlink()
