"""What was computed before and depends on nothing but its key: small values kept between runs, outside of them.

They lie in `$GAPSLSIM_CACHE`, else `$XDG_CACHE_HOME/gapslsim`, else `~/.cache/gapslsim`; `GAPSLSIM_CACHE=off` switches
it off. Deleting the folder costs nothing but the time to compute them again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from gapslsim._version import __version__
from gapslsim.regular_files import read_text
from gapslsim.whole_files import make_folder, whole_file

__all__ = ["cache_folder", "remembered"]

MOST_ENTRIES: Final = 2000
"""A few KB each. Above, the older half goes."""
_ENTRY: Final = re.compile(r"[0-9a-f]{64}\.json")


def cache_folder() -> Path | None:
    """Where values are kept; None if they are not."""
    given = os.environ.get("GAPSLSIM_CACHE", "")
    if given.lower() == "off":
        return None
    if given:
        return Path(given)
    with suppress(RuntimeError):  # nobody's home is known
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gapslsim"
    return None


def remembered(about: Any, compute: Callable[[], Any], code: tuple[str, ...] = ("models",)) -> Any:
    """A value that JSON can write: read where it is known, else computed and kept.

    Args:
        about: all that it depends on beside this package's code and the versions of torch, as JSON can write it.
        compute: makes it; what it raises is not kept.
        code: packages of gapslsim whose text it depends on.
    """
    folder = cache_folder()
    if folder is None:
        return compute()
    key = hashlib.sha256(json.dumps([_made_by(code), about], sort_keys=True).encode()).hexdigest()
    file = folder / f"{key}.json"
    # A damaged entry is as good as none.
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        entry = json.loads(read_text(file, follow=False))
        if entry["sha256"] == _digest(entry["value"]):
            return entry["value"]
    value = compute()
    # Without a place to write to, it is computed each time.
    with suppress(OSError):
        _write(file, json.dumps({"sha256": _digest(value), "value": value}))
    return value


def _write(file: Path, text: str) -> None:
    make_folder(file.parent)
    with whole_file(file) as opened:
        opened.write(text.encode())
    # What others put there stays, and is in nobody's way.
    entries = [path for path in file.parent.iterdir() if _ENTRY.fullmatch(path.name) and not path.is_dir()]
    if len(entries) > MOST_ENTRIES:
        for old in sorted(entries, key=lambda path: path.lstat().st_mtime)[
            : len(entries) - MOST_ENTRIES // 2
        ]:
            old.unlink(missing_ok=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def _made_by(code: tuple[str, ...]) -> list[str]:
    """The code that computes values: versions, and this package's own text, which changes between versions."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for file in sorted(file for name in code for file in (package / name).rglob("*.py")):
        digest.update(file.read_bytes())
    versions = [__version__]
    for name in ("torch", "torchvision"):
        with suppress(metadata.PackageNotFoundError):
            versions.append(metadata.version(name))
    return [*versions, digest.hexdigest()]
