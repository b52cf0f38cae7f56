"""MLflow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from gapslsim.errors import optional
from gapslsim.registry import component
from gapslsim.tracking.tracker import RunLog, TrackedRun, Tracker, trackers
from gapslsim.whole_files import make_folder

__all__ = ["Mlflow"]

_AT_ONCE: Final = 100
_METRICS_AT_ONCE: Final = 1000
_LONGEST: Final = 500
_LONGEST_NAME: Final = 240
"""Settings and metrics per call, and letters of a value and of a name, that every server takes."""


@trackers.register
@component
class Mlflow(Tracker):
    """MLflow; `where` is a tracking server, a database (`sqlite:///mlflow.db`) or a folder, which gets one.

    Look at a folder by `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`.
    """

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
        client, files = self._client()
        # Of its own for each run: nothing of it is global, and a run that fails leaves none open.
        found = client.get_experiment_by_name(run.group)
        experiment = found.experiment_id if found else client.create_experiment(run.group, files)
        log = _Log(self._package(), client, client.create_run(experiment, run_name=run.name).info.run_id)
        settings = [(name, str(value)[:_LONGEST]) for name, value in named(run.settings).items()]
        for start in range(0, len(settings), _AT_ONCE):
            log.batch(params=settings[start : start + _AT_ONCE])
        client.log_text(log.run, run.scenario_yaml, "scenario.yaml")
        return log

    def _client(self) -> tuple[Any, str | None]:
        """To the server or database, and where files go if it does not say so itself."""
        package, files, where = self._package(), None, self.where
        if where and "://" not in where and where != "databricks" and not where.startswith("file:"):
            folder = Path(where).absolute()
            if any(folder.glob("*/meta.yaml")):  # made by an earlier MLflow, as files
                where = folder.as_uri()
            else:
                make_folder(folder)
                where, files = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        if where.startswith("file:"):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 asks for it
        return package.MlflowClient(where or None), files


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under names that MLflow takes; those that would be called alike are numbered."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        parts = re.sub(r"[^\w ./-]", "_", name).split("/")
        clean = "/".join(part for part in parts if part.strip(". ")) or "_"
        short, number = clean[:_LONGEST_NAME], 1
        while short in found:
            number += 1
            short = f"{clean[:_LONGEST_NAME]}_{number}"
        found[short] = value
    return found


class _Log(RunLog):
    def __init__(self, package: Any, client: Any, run: str) -> None:
        self._entities, self._client, self.run = package.entities, client, run

    def batch(
        self, metrics: Sequence[tuple[str, float, int]] = (), params: Sequence[tuple[str, str]] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        """Adds some of each."""
        now, of = int(time.time() * 1000), self._entities
        self._client.log_batch(
            self.run, [of.Metric(name, value, now, step) for name, value, step in metrics],
            [of.Param(*each) for each in params], [of.RunTag(*each) for each in tags],
        )  # fmt: skip

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.batch([(name, value, step) for name, value in named(values).items()])

    def end(self, summary: Mapping[str, Any], numbers: Mapping[str, float]) -> None:
        told = ("timeline_sha256", "learning_sha256", "stopped_by")
        last = [(name, value, 0) for name, value in named(numbers).items()]
        self.batch(tags=[(name, str(summary[name])) for name in told if name in summary])
        for start in range(0, len(last), _METRICS_AT_ONCE):
            self.batch(last[start : start + _METRICS_AT_ONCE])
        self._client.log_dict(self.run, dict(summary), "summary.json")
        completed = summary.get("status") == "completed"
        self._client.set_terminated(self.run, "FINISHED" if completed else "FAILED")
