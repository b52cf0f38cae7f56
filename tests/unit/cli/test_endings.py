"""However a command ends: in words, with a code that is documented, and what was done so far is kept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gapslsim.cli import listing
from gapslsim.cli.main import main
from gapslsim.cli.signals import held_back, interrupting
from gapslsim.studies import _execute
from tests.study_files import write_study

Call = Callable[[Callable[[], None]], SimpleNamespace]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Has `gapslsim list` do something else; gives its code, what it said and the reports that it left."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def called(do: Callable[[], None]) -> SimpleNamespace:
        def command() -> None:
            do()

        monkeypatch.setattr(listing, "list_components", command)
        with pytest.raises(SystemExit) as ended:
            main(["list"])
        reports = [path.read_text() for path in (tmp_path / "state").rglob("fault-*.txt")]
        return SimpleNamespace(code=ended.value.code, err=capsys.readouterr().err, reports=reports)

    return called


def raising(error: BaseException) -> Callable[[], None]:
    def do() -> None:
        raise error

    return do


def raising_within(error: BaseException) -> Callable[[], None]:
    """The same from a line of the package."""

    def do() -> None:
        exec(compile("raise error", listing.__file__, "exec"), {"error": error})

    return do


def test_what_nobody_expected_is_one_sentence_and_a_report(call: Call, tmp_path: Path) -> None:
    done = call(raising_within(KeyError("a\x1b[31m")))
    assert done.code == 70
    assert done.err.count("\n") == 1
    assert done.err.startswith(r"Error: KeyError: 'a\x1b[31m' (in listing.py:")
    assert str(tmp_path / "state" / "gapslsim") in done.err
    assert "\x1b" not in done.err
    (report,) = done.reports
    assert "gapslsim list" in report
    assert "Traceback (most recent call last)" in report
    assert "in do" in report


def test_errors_within_the_package_are_ours_and_those_of_a_component_are_its_own(call: Call) -> None:
    ours = call(lambda: _execute.carry_out(None))  # type: ignore[arg-type]
    assert "a fault of ours, not of your input" in ours.err
    assert "please send us that file" in ours.err
    theirs = call(raising(KeyError("x")))
    assert "an error in test_endings.py, which is no file of ours" in theirs.err
    assert (ours.code, theirs.code) == (70, 2)


def test_a_report_that_can_be_written_nowhere_goes_to_the_error_output(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/none")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/proc/none")
    done = call(raising_within(ZeroDivisionError("x")))
    assert done.code == 70
    assert "Traceback" in done.err
    assert "no report could be written" in done.err


class OutOfMemoryError(RuntimeError):
    """As torch calls its own."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "The memory did not suffice (MemoryError"),
        (OutOfMemoryError("CUDA"), "The memory did not suffice"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "smaller"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "more memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/spans.parquet"), "out/spans.parquet"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "x"), "quota"),
    ],
)
def test_a_machine_that_is_full_is_no_fault_of_ours(error: Exception, told: str, call: Call) -> None:
    done = call(raising(error))
    assert (done.code, done.reports) == (1, [])
    assert told in done.err
    assert "fault of ours" not in done.err


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGUSR1, 138)],
)
def test_signals_that_ask_to_end_are_as_ctrl_c_and_a_second_one_ends_at_once(
    number: signal.Signals, code: int, call: Call
) -> None:
    before, after = signal.getsignal(number), []

    def do() -> None:
        try:
            signal.raise_signal(number)  # To this thread: one that another thread took would not end a pause.
        finally:
            after.append(signal.getsignal(signal.SIGTERM))

    done = call(do)
    assert done.code == code
    assert "Interrupted." in done.err
    assert after == [signal.SIG_DFL]
    assert signal.getsignal(number) == before


def test_a_signal_that_comes_while_the_call_is_parsed_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "typer.core.TyperGroup.parse_args", lambda *_: signal.raise_signal(signal.SIGTERM) or []
    )
    with pytest.raises(SystemExit) as ended:
        main(["list"])
    assert ended.value.code == 143
    assert "Interrupted." in capsys.readouterr().err


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupting() as handler:
            os.kill(os.getpid(), signal.SIGHUP)
            assert handler.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_results_that_are_being_written_are_written_first(call: Call) -> None:
    written = []

    def do() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            written.append("all")
        written.append("too much")

    assert call(do).code == 143
    assert written == ["all"]


def test_a_sweep_that_is_asked_to_end_keeps_what_is_finished_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, begun = str(write_study(tmp_path)), []
    carried_out = _execute.carry_out

    def asked(job: _execute.Job) -> _execute.Outcome:
        begun.append(job.label)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return carried_out(job)

    monkeypatch.setattr("gapslsim.studies.backends.local.carry_out", asked)
    call = ["sweep", study, "-o", str(tmp_path / "out"), "-j", "1", "-q"]
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code == 143
    assert "go on with --resume" in capsys.readouterr().err
    with pytest.raises(SystemExit) as again:
        main([*call, "--resume"])
    assert not again.value.code
    assert len(begun) == len(set(begun)) + 1 == 5


PROGRAM = "from gapslsim.cli import listing; import sys, typer; from gapslsim.cli.main import main\n"
SAYS = PROGRAM + "listing.list_components = lambda: typer.echo('\u03b8' * 99999)\nmain(['list'])"


def shell(redirected: str, program: str = SAYS, **more: str) -> subprocess.CompletedProcess[str]:
    command = f'"{sys.executable}" -c "$PROGRAM" {redirected}'
    environment = {**os.environ, "PROGRAM": program, **more}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)


def test_streams_that_are_gone_closed_full_or_narrow_are_stood(tmp_path: Path) -> None:
    unread = shell("| true; echo ${PIPESTATUS[0]}")
    assert (unread.stdout, unread.stderr) == ("141\n", "")
    full = shell("> /dev/full")
    assert (full.returncode, "No space left" in full.stderr, full.stderr.count("\n")) == (1, True, 1)
    closed = shell("<&- >&- 2>&-")
    assert closed.returncode == 0
    narrow = shell("", PYTHONIOENCODING="latin-1")
    assert (narrow.returncode, narrow.stdout[:6], narrow.stderr) == (0, "\\u03b8", "")


def test_a_folder_that_is_gone_is_told(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = call(lambda: Path.cwd().is_dir() and None)
    assert (done.code, done.reports) == (2, [])
    assert "is gone" in done.err


def test_a_run_of_a_study_that_fails_through_us_says_so_with_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(_execute, "_simulate", lambda job: raising(IndexError("x"))())
    # The deep checks, which look for a cause in the scenario, find none.
    monkeypatch.setattr("gapslsim.scenario.loading.loads", lambda *_, **__: raising(ValueError())())
    told = _execute.carry_out(_execute.Job("one", "{}")).error
    assert told.startswith("IndexError: x (in test_endings.py:")
    assert "run one of a study" in next(tmp_path.rglob("fault-*.txt")).read_text()
