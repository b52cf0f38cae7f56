"""Errors that a user can act on: each says what is wrong, the value found and what to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar


class GapslsimError(Exception):
    """Base of every error that the command line reports in words, without a traceback."""

    exit_code: ClassVar[int] = 1
    """Of the command line: 2 where the user must change the scenario or the command, 3 for a stalled run, else 1."""
    results: Any = None
    """Tables of the run up to then, where one was under way."""


class ScenarioError(GapslsimError):
    """A scenario that cannot be run; lists every problem found at once."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ComponentError(GapslsimError):
    """A component that cannot be had: an unknown name, a profile or a file that is missing."""

    exit_code: ClassVar[int] = 2


class DataError(GapslsimError):
    """A data set or partition that cannot be had; says where it looked or which parameter to change."""

    exit_code: ClassVar[int] = 2


class NetworkError(GapslsimError):
    """A network that cannot carry the traffic: no route, a dead link, a link given twice."""

    exit_code: ClassVar[int] = 2


class ProtocolError(GapslsimError):
    """A framework that asks for something that has no meaning, such as the value of a cancelled activity."""


class LostError(GapslsimError):
    """What a client was doing is lost: it went away without its state, or a message of it never arrived.

    For `Stage.attempt` and `Stage.gather`; a protocol that uses neither ends with it.
    """


class StalledError(GapslsimError):
    """A run in which nobody can go on: says who waits for whom, since when, over which link or for whose return."""

    exit_code: ClassVar[int] = 3


class MemoryShortError(GapslsimError):
    """A part of the model that does not fit the memory of its device."""

    exit_code: ClassVar[int] = 2


class NumericalError(GapslsimError):
    """A loss or gradient that is NaN or infinite; names round, client and the last good state."""


class ResultsError(GapslsimError):
    """A run directory that cannot be read or written; says which file is wrong and what to do."""

    exit_code: ClassVar[int] = 2


class JournalError(GapslsimError):
    """A journal that cannot be used: another program's folder, another format, a file that cannot be read."""


class DryRunError(GapslsimError):
    """Tensors were asked for in a run that has none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file, with the place and the fix."""

    path: str
    """Dotted path in the scenario, for instance `framework.eta`; empty for the whole file."""
    message: str
    """The rule, the value found and the fix."""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(shortened(part) for part in (place, self.path, self.message) if part)


def shortened(text: str, most: int = 2000) -> str:
    """A text without its middle where it is longer than anybody reads: what a message quotes may have megabytes."""
    return text if len(text) <= most else f"{text[: most // 2]} [...] {text[-most // 2 :]}"


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """`unknown link 'ltte'; known: lte, wifi. Did you mean 'lte'?`"""
    names = list(known)
    return f"unknown {what} {shortened(str(name), 100)!r}; known: {', '.join(names)}.{did_you_mean(str(name), names)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'eta'?` for the nearest known name, or an empty string."""
    near = get_close_matches(name[:200], list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def optional(package: str, what: str, name: str, extra: str) -> Any:
    """A package that only some runs need.

    Args:
        package: to import.
        what: needs it.
        name: of the package, as people know it.
        extra: of gapslsim that installs it.

    Raises:
        ComponentError: if it is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        fix = f"install it: pip install 'gapslsim[{extra}]'"
        raise ComponentError(f"{what} needs {name}; {fix}") from None
