"""Runs side by side in workers that may die: who dies costs its own run alone, which is carried out again."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Generator, Hashable, Sequence
from typing import Any, Final

from gapslsim.studies._execute import Job, Outcome
from gapslsim.studies.backend import Backend

__all__ = ["DIED", "Lost", "SideBySide"]

DIED: Final = "its process died, most likely for want of memory"
_FIX: Final = "run fewer at a time (--jobs), or a smaller model"


class Lost(Exception):  # noqa: N818
    """A run whose worker died; says how."""


class SideBySide(Backend):
    """Keeps as many runs under way as there is room for.

    A run that is lost begins again at once beside the others, from its last checkpoint. Is it lost a second time, it
    waits until it has everything for itself. The third time it has failed.
    """

    @abstractmethod
    def room(self) -> int:
        """Runs at a time, now."""

    @abstractmethod
    def start(self, job: Job) -> Hashable:
        """Begins a run."""

    @abstractmethod
    def ended(self, under_way: Sequence[Any]) -> tuple[Hashable, Outcome | Lost]:
        """Waits for the first of some runs to end."""

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        waiting, alone = deque(jobs), deque[Job]()
        under_way: dict[Hashable, Job] = {}
        deaths = Counter[str]()
        while waiting or alone or under_way:
            while waiting and len(under_way) < self.room():
                job = waiting.popleft()
                under_way[self.start(job)] = job
            if not under_way:
                job = alone.popleft()
                under_way[self.start(job)] = job
            handle, found = self.ended(list(under_way))
            job = under_way.pop(handle)
            if isinstance(found, Outcome):
                yield found
                continue
            deaths[job.label] += 1
            if deaths[job.label] > 2:
                yield Outcome(job.label, None, f"{found}, three times, the last time alone; {_FIX}", 0.0)
                continue
            is_first = deaths[job.label] == 1
            (waiting if is_first else alone).append(job)
            how = "it is carried out again" if is_first else "it is carried out once more, alone"
            self.say(f"{job.label}: {found}; {how}, from its last checkpoint")
