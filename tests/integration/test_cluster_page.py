"""The script of the page on clusters runs as it stands there, as SLURM would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gapslsim.results.study import read_study
from gapslsim.studies.plan import load_study
from gapslsim.studies.shards import gather
from tests.snippets import ROOT, snippets
from tests.study_files import STUDY, write_study


def test_the_script_for_slurm_runs_a_shard_per_task(tmp_path: Path) -> None:
    (script,) = (one.text for one in snippets("docs/howto/cluster.md") if one.text.startswith("#!/bin/bash"))
    study = write_study(tmp_path, STUDY.replace("seeds: [1, 2]", "seeds: [1]"))
    (tmp_path / "study.sbatch").write_text(script)
    command = tmp_path / "gapslsim"
    command.write_text(f"#!{sys.executable}\nfrom gapslsim.cli.main import main\nmain()\n")
    command.chmod(0o755)
    for task in ("1", "2"):
        environment = {
            **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "STUDY": str(study),
            "OUT": str(tmp_path / "out"), "SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2",
        }  # fmt: skip
        done = subprocess.run(
            ["bash", str(tmp_path / "study.sbatch")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"Shard {task}/2: 1 of 1 runs completed." in done.stdout, done.stderr
    assert gather(load_study(study), tmp_path / "out").missing == []
    assert [run.status for run in read_study(tmp_path / "out").runs] == ["completed"] * 2
