"""MLflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Literal

from gapslsim.errors import optional
from gapslsim.registry import component
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker, trackers

__all__ = ["Mlflow"]

_AT_ONCE: Final = 100
_LONGEST: Final = 500
"""Settings per call, and letters of one, that every server takes."""


@trackers.register
@component
class Mlflow(Tracker):
    """MLflow; `where` is a tracking server, or a folder or database as MLflow writes it (`sqlite:///mlflow.db`)."""

    kind: Literal["mlflow"] = "mlflow"

    def check(self) -> None:
        """Says if MLflow is not installed."""
        self._package()

    def _package(self) -> Any:
        # A server that is not there is given up soon; MLflow itself would go on asking for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        return optional("mlflow", "The tracker 'mlflow'", "MLflow", "mlflow")

    def begin(self, run: TrackedRun) -> RunLog:
        """Opens a run within the experiment of its scenario or study."""
        mlflow = self._package()
        if self.where:
            mlflow.set_tracking_uri(self.where)
        mlflow.set_experiment(run.group)
        mlflow.start_run(run_name=run.name)
        log = _Log(mlflow)
        settings = [(name, str(value)[:_LONGEST]) for name, value in run.settings.items()]
        for start in range(0, len(settings), _AT_ONCE):
            mlflow.log_params(dict(settings[start : start + _AT_ONCE]))
        mlflow.log_text(run.scenario_yaml, "scenario.yaml")
        return log


class _Log(RunLog):
    def __init__(self, mlflow: Any) -> None:
        self._mlflow = mlflow

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def end(self, summary: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
        told = ("timeline_sha256", "learning_sha256", "stopped_by")
        self._mlflow.set_tags({name: summary[name] for name in told if name in summary})
        self._mlflow.log_metrics(dict(numbers))
        self._mlflow.log_dict(dict(summary), "summary.json")
        self._mlflow.end_run("FINISHED" if summary.get("status") == "completed" else "FAILED")
