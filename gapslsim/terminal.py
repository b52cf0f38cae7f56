"""Where people read: a terminal obeys escape sequences, and rich takes `[red]` in a text for its markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType  # noqa: TID251
from rich.segment import Segment
from rich.text import Text

from gapslsim.plain_text import visible

__all__ = ["Terminal"]


class Terminal(Console):
    """A console that prints texts as they are, control characters spelled out: they may come from anybody's file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, **options})

    def render_str(self, text: str, **how: Any) -> Text:
        """Before it is measured, so that tables have room for it."""
        return super().render_str(visible(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich renders it; its own movements of the cursor are marked as such and stay."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)
