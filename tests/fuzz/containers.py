"""Changes inside files that have a structure: Parquet, npz, zip, gzip, pickles, the frames of a journal."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gapslsim.learning.journal._frames import Frame, frame_bytes, scan
from tests.fuzz.trees import mutate_tree
from tests.fuzz.values import PATHS, TEXTS, any_value, number

__all__ = ["Inner", "frames", "gz", "npz", "parquet", "pickled", "zipped"]

Inner = Callable[[bytes, str], bytes]
"""Changes the content of a file of this name."""


class _Harmful:
    """What a pickle must never do."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch pwned",)


def _column(values: pd.Series, dice: Random) -> pd.Series:
    how = dice.randrange(8)
    if how <= 2 and len(values):
        texts = values.dtype == object
        values = values.astype(object)
        for row in {0, dice.randrange(len(values))} if dice.random() < 0.8 else range(len(values)):
            values.iloc[row] = dice.choice(TEXTS + PATHS) if texts else float(number(dice))
        return values if texts else values.astype(float)
    changes: list[Callable[[], Any]] = [
        lambda: values.astype(str), lambda: values.astype(bool), lambda: [None] * len(values),
        lambda: [[1, 2]] * len(values), lambda: [{"a": 1}] * len(values),
        lambda: pd.to_datetime([0] * len(values)), lambda: values.astype("category"),
        lambda: [b"\xff"] * len(values), lambda: [float(number(dice))] * len(values),
        lambda: values[::-1].to_numpy(),
    ]  # fmt: skip
    return pd.Series(dice.choice(changes)(), index=values.index)


def parquet(data: bytes, dice: Random) -> bytes:
    """Columns renamed, dropped, doubled, of other types, with other values; rows gone, doubled or out of order."""
    table = pd.read_parquet(io.BytesIO(data))
    for _ in range(dice.choice([1, 1, 2])):
        name, how = dice.choice(list(table.columns)), dice.randrange(10)
        if how <= 4:
            table[name] = _column(table[name], dice)
        elif how == 5:
            table = table.drop(columns=name)
        elif how == 6:
            table = table.rename(columns={name: dice.choice(TEXTS)})
        elif how == 7:
            table = table.iloc[: dice.choice([0, 0, 1])]
        elif how == 8:
            table = pd.concat([table, table], ignore_index=True)
        else:
            table = table.sample(frac=1, random_state=dice.randrange(1000))
        if not len(table.columns):
            break
    arrow = pa.Table.from_pandas(table, preserve_index=dice.random() < 0.1)
    if dice.random() < 0.05 and arrow.num_columns:
        arrow = arrow.append_column(arrow.column_names[0], arrow.column(0))  # a name twice
    out = io.BytesIO()
    pq.write_table(arrow, out)
    return out.getvalue()


def npz(data: bytes, dice: Random) -> bytes:
    """Arrays of other names, shapes and types, objects (pickles) among them."""
    arrays = dict(np.load(io.BytesIO(data)))
    name = dice.choice(list(arrays))
    array = arrays[name]
    changes: list[Callable[[], Any]] = [
        lambda: array.astype(object), lambda: np.array([_Harmful()], dtype=object), lambda: array.astype(str),
        lambda: array.astype(complex), lambda: array.astype(bool), lambda: array.astype("f2"),
        lambda: array.reshape(-1), lambda: array[..., None], lambda: array[:0], lambda: np.float64(3),
        lambda: np.full(array.shape, number(dice), dtype=float), lambda: array[: len(array) // 2],
        lambda: -array.astype(float), lambda: array.astype(float) + 0.5, lambda: np.zeros((0, 3)),
        lambda: array.T, lambda: np.zeros(1, dtype=[("a", "i4")]),
        lambda: np.array(["2026-01-01"], dtype="M8[D]"),
    ]  # fmt: skip
    if dice.random() < 0.15:
        arrays[
            dice.choice([t for t in TEXTS if "/" not in t and "\0" not in t and "\ud800" not in t][:10])
            or "x"
        ] = arrays.pop(name)
    else:
        arrays[name] = dice.choice(changes)()
    out = io.BytesIO()
    np.savez(out, **{key or "empty": value for key, value in arrays.items()})
    return out.getvalue()


def zipped(data: bytes, dice: Random, inner: Inner) -> bytes:
    """A member changed, renamed, left out, doubled, or of a great size when it is unpacked."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen, how = dice.choice(names), dice.randrange(8)
        for name in names:
            content = old.read(name)
            if name == chosen:
                if how == 0:
                    continue
                content = bytes(300_000_000) if how == 1 else inner(content, name)
                name = dice.choice(["../pwned", "/tmp/pwned", "x" * 200, name]) if how == 2 else name
            new.writestr(name, content)
    return out.getvalue()


def gz(data: bytes, dice: Random, inner: Inner, name: str) -> bytes:
    """Its content changed; sometimes a bomb."""
    if dice.random() < 0.08:
        # Members one after another: to pack all of it takes longer than most commands may.
        return gzip.compress(gzip.decompress(data)[:64], mtime=0) + 15 * gzip.compress(
            bytes(100_000_000), 1, mtime=0
        )
    return gzip.compress(inner(gzip.decompress(data), name.removesuffix(".gz")), mtime=0)


def pickled(data: bytes, dice: Random) -> bytes:
    """Other values; sometimes code, or shared lists that double at each level."""
    content = pickle.loads(data, encoding="bytes")  # of our own making
    how = dice.randrange(10)
    if how == 0:
        return pickle.dumps(_Harmful(), protocol=2)
    if how == 1:
        nested: list[Any] = ["x"]
        for _ in range(40):
            nested = [nested, nested]
        content[dice.choice(list(content))] = nested
    else:
        content = mutate_tree(
            # An array of lists within lists would write out what they share.
            {k: v if how < 5 or _is_nested(v) else np.asarray(v) for k, v in content.items()},
            dice,
            [{"a": any_value(dice)}],
        )
    return pickle.dumps(content, protocol=2)


def _is_nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, list) for each in value)


def frames(data: bytes, dice: Random) -> bytes:
    """Records with right checksums and other content, kinds and keys; out of order, doubled, left out."""
    whole = [frame for frame in scan(data) if isinstance(frame, Frame)]
    parts = [(f.kind, f.key, data[f.start : f.start + f.length]) for f in whole]
    if not parts:
        return data
    at, how = dice.randrange(len(parts)), dice.randrange(9)
    kind, key, payload = parts[at]
    if how <= 5:
        try:
            tree = mutate_tree(json.loads(payload), dice, [json.loads(p) for _, _, p in parts[:8]])
            payload = json.dumps(tree).encode()
        except (ValueError, TypeError):
            payload = payload[: dice.randrange(len(payload) + 1)]
        parts[at] = kind, key, payload
    elif how == 6:
        parts[at] = dice.choice([0, 1, 2, 3, 255]), key, payload
    elif how == 7:
        parts[at] = (
            kind,
            bytes(32),
            dice.choice([b"", b"[]", b"null", b"{", b"\xff" * 9, b"[" * 100_000, payload]),
        )
    else:
        dice.shuffle(parts)
    return b"".join(frame_bytes(*part) for part in parts)
