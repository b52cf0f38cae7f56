"""What an override takes away without saying so: settings that the file tuned, of a mapping that is replaced wholly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapslsim.registry import settings_of
from gapslsim.scenario.loading import parts_of, read, read_override
from gapslsim.scenario.tree import plain

if TYPE_CHECKING:
    from gapslsim.scenario.schema import Scenario

__all__ = ["resets"]


def resets(path: str | Path, overrides: Iterable[str], loaded: Scenario) -> Iterator[str]:
    """For each override that replaces a mapping: the settings that it resets, with both values.

    Args:
        path: of the scenario, as it was loaded.
        overrides: `path=value`, as they were given.
        loaded: what came of it.
    """
    overrides = list(overrides)
    if not overrides:
        return
    tree, written = read(path).tree, settings_of(loaded)
    for text in overrides:
        name, value, _ = read_override(text, None)
        parts = parts_of(name.replace("*", "0"))
        here = tree.at(parts)
        before, after = plain(here), plain(value)
        if tree.at(parts[:-1]) is here or not isinstance(before, dict) or after is None:
            continue
        kept = after if isinstance(after, dict) else {}
        now: Any = written
        key: Any
        for key in parts:
            now = now[key] if isinstance(now, list) else now.get(key) if isinstance(now, dict) else None
        lost = [
            f"{key} was {old} and is {now[key]}"
            for key, old in before.items()
            if isinstance(now, dict) and key in now and key not in (*kept, "kind", "optimizer")
            # Sections come whole from what the new name stands for; a scalar is back at its default.
            if not isinstance(now[key], (dict, list)) and now[key] != old
        ]
        if lost:
            yield f"--set {text} replaces all of {name}: {'; '.join(lost)}. Set single keys to keep the others"
