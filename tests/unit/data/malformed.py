"""Malformed files and settings of every data set and partition of one's own, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.own_files import LABELS, N_TRAIN, leaf_file, pixels, png, write_parquet

Change = Callable[[Path], None]


def nothing(folder: Path) -> None:
    pass


def npz(**changes: Any) -> Change:
    """x.npz with some arrays replaced, or taken out by None."""

    def change(folder: Path) -> None:
        arrays = {**np.load(folder / "x.npz"), **changes}
        np.savez(folder / "x.npz", **{name: array for name, array in arrays.items() if array is not None})

    return change


def rows(change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "rows.csv") -> Change:
    return lambda folder: change(pd.read_csv(folder / "rows.csv")).to_csv(folder / name, index=False)


def put(name: str, content: bytes | str) -> Change:
    """A file with other content."""

    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def cell(row: int, column: str, value: Any) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return rows(change)


def remove(pattern: str) -> Change:
    return lambda folder: [path.unlink() for path in sorted(folder.glob(pattern))].clear()


def rename(old: str, new: str) -> Change:
    return lambda folder: (folder / old).rename(folder / new) and None


def parquet(images: Any = None, labels: Any = None, split: str = "train", column: str = "image") -> Change:
    def change(folder: Path) -> None:
        own = [png(image) for image in pixels(6, 6, 8)] if images is None else images
        own_labels = [0, 1, 2, 0, 1, 2] if labels is None else labels
        write_parquet(folder / "parquet" / f"{split}-0.parquet", own, own_labels, column)

    return change


def leaf(**users: Any) -> Change:
    return lambda folder: leaf_file(folder / "leaf" / "train" / "all.json", users)


NAN = np.ones((N_TRAIN, 5))
NAN[7, 2] = np.nan
X = np.zeros((N_TRAIN, 5))
Y = LABELS["train"]
NPZ = {"kind": "npz", "file": "x.npz"}
MALFORMED_NPZ: list[tuple[Change, dict[str, Any], str, str]] = [
    (
        npz(y=Y + 1),
        {},
        "first_label",
        "the labels go from 1 to 3; if they count from 1, write first_label: 1",
    ),
    (npz(y=np.where(Y == 1, -1, Y)), {}, "", "Sample 1 of the train set has label -1"),
    (npz(y=Y[:-2]), {}, "file", "24 inputs in 'x' and 22 labels in 'y'"),
    (npz(x=X[:-2]), {}, "file", "22 inputs in 'x' and 24 labels in 'y'"),
    (npz(x=NAN), {}, "", "sample 7 of the file holds nan at [2]"),
    (npz(x=np.where(X == 0, np.inf, X)), {"standardise": False}, "", "sample 0 of the file holds inf at [0]"),
    (npz(y=np.eye(3)[Y]), {}, "", "give one class per sample"),
    (npz(y=Y + 0.5), {}, "", "label of sample 0 is 0.5"),
    (npz(y=np.where(Y == 1, 5, Y)), {}, "", "3 of the 6 classes"),
    (npz(y=Y * 0), {}, "", "one class alone"),
    (npz(y=np.array([], int)), {}, "", "no train labels"),
    (npz(y=None), {}, "labels", "are not in"),
    (npz(x=None), {}, "inputs", "are not in"),
    (nothing, {"inputs": "xx"}, "inputs", "Did you mean 'x'?"),
    (npz(x=np.zeros(N_TRAIN)), {}, "inputs", "have shape (24,)"),
    (npz(x=X.astype(object)), {}, "file", "cannot be read safely"),
    (npz(x=np.full((N_TRAIN, 5), "a")), {}, "", "of type <U1; give numbers"),
    (npz(x_test=X[:4, :3], y_test=Y[:4], x_train=X, y_train=Y, x=None, y=None), {}, "file", "unequal shapes"),
    (npz(x_test=X[:4]), {}, "labels", "of the test set are not in"),
    (npz(x_test=X[:4], y_test=Y[:4] + 9), {}, "", "of the 12 classes"),
    (npz(x_test=X[:0], y_test=Y[:0]), {}, "", "no test labels"),
    (nothing, {"n_classes": 2}, "", "train labels go from 0 to 2, expected 0 to 1"),
    (put("x.npz", b"PK broken"), {}, "file", "cannot be read as .npz"),
    (put("x.npz", b""), {}, "file", "cannot be read as .npz"),
    (nothing, {"file": "nowhere.npz"}, "file", "which is no file; its folder holds"),
    (nothing, {"test_fraction": 1.5}, "test_fraction", "less than 1"),
    (npz(user=Y), {"columns": ["usr"]}, "columns", "Did you mean 'user'?"),
    (npz(user=Y[:5]), {"columns": ["user"]}, "columns", "has shape (5,), and there are 24 training samples"),
    (nothing, {"channels": "middle"}, "channels", "'auto', 'first' or 'last'"),
]
TABLE = {"kind": "table", "file": "rows.csv", "label": "kind", "columns": ["hospital"]}
MALFORMED_TABLE: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"file": "nowhere.csv"}, "file", "holds rows.csv"),
    (nothing, {"file": "text.txt", "label": "kind"}, "label", "lacks"),
    (nothing, {"label": "kin"}, "label", "Did you mean 'kind'?"),
    (nothing, {"label": None}, "label", "is missing; name the column"),
    (nothing, {"name": "iris"}, "", "give either file or name"),
    (nothing, {"file": None}, "", "give either file or name"),
    (nothing, {"file": None, "columns": [], "name": "iris"}, "name", "leave label and test_file out"),
    (nothing, {"drop": ["hight"]}, "drop", "Did you mean 'height'?"),
    (nothing, {"columns": ["user"]}, "columns", "names column 'user'"),
    (nothing, {"drop": ["height", "colour"]}, "", "no column left for inputs"),
    (
        cell(3, "height", None),
        {},
        "",
        "Column 'height' has no value in row 3 of the train table (1 such rows)",
    ),
    (cell(3, "height", "inf"), {}, "", "train inputs are not finite"),
    (cell(4, "kind", None), {}, "label", "is missing in row 4"),
    (cell(3, "height", "tall"), {}, "", "Column 'height' is text with 18 different values"),
    (rows(lambda f: f.iloc[:0]), {}, "", "has no rows"),
    (rows(lambda f: f.assign(kind="same")), {}, "label", "has one value alone, same"),
    (rows(lambda f: f.assign(kind=f["height"] / 7)), {}, "label", "holds 24 different numbers"),
    (rows(lambda f: f.drop(columns="height"), "t.csv"), {"test_file": "t.csv"}, "test_file", "other columns"),
    (
        rows(lambda f: f.assign(kind="new"), "t.csv"),
        {"test_file": "t.csv"},
        "",
        "Class new of the test table",
    ),
    (
        rows(lambda f: f.assign(height="x"), "t.csv"),
        {"test_file": "t.csv"},
        "",
        "numbers in the training table and not",
    ),
    (put("rows.csv", b""), {}, "file", "cannot be read as .csv"),
    (put("rows.parquet", b"no"), {"file": "rows.parquet"}, "file", "cannot be read as .parquet"),
    (put("rows.xls", b"no"), {"file": "rows.xls"}, "file", "give a .csv, .tsv or .parquet file"),
    (put("rows.csv", b'a,b\n"1,2\n'), {}, "file", "cannot be read as .csv"),
]
FOLDER = {"kind": "image_folder", "root": "images"}
GREY = png(np.zeros((4, 4), np.uint8))
MALFORMED_FOLDER: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"root": "nowhere"}, "root", "which is no folder"),
    (nothing, {"root": "x.npz"}, "root", "which is no folder"),
    (nothing, {"root": "leaf"}, "root", "found none"),
    (rename("images/train", "images/tain"), {}, "root", "none called 'train'"),
    (rename("images/test", "images/tset"), {}, "root", "Did you mean 'test'?"),
    (remove("images/train/class1/*"), {}, "", "Class 'class1' has no training image"),
    (remove("images/test/*/*"), {}, "root", "holds no images"),
    (remove("images/train/*/*"), {}, "root", "holds no images"),
    (rename("images/test/class1", "images/test/clas1"), {}, "", "Did you mean 'class1'?"),
    (put("images/test/new/a.png", GREY), {}, "", "Class 'new'"),
    (
        put("images/train/class0/z.png", GREY),
        {},
        "size",
        "is 4 x 4 pixels, the first one 8 x 6; write size: 6",
    ),
    (put("images/test/class0/z.png", GREY), {}, "size", "is 4 x 4 pixels"),
    (put("images/train/class0/000.png", b"no"), {}, "", "class0/000.png cannot be read"),
    (put("images/train/class2/z.png", b""), {}, "", "class2/z.png cannot be read"),
    (put("images/train/class2/z.png", png(pixels(1, 6, 8, 3)[0])[:100]), {}, "", "z.png"),
    (put("images/one/a/a.png", GREY), {"root": "images/one"}, "root", "found one, 'a'"),
    (nothing, {"size": 0}, "size", "greater than 0"),
    (nothing, {"size": [4]}, "size", "found [4]"),
    (nothing, {"fit": "squash"}, "fit", "'stretch' or 'crop'"),
    (nothing, {"colour": "blue"}, "colour", "'auto', 'grey' or 'rgb'"),
    (nothing, {"test_fraction": 0}, "test_fraction", "greater than 0"),
]
PARQUET = {"kind": "parquet_images", "root": "parquet"}
MALFORMED_PARQUET: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"root": "nowhere"}, "root", "which is no folder"),
    (nothing, {"root": "leaf"}, "root", "holds no train-*.parquet"),
    (remove("parquet/train-*"), {}, "root", "holds no train-*.parquet"),
    (parquet(column="picture"), {}, "image", "is no column of"),
    (nothing, {"image": "imag"}, "image", "Did you mean 'image'?"),
    (nothing, {"label": "labels"}, "label", "Did you mean 'label'?"),
    (parquet(labels=[1, 2, 3, 1, 2, 3]), {}, "", "if they count from 1"),
    (parquet(labels=[0, 1, -1, 0, 1, 2]), {}, "", "Sample 2 of the train set has label -1"),
    (parquet(labels=[0, 1, None, 0, 1, 2]), {}, "", "1 rows without 'label'"),
    (parquet(labels=[0, 1, 9, 0, 1, 2]), {}, "", "of the 10 classes"),
    (parquet(labels=[0] * 6), {}, "", "of the 3 classes"),
    (parquet(labels=[0.5] * 6), {}, "", "label of sample 0 is 0.5"),
    (parquet(labels=[[0, 1]] * 6), {}, "", "shape (6, 2)"),
    (parquet(images=[None] * 6), {}, "", "row 0 of the train files of"),
    (parquet(images=[b"no"] * 6), {}, "", "in row 0 of the train files"),
    (parquet(images=[png(pixels(1, 6, 8)[0])] * 5 + [GREY]), {}, "size", "images differ: in row 5"),
    (parquet(images=[GREY] * 6, split="test"), {}, "size", "images differ"),
    (parquet(images=[], labels=pa.array([], pa.int64())), {}, "", "no train labels"),
    (put("parquet/train-0.parquet", b"no"), {}, "", "cannot be read as parquet"),
    (nothing, {"n_classes": 1}, "n_classes", "greater than or equal to 2"),
    (nothing, {"n_classes": 2}, "", "expected 0 to 1"),
]
LEAF = {"kind": "leaf", "root": "leaf"}
OK = ([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]], [0, 1])
MALFORMED_LEAF: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"root": "nowhere"}, "root", "which is no folder"),
    (nothing, {"root": "parquet"}, "root", "holds no train/*.json and no *.json"),
    (put("leaf/train/all.json", "{"), {}, "root", "cannot be read (DocumentError: it is no JSON"),
    (put("leaf/train/all.json", "[]"), {}, "root", "LEAF's files hold {users"),
    (put("leaf/train/all.json", '{"users": ["a"]}'), {}, "root", "KeyError: 'user_data'"),
    (put("leaf/train/all.json", '{"users": ["a"], "user_data": {}}'), {}, "root", "KeyError: 'a'"),
    (
        put("leaf/train/all.json", '{"users": ["a"], "user_data": {"a": {"x": []}}}'),
        {},
        "root",
        "KeyError: 'y'",
    ),
    (put("leaf/train/all.json", '{"users": [], "user_data": {}}'), {}, "root", "holds no samples"),
    (leaf(a=OK, b=OK, c=([[1, 2, 3]], [0, 1])), {}, "root", "user 'c' of"),
    (leaf(a=OK, b=OK, c=([[1, 2], [1, 2]], [0, 1])), {}, "root", "not lists of equally many numbers"),
    (leaf(a=OK, b=OK, c=([["a", 2, 3]], [0])), {}, "root", "not lists of equally many numbers"),
    (leaf(a=OK, b=OK, c=([[1, 2, float("nan")]], [0])), {}, "", "sample 4 holds nan at [2]"),
    (leaf(a=OK, b=OK, c=([[1, 2, 3]], [-1])), {}, "", "Sample 4 of the train set has label -1"),
    (leaf(a=OK, b=OK, c=([[1, 2, 3]], [7])), {}, "", "of the 8 classes"),
    (leaf(a=OK, b=OK, c=([[1, 2, 3]], [0.5])), {}, "", "label of sample 4 is 0.5"),
    (leaf(a=OK, b=OK), {}, "partition.column", "has 2 different values for 3 clients"),
    (leaf(**{k: ([[1.0, 2.0]], [int(k == "a")]) for k in "abc"}), {}, "root", "differ in shape"),
    (
        leaf(a=(["ab"], ["c"]), b=(["ab", "abc"], ["a", "b"]), c=(["ab"], ["a"])),
        {},
        "",
        "have 2 to 3 characters",
    ),
    (nothing, {"input_shape": [2, 2]}, "input_shape", "does not fit an x of shape (3,)"),
    (nothing, {"input_shape": [0]}, "input_shape.0", "greater than 0"),
    (nothing, {"n_classes": 1}, "n_classes", "greater than or equal to 2"),
    (
        nothing,
        {"partition": {"kind": "by_column", "column": "usr"}},
        "partition.column",
        "Did you mean 'user'?",
    ),
]
TEXT = {"kind": "text", "file": "text.txt", "length": 4}
MALFORMED_TEXT: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"file": "nowhere.txt"}, "file", "which is no file"),
    (nothing, {"file": "leaf"}, "file", "which is no file"),
    (put("text.txt", b"\xff\xfe\x00"), {}, "file", "no text in UTF-8"),
    (put("text.txt", b""), {}, "file", "holds 0 different characters"),
    (put("text.txt", b"\n\n \n"), {}, "file", "holds 0 different characters"),
    (put("text.txt", b"aaaaaaaaaaaaaaaaaaa"), {}, "file", "holds 1 different characters"),
    (put("text.txt", b"abc"), {}, "length", "the longest document has 3 tokens"),
    (put("text.txt", "\n\n".join(["abcde"] * 9)), {}, "length", "leaves no train window"),
    (nothing, {"length": 100}, "length", "leaves no train window"),
    (nothing, {"length": 30}, "length", "leaves no train window"),
    (nothing, {"length": 0}, "length", "greater than 0"),
    (nothing, {"length": "long"}, "length", "a valid integer"),
    (nothing, {"length": 2.5}, "length", "a valid integer"),
    (nothing, {"stride": 0}, "stride", "greater than 0"),
    (nothing, {"stride": -1}, "stride", "greater than 0"),
    (nothing, {"level": "word"}, "level", "'character' or 'byte'"),
    (nothing, {"test_fraction": 0}, "test_fraction", "greater than 0"),
    (nothing, {"test_fraction": 1}, "test_fraction", "less than 1"),
    (nothing, {"test_fraction": 0.95}, "length", "leaves no train window"),
    (nothing, {"lenght": 3}, "lenght", "Did you mean 'length'?"),
    (
        nothing,
        {"partition": {"kind": "by_column", "column": "documents"}},
        "partition.column",
        "mean 'document'",
    ),
]


def lists(content: Any) -> Change:
    return put("lists.json", json.dumps(content))


def arrays(**content: Any) -> Change:
    return lambda folder: np.savez(folder / "lists.npz", **content)


ALL = list(range(N_TRAIN))
FILE = {"kind": "npz", "file": "t.npz", "partition": {"kind": "file", "file": "lists.json"}}
MALFORMED_FILE: list[tuple[Change, dict[str, Any], str, str]] = [
    (lists([ALL[:8], ALL[8:16], ALL[15:]]), {}, "", "sample 15 to clients 1 and 2"),
    (lists([ALL[:8], ALL[8:16], ALL[17:]]), {}, "", "1 of 24 training samples are nobody's: sample 16"),
    (lists([ALL[:8], [*ALL[8:16], 9], ALL[16:]]), {}, "", "sample 9 to client 1 twice"),
    (lists([[*ALL[:8], -1], ALL[8:16], ALL[16:]]), {}, "", "Client 0 has sample -1"),
    (
        lists([ALL[:8], ALL[8:16], [*ALL[16:], 24]]),
        {},
        "",
        "Client 2 has sample 24; samples count from 0 to 23",
    ),
    (lists([i + 1 for i in ALL]), {}, "file", "holds no lists of indices"),
    (lists([ALL[:12], ALL[12:]]), {}, "file", "has lists for 2 clients, the scenario 3"),
    (lists([ALL[:8], ALL[8:], []]), {}, "", "Client 2 needs a list of at least one sample"),
    (
        lists([ALL[:8], ALL[8:16], [i + 0.5 for i in ALL[16:]]]),
        {},
        "",
        "samples of client 2 are of type float64",
    ),
    (lists([ALL[:8], ALL[8:16], ["a"]]), {}, "", "samples of client 2 are of type <U1"),
    (lists([ALL[:8], ALL[8:16], [[16], [17, 18]]]), {}, "file", "whole numbers alone"),
    (lists([ALL[:8], ALL[8:16], [True, False]]), {}, "", "of type bool"),
    (lists([ALL[:8], ALL[8:16], None]), {}, "file", "holds no lists of indices"),
    (lists("all"), {}, "file", "holds no lists of indices"),
    (put("lists.json", "[[0, 1,"), {}, "file", "cannot be read as JSON"),
    (put("lists.json", b"\xff"), {}, "file", "cannot be read as JSON"),
    (nothing, {"file": "nowhere.json"}, "file", "which is no file"),
    (arrays(a=np.arange(24)), {"file": "lists.npz"}, "file", "has lists for 1 clients"),
    (put("lists.npz", b"no"), {"file": "lists.npz"}, "file", "cannot be read as .npz"),
    (
        arrays(**{str(k): np.array([{}]) for k in range(3)}),
        {"file": "lists.npz"},
        "file",
        "cannot be read as .npz",
    ),
    (arrays(**{str(k): np.arange(k, 25, 3) for k in range(3)}), {"file": "lists.npz"}, "", "has sample 24"),
    (nothing, {"leftover": "kept"}, "leftover", "'refused' or 'unused'"),
    (lists([ALL[:8], ALL[8:16], ALL[16:]]), {"sizes": [8, 8, 9]}, "sizes", "asks for 9 samples for client 2"),
    (lists([ALL[:8], ALL[8:16], ALL[16:]]), {"label_noise": 1.5}, "label_noise", "less than or equal to 1"),
    (
        lists([ALL[:8], ALL[8:16], ALL[16:]]),
        {"label_noise": [0, 0.5]},
        "label_noise",
        "2 values for 3 clients",
    ),
]
LEAF_USERS = {"kind": "leaf", "root": "leaf", "partition": {"kind": "by_column", "column": "user"}}
MANY = leaf(**{f"u{k}": OK for k in range(5)})
MALFORMED_COLUMN: list[tuple[Change, dict[str, Any], str, str]] = [
    (nothing, {"column": "usr"}, "column", "known: user; choose one of them. Did you mean 'user'?"),
    (nothing, {"column": ""}, "column", "known: user"),
    (nothing, {"column": "row"}, "column", "'row' is not known of the samples"),
    (nothing, {"column": 3}, "column", "a valid string"),
    (nothing, {"column": ["user"]}, "column", "a valid string"),
    (nothing, {"colunm": "user"}, "colunm", "Did you mean 'column'?"),
    (
        leaf(a=(OK[0] * 3, OK[1] * 3)),
        {},
        "column",
        "has 1 different values for 3 clients; use 1 clients or fewer",
    ),
    (leaf(a=OK, b=OK), {}, "column", "has 2 different values for 3 clients"),
    (leaf(a=OK, b=OK), {"surplus": "unused"}, "column", "has 2 different values for 3 clients"),
    (MANY, {"surplus": "refused"}, "column", "use 5 clients or fewer, or surplus: dealt"),
    (nothing, {"surplus": "kept"}, "surplus", "'dealt', 'unused' or 'refused'"),
    (nothing, {"surplus": True}, "surplus", "'dealt', 'unused' or 'refused'"),
    (nothing, {"sizes": [2, 3]}, "sizes", "has 2 values for 3 clients"),
    (nothing, {"sizes": [2, 3, 5]}, "sizes", "asks for 5 samples for client 2, whose part holds 4"),
    (nothing, {"sizes": [0, 1, 1]}, "sizes.0", "greater than 0"),
    (nothing, {"sizes": 3}, "sizes", "a list"),
    (nothing, {"label_noise": -0.1}, "label_noise", "greater than or equal to 0"),
    (nothing, {"label_noise": 2}, "label_noise", "less than or equal to 1"),
    (nothing, {"label_noise": [0.1]}, "label_noise", "has 1 values for 3 clients"),
    (nothing, {"label_noise": "some"}, "label_noise", "a valid number"),
    (nothing, {"kind": "by_colum"}, "kind", "Did you mean 'by_column'?"),
]
BASES: dict[str, tuple[dict[str, Any], list[tuple[Change, dict[str, Any], str, str]]]] = {
    "npz": (NPZ, MALFORMED_NPZ),
    "table": (TABLE, MALFORMED_TABLE),
    "image_folder": (FOLDER, MALFORMED_FOLDER),
    "parquet_images": (PARQUET, MALFORMED_PARQUET),
    "leaf": (LEAF, MALFORMED_LEAF),
    "text": (TEXT, MALFORMED_TEXT),
    "file": (FILE, MALFORMED_FILE),
    "by_column": (LEAF_USERS, MALFORMED_COLUMN),
}
