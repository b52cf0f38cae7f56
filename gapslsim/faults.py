"""What nobody expected: told as a fault of ours, with a report; components that would end the program; and memory that
ran out, in its many guises.
"""

from __future__ import annotations

import dis
import os
import platform
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from gapslsim._version import __version__
from gapslsim.errors import ComponentError
from gapslsim.whole_files import make_folder

__all__ = ["in_words", "may_interrupt", "nobody_exits", "of_a_component", "out_of_memory"]

T = TypeVar("T")

_MOST_REPORTS: Final = 20
"""Above, the oldest go."""
_MEMORY: Final = re.compile(
    "can.?t allocate|cannot allocate|not enough memory|out of memory|bad_alloc|failed to map segment",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine, or of its GPU, did not suffice."""
    # Torch's own, by name: it need not have been imported. Its allocator and the loader of libraries say it in words.
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (
        isinstance(error, (RuntimeError, ImportError, OSError)) and bool(_MEMORY.search(str(error)))
    )


@contextmanager
def nobody_exits() -> Iterator[None]:
    """Makes `sys.exit` in a component, and a KeyboardInterrupt that it raises itself, an error of that component.

    Raises:
        ComponentError: that names its file and line. Ctrl-C stays what it is.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        theirs = of_a_component(error)
        if theirs is None or (isinstance(error, KeyboardInterrupt) and not _is_raised(error)):
            raise
        what = "raises KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else "calls sys.exit"
        place = f"{Path(theirs.filename).name}:{theirs.lineno}"
        raise ComponentError(
            f"{place} {what}; raise another error there, one that says what is wrong"
        ) from error


def may_interrupt(call: Callable[[T], None]) -> Callable[[T], None]:
    """A call of whoever started the run: a KeyboardInterrupt that it raises ends the run as Ctrl-C does."""

    def told(given: T) -> None:
        try:
            call(given)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt from error  # From here, and so of no component.

    return told


def _is_raised(error: BaseException) -> bool:
    """Whether a statement raised it: a signal interrupts others."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None:
        return False
    return dis.opname[at.tb_frame.f_code.co_code[at.tb_lasti]] == "RAISE_VARARGS"


def in_words(error: BaseException, doing: str) -> str:
    """An error that no part of gapslsim expected, as one sentence that names its report.

    Args:
        error: as it was caught.
        doing: what was asked for, for the report.
    """
    if out_of_memory(error):
        return (
            f"The memory did not suffice ({_said(error)}). Make the run smaller (batch size, model, clients, test "
            "samples; fewer at a time), or give it more memory; what had begun goes on with --resume"
        )
    report = _report(error, doing)
    theirs = of_a_component(error)
    whose = (
        f"an error in {Path(theirs.filename).name}, which is no file of ours (see 'gapslsim check-component')"
        if theirs
        else "a fault of ours, not of your input"
    )
    place = f"its report lies in {report}" if report else "no report could be written"
    send = "; please send us that file" if report and not theirs else ""
    return f"{_said(error)}: {whose}; {place}{send}"


def _said(error: BaseException) -> str:
    """Name, text and innermost place, on one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())[:300]
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (in {Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def of_a_component(error: BaseException) -> traceback.FrameSummary | None:
    """Where in somebody else's file the error rose, libraries aside: in a component that a scenario named."""
    ours, libraries = str(Path(__file__).parent), (sys.prefix, sys.base_prefix, "<")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(ours):
            return None
        if not frame.filename.startswith(libraries):
            return frame
    return None


def _report(error: BaseException, doing: str) -> Path | None:
    """Writes the traceback where it surprises nobody; None if it can be written nowhere."""
    now = datetime.now(UTC)
    machine = f"gapslsim {__version__}, Python {platform.python_version()}, {platform.platform()}"
    # As many frames as help: a RecursionError has a thousand.
    trace = "".join(traceback.format_exception(error, limit=-60))
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC\n{machine}\n{doing}\n\n{trace}"
    for folder in _folders():
        with suppress(OSError):
            make_folder(folder)
            path = folder / f"fault-{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            for old in sorted(folder.glob("fault-*.txt"))[:-_MOST_REPORTS]:
                old.unlink(missing_ok=True)
            return path
    sys.stderr.write(text)
    return None


def _folders() -> Iterator[Path]:
    """The user's folder for what programs note, else that for temporary files."""
    with suppress(RuntimeError):  # nobody's home is known
        yield Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gapslsim"
    with suppress(OSError):
        yield Path(tempfile.gettempdir())
