"""What a protocol does about clients that are late, away or lost: the slot `lateness`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from gapslsim.frameworks.stage import Activity, Lost, Process, Stage
from gapslsim.registry import Family, component
from gapslsim.sim.patience import Retry

__all__ = ["Lateness", "Limited", "latenesses", "until_came"]

T = TypeVar("T")


@component
class Lateness(ABC):
    """What a protocol does about clients that are late, away or lost; a pydantic component."""

    retry: Retry | None = None
    """Time-outs of messages with repetitions; by default a message has all the time it needs, and one that is lost is
    not sent again: the client's part of the round is lost then."""

    @abstractmethod
    def gather(
        self, w: Stage, phase: str, processes: Mapping[int, Process[T]], keep: bool
    ) -> Process[dict[int, T]]:
        """See `Stage.gather`."""

    def _attend(self, w: Stage, phase: str, client: int, process: Process[T]) -> Process[T | Lost]:
        value = yield from w.attempt(process)
        w.gathered(phase, client, "lost" if isinstance(value, Lost) else "came")
        return value

    def n_selected(self, n_wanted: int, n_clients: int) -> int:
        """How many clients a round asks where so many are wanted."""
        return n_wanted

    def problems(self, n_clients: int, n_wanted: int) -> list[str]:
        """What keeps the rule from working with so many clients, in words; empty if nothing."""
        return []


@component
class Limited(Lateness):
    """A rule that does not wait for everyone."""

    late: Literal["dropped", "used_next"] = "dropped"
    """What comes too late. `dropped`: it is cancelled at once, and the client is free. `used_next`: it goes on and
    counts in the next round in which it is there (stale); until then the client is not asked for more."""

    def gather(
        self, w: Stage, phase: str, processes: Mapping[int, Process[T]], keep: bool
    ) -> Process[dict[int, T]]:
        """Those that come while `_wait` waits, and what was late earlier and has come."""
        fresh = {
            client: w.spawn(self._attend(w, phase, client, process)) for client, process in processes.items()
        }
        stale: dict[int, Activity[T | Lost]] = {}
        if keep:
            for key in [key for key in w.pending if key[0] == phase]:
                stale[key[1]] = w.pending.pop(key)
        asked = [*fresh.values(), *stale.values()]
        try:
            if asked:
                yield from self._wait(w, asked)
        except BaseException:
            for activity in asked:
                activity.cancel()
            raise
        if (
            not asked and w.pending
        ):  # Everyone is still busy with something else: who ends first can be asked again.
            yield from w.first(list(w.pending.values()))
        came: dict[int, T] = {}
        for client, activity in sorted({**stale, **fresh}.items()):
            if activity.done:
                value = activity.value
                if not isinstance(value, Lost):
                    came[client] = value
                    if client in stale:
                        w.gathered(phase, client, "stale")
            elif self.late == "used_next":
                w.pending[phase if keep else "", client] = activity
                if client in fresh:
                    w.gathered(phase, client, "late")
            else:
                activity.cancel()
                w.gathered(phase, client, "late")
        return came

    @abstractmethod
    def _wait(self, w: Stage, asked: Sequence[Activity[T | Lost]]) -> Process[None]:
        """Waits for as many, or for as long, as the rule says."""


def until_came(w: Stage, asked: Sequence[Activity[T | Lost]], n: int) -> Process[None]:
    """Waits until so many have come, or all that still can have."""
    while True:
        n_came = sum(1 for activity in asked if activity.done and not isinstance(activity.value, Lost))
        going = [activity for activity in asked if not activity.done and not activity.cancelled]
        if n_came >= n or not going:
            return
        yield from w.first(going, min(n - n_came, len(going)))


latenesses: Family[Lateness] = Family("lateness", "gapslsim.frameworks.rules.lateness")
"""What a protocol does about clients that are late, away or lost; one rule per file."""
