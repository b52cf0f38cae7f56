"""What smashed data gives away, as people read it: a table in words, and pictures of reconstructions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.results import words
from gapslsim.results.drawing.drawing import Panel, Part, Picture, Row, Scale, TextTable

__all__ = ["HOW_TO_READ", "leakage_table", "pictures", "who_of"]

HOW_TO_READ: Final = (
    "Who sees nothing guesses the mean of what they know, or correlates shuffled data.",
    "Distance correlation is 0 for independent data and 1 for copies; with many dimensions it is too large, which the "
    "corrected one is not. Rebuilt: the share of the guess's error that the reconstruction does without.",
    "An attacker with more data, a larger decoder or the model's weights may do better: what is reconstructed here is "
    "the least that leaks.",
)
_NAMES: Final = {
    "distance_correlation": "dist. corr.",
    "corrected_distance_correlation": "corrected",
    "reconstructed": "rebuilt",
    "right_tokens": "tokens",
    "mse": "MSE",
    "psnr_db": "PSNR [dB]",
    "ssim": "SSIM",
}
_SHARES: Final = ("reconstructed", "right_tokens")
_CELL: Final = 40.0


def who_of(clients: pd.DataFrame) -> dict[int, str]:
    """Whose model it is, by number: the mean of all, or a client with its group.

    Args:
        clients: the run's table of this name; may be empty.
    """
    groups = dict(zip(clients["client"], clients["group"], strict=True))
    return {-1: "mean of all", **{client: f"client-{client} ({name})" for client, name in groups.items()}}


def leakage_table(leakage: pd.DataFrame, who: dict[int, str]) -> TextTable:
    """A row per model, a column per measure; in the last row what can be had without smashed data.

    Args:
        leakage: the run's table of this name.
        who: see `who_of`.
    """
    names = [name for name in _NAMES if (leakage["measure"] == name).any()]
    rows = []
    for client, own in leakage.groupby("client", sort=False):
        of = own.set_index("measure")["value"]
        rows.append([_name(who, client), *(_said(name, of.get(name, math.nan)) for name in names)])
    guesses = leakage.groupby("measure")["baseline_value"].mean()
    rows.append(["who sees nothing", *(_said(name, guesses[name]) for name in names)])
    return TextTable(["whose", *(_NAMES[name] for name in names)], rows)


def _said(name: str, value: float) -> str:
    if math.isnan(value):
        return words.MISSING
    if name in _SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:.{1 if name == 'psnr_db' else 3}f}"


def pictures(pixels: pd.DataFrame, who: dict[int, str], title: str = "") -> list[Panel]:
    """Some inputs in the first row, what was made of each model's smashed data below, and last the guess.

    Args:
        pixels: the run's table `reconstructions`; nothing is drawn of an empty one.
        who: see `who_of`.
        title: of the panel.
    """
    if pixels.empty:
        return []
    models = list(dict.fromkeys(pixels["client"]))
    samples = list(dict.fromkeys(pixels["sample"]))
    first = pixels[pixels["client"] == models[0]]
    made = [("input", _images(first, "original"))]
    made += [(_name(who, m), _images(pixels[pixels["client"] == m], "reconstruction")) for m in models]
    made.append(("who sees nothing", _images(first, "guess")))
    parts: list[Part] = [
        Picture(row, column, image, f"{name}, test sample {samples[column]}")
        for row, (name, images) in enumerate(made)
        for column, image in enumerate(images)
    ]
    columns = [f"#{sample}" for sample in samples]
    across = Scale("", 0, len(columns))
    return [Panel(title, across, Scale(), parts, [Row(name) for name, _ in made], _CELL, columns)]


def _images(pixels: pd.DataFrame, what: str) -> Sequence[NDArray[np.uint8]]:
    """Those of one model, in order: grey [h, w], or [h, w, 3]."""
    made = []
    for _, own in pixels.groupby("sample", sort=False):
        shape = tuple(int(own[axis].max()) + 1 for axis in ("y", "x", "channel"))
        image = np.zeros((*shape[:2], 3 if shape[2] == 3 else 1), np.uint8)
        kept = own[own["channel"] < image.shape[2]]
        image[kept["y"], kept["x"], kept["channel"]] = kept[what].clip(0, 255)
        made.append(image if image.shape[2] == 3 else image[:, :, 0])
    return made


def _name(who: dict[int, str], client: object) -> str:
    assert isinstance(client, (int, np.integer))
    return who.get(int(client), f"client-{client}")
