"""Everyone is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from gapslsim.frameworks.lateness import Lateness, latenesses
from gapslsim.frameworks.stage import Lost, Process, Stage
from gapslsim.registry import component

__all__ = ["Wait"]

T = TypeVar("T")


@latenesses.register
@component
class Wait(Lateness):
    """The server waits for everyone, however long it takes; only what is lost for good it does without.

    A client that never comes back is waited for for ever: the run ends as `stalled`.
    """

    kind: Literal["wait"] = "wait"

    def gather(
        self, w: Stage, phase: str, processes: Mapping[int, Process[T]], keep: bool
    ) -> Process[dict[int, T]]:
        """A barrier."""
        if not w.may_lose:
            values = yield from w.together(processes.values())
            return dict(zip(processes, values, strict=True))
        attempts = yield from w.together(
            self._attend(w, phase, client, process) for client, process in processes.items()
        )
        return {
            client: value
            for client, value in zip(processes, attempts, strict=True)
            if not isinstance(value, Lost)
        }
