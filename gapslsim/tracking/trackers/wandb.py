"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gapslsim.errors import optional
from gapslsim.registry import component
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker, trackers

__all__ = ["Wandb"]


@trackers.register
@component
class Wandb(Tracker):
    """Weights & Biases; `where` is `PROJECT` or `ENTITY/PROJECT`, the project `gapslsim` unless given.

    The key, the server and offline mode are W&B's own affair (`wandb login`, `WANDB_MODE=offline`).
    """

    kind: Literal["wandb"] = "wandb"

    def check(self) -> None:
        """Says if W&B is not installed."""
        self._package()

    def _package(self) -> Any:
        return optional("wandb", "The tracker 'wandb'", "Weights & Biases", "wandb")

    def begin(self, run: TrackedRun) -> RunLog:
        """Opens a run within the project; scenario or study are its group."""
        entity, _, project = self.where.rpartition("/")
        return _Log(
            self._package().init(
                entity=entity or None, project=project or "gapslsim", name=run.name, group=run.group,
                config=dict(run.settings),
            )
        )  # fmt: skip


class _Log(RunLog):
    def __init__(self, run: Any) -> None:
        self._run = run

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def end(self, summary: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
        self._run.summary.update(dict(numbers))
        self._run.finish(exit_code=0 if summary.get("status") == "completed" else 1)
