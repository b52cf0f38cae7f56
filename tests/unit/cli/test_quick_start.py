from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gapslsim.cli.main import main
from gapslsim.data.datasets.digits import read_digits
from gapslsim.models.cost import _split_cost

SLOW = ("torch", "sklearn", "scipy.stats", "matplotlib")
CALLS = (
    ["validate", "quickstart"],
    ["list"],
    ["show", "framework", "gapsl"],
    ["show", "device", "jetson-nano"],
    ["run", "quickstart", "--dry", "--set", "stop.rounds=2", "-q", "-o", "dry"],
    ["trace", "dry", "--critical-path"],
)


def test_commands_that_train_nothing_import_nothing_slow_for_a_model_costed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GAPSLSIM_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr("gapslsim.torch_device._DRIVER", tmp_path / "no driver")
    _split_cost.cache_clear()  # What this process costed for other tests is not in the new folder.
    with pytest.raises(SystemExit):
        main(CALLS[0])  # Costs are kept now.
    capsys.readouterr()
    code = (
        "import sys\nfrom pathlib import Path\nfrom gapslsim import torch_device\nfrom gapslsim.cli.main import main\n"
        "torch_device._DRIVER = Path('no driver')\n"
        f"for call in {CALLS!r}:\n"
        "    try: main(call)\n"
        "    except SystemExit as ended: assert not ended.code, (call, ended.code)\n"
        f"    found = [name for name in {SLOW!r} if name in sys.modules]\n"
        "    assert not found, (call, found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_digits_are_scikit_learns_to_the_last_byte() -> None:
    rows, theirs = read_digits(), load_digits()
    assert rows[:, :-1].tobytes() == theirs.data.tobytes()
    np.testing.assert_array_equal(rows[:, -1], theirs.target)
