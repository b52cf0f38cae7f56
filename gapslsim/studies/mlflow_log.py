"""Logs every completed run of a study to MLflow: settings as parameters, the summary as metrics, curves as steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gapslsim.results.results import Results
from gapslsim.results.study import RUNS, RunRecord
from gapslsim.results.summary import accuracy_curve
from gapslsim.studies.backend import optional

__all__ = ["MlflowLog"]


class MlflowLog:
    """Called with each run that completes.

    Args:
        uri: of a tracking server, or a folder or database as MLflow writes it (`sqlite:///mlflow.db`).
        experiment: name of the experiment; the study's.
        out: the study's directory; each run's summary and scenario go along as artifacts.

    Raises:
        ComponentError: if MLflow is not installed.
    """

    def __init__(self, uri: str, experiment: str, out: Path) -> None:
        self._mlflow = optional("mlflow", "--mlflow", "MLflow", "mlflow")
        self._mlflow.set_tracking_uri(uri)
        self._mlflow.set_experiment(experiment)
        self._out = out

    def __call__(self, record: RunRecord, results: Results) -> None:
        """Logs one run."""
        mlflow, summary = self._mlflow, results.summary
        with mlflow.start_run(run_name=record.label):
            mlflow.log_params({**record.axes, "seed": record.seed, "framework_kind": summary["framework"]})
            mlflow.set_tags(
                {key: summary[key] for key in ("timeline_sha256", "learning_sha256", "stopped_by")}
            )
            mlflow.log_metrics(_numbers(summary))
            for view in results.evaluations["view"].unique():
                for row in accuracy_curve(results.evaluations, view).itertuples(index=False):
                    mlflow.log_metric(f"accuracy/{view}", row.accuracy, step=int(row.round))
            for name in ("scenario.yaml", "summary.json"):
                mlflow.log_artifact(str(self._out / RUNS / record.label / name))


def _numbers(summary: dict[str, Any]) -> dict[str, float]:
    """Every number of the summary by its dotted name."""
    (flat,) = pd.json_normalize(summary).to_dict("records")
    # A bool is an int in Python, and no metric.
    return {
        str(k): float(v) for k, v in flat.items() if isinstance(v, (int, float)) and not isinstance(v, bool)
    }
