"""Limits of the system on a run under way: processor time and memory end it in words, with a journal that is whole."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gapslsim.learning.journal.maintenance import verify
from tests.fuzz.kills import SCENARIO, forked, waited_for

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def call(tmp_path: Path) -> list[str]:
    """Of a run that would last for hours."""
    file = tmp_path / "long.yaml"
    file.write_text(SCENARIO.replace("rounds: 30", "rounds: 1000000").replace("2 rounds", "1000 rounds"))
    return ["run", str(file), "-o", str(tmp_path / "out"), "-q", "--checkpoint-every", "4"]


def sound(out: Path) -> bool:
    n_checked, problems = verify(out / "journal")
    return n_checked > 0 and not problems


@pytest.mark.parametrize("hard", [3, None])
def test_a_limit_of_processor_time_ends_a_run_as_ctrl_c_would(
    hard: int | None, call: list[str], tmp_path: Path
) -> None:
    limits = (2, resource.RLIM_INFINITY) if hard is None else (hard, hard)  # as `ulimit -t` sets both
    child = forked(call, tmp_path / "said", lambda: resource.setrlimit(resource.RLIMIT_CPU, limits))
    assert waited_for(child) == 152
    assert "go on with --resume" in (tmp_path / "said").read_text()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["status"] == "interrupted"
    assert sound(tmp_path / "out")


LEAVES_NO_MEMORY = """
import resource, sys
from pathlib import Path
import gapslsim.run
from gapslsim.cli.main import main

simulate, left = gapslsim.run.simulate, [5]

def observer(_):
    left[0] -= 1
    if not left[0]:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200_000, resource.RLIM_INFINITY))

gapslsim.run.simulate = lambda scenario, **how: simulate(scenario, **how | {"observer": observer})
main(sys.argv[1:])
"""


def test_memory_that_runs_out_in_the_midst_of_training_is_told(call: list[str], tmp_path: Path) -> None:
    # A process of its own: type checks of tests fail in C where memory is short.
    wide = [*call, "--set", "model.hidden=[1000, 12]", "--set", "evaluation.every=50 rounds"]
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_NO_MEMORY, *wide], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, "The memory did not suffice" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr
    assert sound(tmp_path / "out")
