"""Prints lines, for people and for programs."""

from __future__ import annotations

import typer

from gapslsim.plain_text import visible

__all__ = ["say"]


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints a text, control characters spelled out; `err`: on the error output; `nl`: with a line's end."""
    typer.echo(visible(text), err=err, nl=nl)  # noqa: TID251
