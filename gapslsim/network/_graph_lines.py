"""Where a link stands in its file: looked for only when there is something to say about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml

from gapslsim.documents import DocumentError, composed
from gapslsim.regular_files import read_text

__all__ = ["line_of"]

_LINKS: Final = {
    ".graphml": (r"<edge\b", r"\b{side}\s*=\s*[\"']{end}[\"']"),
    ".gml": (r"\bedge\s*\[", r"\b{side}\s+\"?{end}\b"),
    ".xml": (r"<link\b", r"<{side}>\s*{end}\s*<"),
}
"""How a link begins, and how it names its ends."""


def line_of(path: Path, ends: tuple[str, ...], place: int) -> int:
    """Line of a link, from 1; 0 if it cannot be told.

    Args:
        path: of the graph file.
        ends: ids of the two nodes.
        place: of the link in the list of a YAML or JSON file, from 0.
    """
    text = read_text(path, encoding="utf-8-sig")
    if path.suffix.lower() not in _LINKS:
        return _line_in_list(text, place)
    begin, end_of = _LINKS[path.suffix.lower()]
    starts = [found.start() for found in re.finditer(begin, text)]
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        for order in (ends, ends[::-1]):
            sides = zip(("source", "target"), order, strict=True)
            if all(re.search(end_of.format(side=s, end=re.escape(e)), text[start:stop]) for s, e in sides):
                return text.count("\n", 0, start) + 1
    return 0


def _line_in_list(text: str, place: int) -> int:
    """Of an item of the list `links` or `edges`; JSON is YAML but for tabs."""
    try:
        document = composed(text.replace("\t", " "))
    except (yaml.YAMLError, DocumentError):
        return 0
    for key, value in document.value if isinstance(document, yaml.MappingNode) else ():
        if key.value in ("links", "edges") and isinstance(value, yaml.SequenceNode):
            return int(value.value[place].start_mark.line) + 1 if place < len(value.value) else 0
    return 0
