"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar

from gapslsim.records import Progress
from gapslsim.results import words
from gapslsim.terminal import Terminal

__all__ = ["bar_on", "is_live", "show_progress", "time_left"]

Observer = Callable[[Progress], None]

_EVERY_S: Final = 10.0
"""Wall time between two lines where there is no terminal."""
_STEPS: Final = 10
"""Parts of the run after each of which there is a line in any case."""


@contextmanager
def show_progress(out: TextIO) -> Iterator[Observer]:
    """Gives an observer for `simulate` that shows how far the run has come.

    Args:
        out: usually standard error, so that standard output holds results only.
    """
    if is_live(out):
        with _bar(Terminal(file=out)) as observer:
            yield observer
    else:
        yield _Lines(out, time.monotonic)


def is_live(out: TextIO) -> bool:
    """Whether the stream is a terminal that can redraw a line."""
    return out.isatty() and not Terminal(file=out).is_dumb_terminal


def describe(progress: Progress) -> str:
    """Round, simulated time, accuracy and wall time left, in one line."""
    of = f"/{progress.planned_rounds}" if progress.planned_rounds is not None else ""
    parts = [f"round {progress.round}{of}", f"simulated {words.seconds(progress.simulated_time_s)}"]
    if progress.accuracy:
        view = next(iter(progress.accuracy))
        parts.append(f"{view} {words.accuracy(progress.accuracy[view])}")
    return ", ".join([*parts, time_left(progress.fraction, progress.wall_time_s)])


def time_left(share: float | None, wall_time_s: float) -> str:
    """Wall time that the rest takes at the pace so far, in words; without a share done, how long it has taken."""
    if not share:
        return f"{words.clock(wall_time_s)} so far"
    return f"{words.clock(wall_time_s * (1.0 / min(share, 1.0) - 1.0))} left"


def bar_on(console: Terminal, width: int) -> Bar:
    """A bar of that many characters with a line of text behind it; it vanishes at the end."""
    columns = (SpinnerColumn(), BarColumn(bar_width=width), TextColumn("{task.description}", markup=False))
    return Bar(*columns, console=console, transient=True)


@contextmanager
def _bar(console: Terminal) -> Iterator[Observer]:
    with bar_on(console, 16) as bar:
        task = bar.add_task("preparing data and model", total=None)

        def observe(progress: Progress) -> None:
            total = 1.0 if progress.fraction is not None else None
            bar.update(task, total=total, completed=progress.fraction or 0.0, description=describe(progress))

        yield observe


class _Lines:
    """Writes a plain line at the first round, at every tenth of the run, and when long nothing was written."""

    def __init__(self, out: TextIO, now: Callable[[], float]) -> None:
        self._out = out
        self._now = now
        self._written_at: float | None = None
        self._parts_done = 0

    def __call__(self, progress: Progress) -> None:
        """Observes one round."""
        now = self._now()
        parts_done = int((progress.fraction or 0.0) * _STEPS + 1e-9)
        is_silent = self._written_at is None or now - self._written_at >= _EVERY_S
        if not is_silent and parts_done <= self._parts_done:
            return
        self._written_at, self._parts_done = now, parts_done
        self._out.write(describe(progress) + "\n")
        self._out.flush()
