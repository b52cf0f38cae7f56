"""Ends `gapslsim run` by a signal at random moments, goes on with --resume, and compares the hashes.

    python -m tests.fuzz.kills [--moments 50] [--signal TERM] [--seed 0]

A run that SIGTERM ends must write its results and exit with 143, in words; the resumed one must have the hashes of one
that was left alone. With `--signal KILL` nothing is written at the end, and the same must hold. Every run is a fork of
one process that has imported everything; `benchmarks.kill_test` looks into the journal besides.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gapslsim.learning.engine  # noqa: F401
from benchmarks.kill_test import SCENARIO, SHAPES
from gapslsim import load, simulate
from gapslsim.cli.main import main as command
from gapslsim.frameworks.framework import frameworks

__all__ = ["Moments", "forked", "waited_for"]

_AT_MOST_S: Final = 60.0


class Moments:
    """A scenario of each framework, run once to its end."""

    def __init__(self, folder: Path, kinds: list[str], seed: int = 0) -> None:
        self._folder, self._dice = folder, random.Random(seed)
        self._file = folder / "kill.yaml"
        self._file.write_text(SCENARIO)
        simulate(load(self._file), dry=True)  # what is imported late is imported here, once
        self._alone: dict[str, tuple[dict[str, Any], float]] = {}
        for kind in kinds:
            began = time.monotonic()
            code = waited_for(self._start(kind, folder / kind))
            assert code == 0, (folder / f"{kind}.said").read_text()
            self._alone[kind] = self._summary(folder / kind), time.monotonic() - began

    def once(self, kind: str, number: signal.Signals) -> str:
        """Sends one signal at a random moment and goes on; what is wrong, or empty."""
        alone, longest_s = self._alone[kind]
        out = self._folder / f"{kind}-{self._dice.randrange(1 << 30)}"
        child = self._start(kind, out)
        time.sleep(self._dice.uniform(0, 1.1 * longest_s))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)
        code = waited_for(child)
        said = out.with_suffix(".said").read_text()
        expected = {0, -number} if number == signal.SIGKILL else {0, 128 + number}
        # Before the command stands, the signal does what it does to every program.
        if code not in expected and not (code == -number and not out.exists()):
            return f"exit code {code}: {said[-500:]}"
        if "Traceback" in said or (code > 0 and "Interrupted" not in said):
            return f"said {said[-500:]!r}"
        ended = self._summary(out)
        if number != signal.SIGKILL and ended and ended["status"] not in ("interrupted", "completed"):
            return f"ended as {ended['status']}"
        if (code := waited_for(self._start(kind, out, "--resume"))) != 0:
            return f"resumed with {code}: {out.with_suffix('.said').read_text()[-500:]}"
        resumed = self._summary(out)
        unlike = [name for name in ("timeline_sha256", "learning_sha256") if resumed[name] != alone[name]]
        half = [path.name for path in out.rglob("*.partial") if number != signal.SIGKILL]
        return " ".join([*unlike, *half])

    def _start(self, kind: str, out: Path, *more: str) -> int:
        call = ["run", str(self._file), "-o", str(out), "-q", "--checkpoint-every", "4", *more]
        shape = ["--set", SHAPES[kind]] if kind in SHAPES else []
        return forked([*call, "--set", f"framework={kind}", *shape], out.with_suffix(".said"))

    def _summary(self, out: Path) -> dict[str, Any]:
        file = out / "summary.json"
        return json.loads(file.read_text()) if file.exists() else {}


def forked(call: list[str], said: Path, before: Callable[[], object] = lambda: None) -> int:
    """Carries a command out in a fork of this process, which has imported everything; returns its id.

    Args:
        call: the command line.
        said: where what it prints goes.
        before: is called there first.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115
        before()
        command(call)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def waited_for(child: int) -> int:
    """Its exit code; less than zero for the signal that ended it."""
    deadline = time.monotonic() + _AT_MOST_S
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGALRM


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--signal", default="TERM", choices=["TERM", "HUP", "INT", "XCPU", "USR1", "KILL"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from tests.fuzz.campaign import import_all

    import_all()
    kinds = sorted(frameworks)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="gapslsim-kills-") as folder:
        moments = Moments(Path(folder), kinds, options.seed)
        for turn in range(options.moments):
            kind = kinds[turn % len(kinds)]
            found = moments.once(kind, signal.Signals[f"SIG{options.signal}"])
            wrong += bool(found)
            print(f"{turn + 1:3} {kind}: {found or 'same hashes'}", flush=True)
    print(
        f"{options.moments} runs ended by SIG{options.signal}, over {len(kinds)} frameworks; {wrong} wrong."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
