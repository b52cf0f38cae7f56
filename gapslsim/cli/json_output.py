"""JSON for programs, on standard output."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from gapslsim.cli.say import say

__all__ = ["JsonOption", "print_json"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def print_json(value: Any) -> None:
    """Prints a value; what is no number in JSON (NaN, infinity) becomes null."""
    # In ASCII, where JSON has escapes of its own for what `say` would spell out in another way.
    say(json.dumps(_plain(value), indent=2, allow_nan=False).replace("\x7f", "\\u007f"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)
