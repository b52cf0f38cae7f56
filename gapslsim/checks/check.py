"""What an invariant is, what comes of looking at it, and how what a component does wrong is told.

An invariant is a function with one argument, what it looks at. The first paragraph of its docstring is what it claims,
the second what to change where that does not hold. It returns nothing or a note, and raises `InvariantError`, as a rule
by `require`, if the claim does not hold. Other errors are the component's.
"""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gapslsim.errors import GapslsimError
from gapslsim.faults import nobody_exits

__all__ = ["InapplicableError", "Invariant", "InvariantError", "Outcome", "look", "require", "sentence_of"]

Invariant = Callable[[Any], str | None]
"""Takes what it looks at and returns a note, or None."""

LIMIT_S = 30.0
"""Wall time after which an invariant is taken to hang [s]."""


class InvariantError(Exception):
    """An invariant does not hold: what is wrong, on what input; then what to change if its docstring does not say."""


class InapplicableError(Exception):
    """An invariant has no meaning for this component; says why."""


class _TakesTooLong(BaseException):
    """No `Exception`, so that a component that catches all of those is ended too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one invariant of one component."""

    sentence: str
    """What the invariant claims."""
    result: Literal["passed", "failed", "note", "not looked at"]
    words: str = ""
    """What is wrong, or the note."""


def require(holds: object, *words: str) -> None:
    """Raises `InvariantError` with these words unless something holds."""
    if not holds:
        raise InvariantError(*words)


def sentence_of(invariant: Invariant, paragraph: int = 0) -> str:
    """What an invariant claims; what to change where that does not hold is the next paragraph."""
    paragraphs = [*inspect.cleandoc(invariant.__doc__ or "").split("\n\n"), ""]
    return " ".join(paragraphs[paragraph].split())


def look(
    invariants: Sequence[Invariant], subject: Any, cls: type[Any], limit_s: float = LIMIT_S, prefix: str = ""
) -> list[Outcome]:
    """Looks at each invariant in turn; what one of them finds is not told again by the next.

    Args:
        invariants: what is claimed.
        subject: what they look at.
        cls: class of the component, whose file names the line of an error.
        limit_s: wall time that each invariant may take [s].
        prefix: said before each sentence.
    """
    outcomes: list[Outcome] = []
    for invariant in invariants:
        sentence = prefix + sentence_of(invariant)
        try:
            with nobody_exits(), _deadline(limit_s):
                note = invariant(subject)
        except InapplicableError as why:
            outcomes.append(Outcome(sentence, "not looked at", str(why)))
        except (Exception, _TakesTooLong) as error:
            words = _in_words(error, cls, sentence_of(invariant, 1))
            if any(before.words == words for before in outcomes if before.result == "failed"):
                outcomes.append(Outcome(sentence, "not looked at", "see what failed before"))
            else:
                outcomes.append(Outcome(sentence, "failed", words))
        else:
            outcomes.append(Outcome(sentence, "note" if note else "passed", note or ""))
    return outcomes


def _in_words(error: BaseException, cls: type[Any], advice: str) -> str:
    """An error without traceback, with the last line of the component's own file that it came through."""
    match error:
        case InvariantError(args=(words,)):
            return f"{words}. {advice}".removesuffix(" ")
        case InvariantError(args=(words, fix)):
            return f"{words}; {fix}"
        case _TakesTooLong():
            words = (
                f"it did not end within {error.args[0]:g} s of wall time; look for a loop that never ends."
            )
        case GapslsimError():
            words = str(error)
        case _:
            words = f"{type(error).__name__}: {error}"
    return _place(error, cls) + words


def _place(error: BaseException, cls: type[Any]) -> str:
    """`mine.py:7: `, from the error or what caused it; empty if it never was in the component's file."""
    own = getattr(sys.modules.get(cls.__module__), "__file__", None)
    at: BaseException | None = error
    while at is not None and own is not None:
        frames = [frame for frame in traceback.extract_tb(at.__traceback__) if frame.filename == own]
        if frames:
            return f"{Path(own).name}:{frames[-1].lineno}: "
        at = at.__cause__
    return ""


@contextmanager
def _deadline(limit_s: float) -> Iterator[None]:
    """Ends what takes longer, on the main thread of systems that have alarms; elsewhere it is waited for."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise _TakesTooLong(limit_s)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
