"""What several processes do to one place at the same time is refused in words, or harmless."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.hardware.profile_file import read_profile
from gapslsim.learning.journal.folder import trainings
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.results.store import StoredRun
from tests.study_files import BASE
from tests.unit.calibration.test_table import GOOD, written

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def at_once(folder: Path, *calls: list[str]) -> list[tuple[int, str]]:
    """Exit code and words of each of several commands that begin together."""
    start = time.monotonic() + 0.3
    children = []
    for number, call in enumerate(calls):
        child = os.fork()
        if not child:
            code = 70
            try:
                said = os.open(folder / f"said-{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(said, 1)
                os.dup2(said, 2)
                time.sleep(max(0.0, start - time.monotonic()))
                main(call)
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return [(code, (folder / f"said-{number}").read_text()) for number, code in enumerate(codes)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    simulate(load(tmp_path / "base.yaml"), dry=True)  # what is imported late is imported before the forks
    return tmp_path / "base.yaml"


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_two_runs_into_one_directory_leave_one_whole_run(more: list[str], base: Path, tmp_path: Path) -> None:
    alone = simulate(load(base)).summary
    call = ["run", str(base), "-o", str(tmp_path / "out"), "-q", *more]
    ended = at_once(tmp_path, call, call)
    assert 0 in {code for code, _ in ended}
    assert {code for code, _ in ended} <= {0, 2}, ended
    stored = StoredRun(tmp_path / "out")
    assert stored.summary["learning_sha256"] == alone["learning_sha256"]
    assert len(stored.results().spans) > 0
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_prunes_beside_one_another_and_beside_a_run_take_nothing_that_is_in_use(
    base: Path, tmp_path: Path
) -> None:
    journal = JournalSettings(tmp_path / "journal", checkpoint_every=1)
    first = simulate(load(base), journal=journal).summary
    prune = ["journal", "prune", str(tmp_path / "journal"), "--max-size", "1 kB"]
    run = ["run", str(base), "-o", str(tmp_path / "out"), "-q", "--journal", str(tmp_path / "journal")]
    ended = at_once(tmp_path, prune, prune, run)
    assert {code for code, _ in ended} <= {0, 1, 2}, ended
    assert all(code == 0 or "by another process" in said for code, said in ended), ended
    again = simulate(load(base), journal=journal).summary
    assert again["learning_sha256"] == first["learning_sha256"]
    assert len(trainings(tmp_path / "journal")) == 1


def test_two_calibrations_onto_one_file_leave_one_whole_profile(tmp_path: Path) -> None:
    rows = [GOOD.replace("1e9", f"{k}e8").replace("0.01", str(0.001 * k + 0.002)) for k in range(1, 13)]
    call = [
        "calibrate",
        str(written(tmp_path, *rows)),
        "-o",
        str(tmp_path / "mine.yaml"),
        "--model",
        "linear",
    ]
    assert [code for code, _ in at_once(tmp_path, call, call)] == [0, 0]
    assert read_profile(tmp_path / "mine.yaml").name == "mine"
    assert not list(tmp_path.glob(".*"))
