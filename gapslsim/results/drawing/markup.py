"""Elements of HTML and SVG. A text is escaped wherever it is put in; only what was made here is markup already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from gapslsim.plain_text import visible

__all__ = ["Markup", "joined", "tag"]


_EMPTY: Final = frozenset(("br", "circle", "image", "line", "link", "meta", "path", "rect"))
"""Elements that may end where they begin; to HTML `<p/>` is one that goes on."""


class Markup(str):
    """Text that is markup already. To make one of anything but a constant is to vouch for it."""

    __slots__ = ()


def joined(parts: Iterable[str]) -> Markup:
    """Parts one behind the other; those that are no markup are text."""
    return Markup("".join([part if isinstance(part, Markup) else escape(visible(part)) for part in parts]))


def tag(name: str, /, *content: str, **attributes: object) -> Markup:
    """An element with content, text or markup; `_` in names of attributes is written `-`, a trailing `_` is dropped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(visible(_plain(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = joined(content)
    return Markup(
        f"<{name}{given}/>" if name in _EMPTY and not inside else f"<{name}{given}>{inside}</{name}>"
    )


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
