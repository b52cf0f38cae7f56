"""Small files as users bring them, one of each kind that a data set or partition reads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

N_TRAIN, N_TEST, N_CLASSES = 24, 9, 3
LABELS = {"train": np.arange(N_TRAIN) % N_CLASSES, "test": np.arange(N_TEST) % N_CLASSES}


def pixels(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    """An image file of [height, width, 3] or [height, width] pixels."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def write_parquet(path: Path, images: list[Any], labels: Any, column: str = "image") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = pa.array([{"bytes": image, "path": None} for image in images])
    pq.write_table(pa.table({column: encoded, "label": pa.array(labels)}), path)


def leaf_file(path: Path, users: dict[str, tuple[list[Any], list[Any]]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {user: {"x": x, "y": y} for user, (x, y) in users.items()}
    content = {"users": list(users), "num_samples": [len(x) for x, _ in users.values()], "user_data": data}
    path.write_text(json.dumps(content))


def own_files(folder: Path) -> Path:
    """Writes all of them: x.npz, medmnist.npz, rows.csv, images/, parquet/, leaf/, text.txt, lists.json, lists.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    np.savez(folder / "x.npz", x=random.normal(3, 2, (N_TRAIN, 5)), y=LABELS["train"])
    of = {split: pixels(len(labels), 6, 8, 3) for split, labels in LABELS.items()}
    med = {f"{split}_images": images for split, images in of.items()}
    med |= {f"{split}_labels": labels[:, None].astype(np.uint8) for split, labels in LABELS.items()}
    np.savez(folder / "medmnist.npz", **med)
    header = "height,colour,hospital,kind"
    rows = [f"{i * 0.5},{('red', 'blue')[i % 2]},h{i % 4},k{i % N_CLASSES}" for i in range(N_TRAIN)]
    (folder / "rows.csv").write_text("\n".join([header, *rows]) + "\n")
    for split, images in of.items():
        for i, image in enumerate(images):
            path = folder / "images" / split / f"class{LABELS[split][i]}" / f"{i:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))
        write_parquet(
            folder / "parquet" / f"{split}-0.parquet",
            [png(image[:, :, 0]) for image in images],
            LABELS[split].tolist(),
        )
        users = {
            f"u{k}": ([[float(k), 1.0, 2.0 * i] for i in range(k + 2)], [i % 2 for i in range(k + 2)])
            for k in range(3)
        }
        leaf_file(folder / "leaf" / split / "all.json", users)
    (folder / "text.txt").write_text(
        "to be or not to be, that is the question\n\nwhether it is nobler in the mind\n"
    )
    (folder / "lists.json").write_text(json.dumps([list(range(k, 997, 10)) for k in range(10)]))
    np.savez(folder / "lists.npz", **{f"client-{k}": np.arange(k, N_TRAIN, 3) for k in (2, 0, 1)})
    return folder
