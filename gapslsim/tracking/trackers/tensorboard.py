"""TensorBoard: a folder of event files, looked at with `tensorboard --logdir`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from gapslsim.errors import optional
from gapslsim.registry import component
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker, trackers

__all__ = ["TensorBoard"]


@trackers.register
@component
class TensorBoard(Tracker):
    """Event files for TensorBoard, a folder per run; `where` is the folder above, `runs/tensorboard` unless given."""

    kind: Literal["tensorboard"] = "tensorboard"

    def check(self) -> None:
        """Says if TensorBoard is not installed."""
        optional("tensorboard", "The tracker 'tensorboard'", "TensorBoard", "tensorboard")

    def begin(self, run: TrackedRun) -> RunLog:
        """Opens the run's folder."""
        self.check()
        from torch.utils.tensorboard import SummaryWriter

        return _Log(SummaryWriter(str(Path(self.where or "runs/tensorboard") / run.name)), run)


class _Log(RunLog):
    def __init__(self, writer: Any, run: TrackedRun) -> None:
        self._writer, self._last = writer, 0
        writer.add_text("scenario", "".join(f"    {line}\n" for line in run.scenario_yaml.splitlines()))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._last = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def end(self, summary: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(f"summary/{name}", value, self._last)
        self._writer.close()
