"""Texts that came from files, made fit to be shown: what would steer a terminal or a page is spelled out."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["markdown", "visible"]

_UNSEEN: Final = re.compile(
    # Controls but tab and line feed (a terminal obeys them, XML has none of them); marks that turn the direction of
    # text or are no characters; halves of surrogate pairs, which no file can hold.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)
_OF_MARKDOWN: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`[]|<"} | {"\n": "<br>"})


def visible(text: str) -> str:
    r"""A text with each control character as Python writes it: `\x1b[2J` for the sequence that clears a screen."""
    return _UNSEEN.sub(_spelled, text)


def markdown(text: str) -> str:
    """A text for a cell or a line of Markdown, which has HTML and links of its own."""
    return visible(text).translate(_OF_MARKDOWN)


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
