"""Fresh inputs for every reader and every command, the same in every call: the short form of `nox -s fuzz`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_some_inputs_that_nobody_has_tried_end_in_words(tmp_path: Path) -> None:
    # A process of its own: it imports the whole package, and forks.
    call = [sys.executable, "-m", "tests.fuzz", "--inputs", "180", "--seed", "2026", "--jobs", "1"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*call, "--keep", str(tmp_path / "kept")],
        cwd=root,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "0 failed" in done.stdout
