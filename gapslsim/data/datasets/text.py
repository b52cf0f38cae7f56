"""Text as characters or bytes: from some of them the next is to be told; a small corpus is embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from gapslsim.data._files import OwnPath, digest_of, found_file
from gapslsim.data._text import codes, letters_of
from gapslsim.data.dataset import Dataset, LoadedData, Samples, datasets
from gapslsim.errors import DataError
from gapslsim.registry import component
from gapslsim.regular_files import read_text
from gapslsim.work import content_key

__all__ = ["Text"]

EMBEDDED = Path(__file__).resolve().parents[1] / "sonnets.txt"
"""Sonnets of Shakespeare (1609, public domain), one per paragraph."""


@datasets.register
@component
class Text(Dataset):
    """Windows of a text: inputs are `length` tokens, int64 [length], and the label is the token that follows.

    The classes are the tokens: the characters of the text in the order of Unicode, or all 256 bytes. Documents are
    paragraphs (parts between empty lines); a window lies within one, and which one is known as the column `document`.
    The end of each document (`test_fraction` of its windows) is kept for testing, less `length` windows between, so
    that no text is in both.
    """

    kind: Literal["text"] = "text"
    file: OwnPath | None = None
    """A text file in UTF-8, relative to the scenario file; by default sonnets of Shakespeare, which are embedded."""
    level: Literal["character", "byte"] = "character"
    """What a token is."""
    length: PositiveInt = 32
    """T: tokens of an input."""
    stride: PositiveInt = 1
    """Tokens from one window to the next."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each document that is kept for testing."""

    def load(self, folder: Path | None, seed: int) -> LoadedData:
        """See `Dataset.load`; both arguments are of no account."""
        path = EMBEDDED if self.file is None else found_file(self.file, "file")
        try:
            text = read_text(path, 1 << 30)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"file {path} is no text in UTF-8 ({error}); convert it.") from error
        documents = [part.strip() for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]
        if self.level == "byte":
            streams = [np.frombuffer(part.encode(), dtype=np.uint8).astype(np.int64) for part in documents]
            n_classes = 256
        else:
            letters = letters_of("".join(documents))
            streams = [codes([part], letters, "file")[0] for part in documents]
            n_classes = len(letters)
        if n_classes < 2:
            raise DataError(f"file {path} holds {n_classes} different characters; a text has 2 or more.")
        windows: dict[str, list[NDArray[np.int64]]] = {"train": [], "test": []}
        owners: dict[str, list[NDArray[np.int64]]] = {"train": [], "test": []}
        for number, tokens in enumerate(streams):
            n = len(tokens) - self.length
            if n < 1:
                continue
            first_test = n - max(1, round(self.test_fraction * n))
            starts = np.arange(0, n, self.stride)
            for split, chosen in (
                ("train", starts[starts < first_test - self.length]),
                ("test", starts[starts >= first_test]),
            ):
                windows[split].append(tokens[chosen[:, None] + np.arange(self.length + 1)])
                owners[split].append(np.full(len(chosen), number))
        for split, found in windows.items():
            if not sum(map(len, found)):
                longest = max(map(len, streams), default=0)
                raise DataError(
                    f"length = {self.length} leaves no {split} window: the longest document has {longest} tokens, and "
                    "needs more than twice the length. Lower it, or give more text between empty lines."
                )
        whole = {split: np.concatenate(found) for split, found in windows.items()}
        settings = [self.level, self.length, self.stride, self.test_fraction]

        def samples(split: str) -> Samples:
            inputs = whole[split][:, :-1]
            return Samples(whole[split][:, -1], lambda: inputs, {"document": np.concatenate(owners[split])})

        return LoadedData(
            key=content_key("data", ["text", digest_of([path]), settings]),
            train=samples("train"),
            test=samples("test"),
            n_classes=n_classes,
            input_shape=(self.length,),
            input_dtype="int64",
        )
