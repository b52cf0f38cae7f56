"""How a command ends: every error becomes words and an exit code; streams that are closed or full stop nothing else.

Exit codes: 0 all went well; 2 a broken scenario, component or call; 3 a stalled run; 1 anything else that went wrong;
70 a fault of ours; 130 after Ctrl-C, 128 + N after signal N; 141 where nobody reads the output any more.
"""

from __future__ import annotations

import errno
import io
import os
import select
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gapslsim.cli.log import log
from gapslsim.cli.say import say
from gapslsim.errors import ComponentError, GapslsimError, ScenarioError

__all__ = ["FAULT", "INTERRUPTED", "end", "flush", "prepare_streams"]

FAULT: Final = 70
"""EX_SOFTWARE of sysexits.h."""
INTERRUPTED: Final = 130
_UNREAD: Final = 141
"""What a shell says of a program that SIGPIPE ended."""
_OF_A_NAME: Final = (errno.ENAMETOOLONG, errno.ELOOP)
"""Names that no file of this system can have; they may come from any setting."""
_OF_THE_MACHINE: Final = frozenset(
    number
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO", "EMFILE", "ENFILE", "ESTALE")
    if (number := getattr(errno, name, None)) is not None
)
"""A disk that is full or broken, and the like: no fault of ours, wherever it shows."""


def prepare_streams() -> None:
    """Nothing that is printed can fail for want of a stream, or of a letter in its encoding."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us: the next file that is opened would take its place
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, mode)))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end(error: BaseException, arguments: Sequence[str]) -> int:
    """Says what ended a command; returns its exit code."""
    is_read = _is_read(sys.stdout)
    log().debug("", exc_info=error)
    if isinstance(error, GapslsimError):
        return _told(f"{_heading(error)}{error}", error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return _told("Interrupted.", INTERRUPTED)
    if isinstance(error, BrokenPipeError) and not is_read:
        return _UNREAD
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        what = error.filename or "what was to be written or printed"
        return _told(f"Error: {what}: {error.strerror}; see to that, then call again", 1)
    if isinstance(error, OSError) and error.errno in _OF_A_NAME:
        named = str(error.filename or "a name")
        return _told(f"Error: {named[:60]}...: {error.strerror}; give another name", 2)
    if isinstance(error, FileNotFoundError) and not _has_place():
        return _told("Error: the folder in which this runs is gone; go to one that is there", 2)
    from gapslsim.faults import in_words, of_a_component, out_of_memory

    told = in_words(error, f"gapslsim {shlex.join(arguments)}")
    if out_of_memory(error):
        return _told(f"Error: {told}.", 1)
    return _told(f"Error: {told}.", FAULT if of_a_component(error) is None else ComponentError.exit_code)


def flush() -> None:
    """Brings out what is printed, while an error of it can still be told."""
    try:
        sys.stdout.flush()
    except OSError:
        _let_go(sys.stdout)
        raise


def _told(text: str, code: int) -> int:
    # Whoever reads the errors may be gone, too.
    with suppress(OSError, ValueError):
        say(text, err=True)
    return code


def _heading(error: GapslsimError) -> str:
    if not isinstance(error, ScenarioError):
        return "Error: "
    count = len(error.problems)
    return f"The scenario has {'a problem' if count == 1 else f'{count} problems'}:\n"


def _is_read(stream: Any) -> bool:
    """Whether somebody still takes what is printed; the buffer may have let go of what failed, so the pipe is asked."""
    try:
        stream.flush()
        if hasattr(select, "poll"):
            asked = select.poll()
            asked.register(stream.fileno(), 0)
            return not any(event & select.POLLERR for _, event in asked.poll(0))
    except io.UnsupportedOperation:  # no file: somebody listens in this very process
        return True
    except (OSError, ValueError):
        _let_go(stream)
        return False
    return True


def _let_go(stream: Any) -> None:
    """What is left in the buffer goes nowhere, else Python tries again at its end and complains."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _has_place() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True
