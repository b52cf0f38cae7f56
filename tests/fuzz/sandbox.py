"""One command in a process of its own, within bounds of time and memory, and how it ended.

The process is forked from one that has imported everything, so that thousands can be tried. Its world is a folder with
`in/` (the inputs), `cwd/` and `out/` (which it may write), `home/` and, beside them, a file that nothing concerns.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gapslsim.cli.main import main
from tests.fuzz.values import CANARY, SECRET

__all__ = [
    "ASKED_S",
    "DOCUMENTED",
    "LIMIT_S",
    "Ending",
    "Running",
    "bounded",
    "confine",
    "furnish",
    "progress",
]

DOCUMENTED: Final = {0, 1, 2, 3, 130, 143}
"""Exit codes of docs/command-line.md, but for 70: a fault of ours."""
LIMIT_S: Final = 10.0
"""Of processor time, and of waiting without any."""
GROWTH_BYTES: Final = 1 << 30
SAID_BYTES: Final = 20_000_000
"""Of output: who prints more prints without end."""
_ADDRESSES: Final = 3 << 30
"""Beyond what the process has: the machine must stand a bomb."""
ASKED_S: Final = 3.0
"""Processor time after which a command that may last for long is asked to end."""
_FREE: Final = ("/dev/null", "/dev/tty", "/dev/shm", "/proc/self")
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202e]")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended."""

    fault: str
    """Empty, or which kind: two inputs with one text met the same fault."""
    code: int
    seconds: float
    """Of processor time."""
    growth_bytes: int
    said: str
    """The end of what it printed."""
    report: str = ""
    """What the handler of last resort wrote."""


def furnish(world: Path) -> None:
    """All but the inputs."""
    for name in ("in", "cwd", "out", "home", "tmp"):
        (world / name).mkdir(parents=True)
    (world / SECRET).write_text(f"{CANARY}\n" * 3)
    os.mkfifo(world / "fifo")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Bounds the memory of this process for a while as `confine` does for good, so that it makes the same inputs."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + _ADDRESSES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def confine() -> None:
    """Bounds what this process can take, watches what it writes, and gives it nothing to read."""
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + _ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 30, 2 << 30))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.addaudithook(_WATCH)


@dataclass
class Running:
    """A command under way."""

    world: Path
    arguments: list[str]
    may_last: bool = False
    """Whether it is asked to end rather than judged by its time: a scenario may ask for a million rounds."""
    writes: tuple[str, ...] = ()
    """What it may change among the inputs."""
    cache: str = ""
    program: Callable[[list[str]], None] = main
    pid: int = 0
    _before: dict[str, Any] = field(default_factory=dict)
    _began: float = 0.0
    _cpu: float = 0.0
    _waited: float = 0.0
    _looked: float = 0.0
    _asked_at: float | None = None
    _killed: str = ""

    def start(self) -> int:
        """Forks; returns the child's id."""
        self._before = dict(self._tree())
        self._began = self._looked = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            code = 70
            try:
                code = self._child()
            finally:
                os._exit(code)
        return self.pid

    def _child(self) -> int:
        confine()
        return self._carry_out()

    def here(self) -> Ending:
        """Carries it out in this very process, which is confined already and carries others out before and after."""
        self._before = dict(self._tree())
        began = resource.getrusage(resource.RUSAGE_SELF)
        environment = dict(os.environ)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        code = self._carry_out()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _WATCH.world = None
        os.environ.clear()
        os.environ.update(environment)
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime
        return self._ending(code, seconds, _peak())

    def _carry_out(self) -> int:
        said = os.open(self.world / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.close(said)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8")
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True
        )
        os.chdir(self.world / "cwd")
        home = str(self.world / "home")
        os.environ |= {
            "HOME": home,
            "TMPDIR": str(self.world / "tmp"),
            "GAPSLSIM_CACHE": self.cache or home,
            "COLUMNS": "200",
        }
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "GAPSLSIM_DATA"):
            os.environ.pop(name, None)
        (self.world / "resident").write_text(str(_resident()))
        _WATCH.begin(self.world, self.cache)
        code = 0
        try:
            self.program(self.arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        except BaseException:
            traceback.print_exc()
            code = 70
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        return code

    def look(self) -> Ending | None:
        """How it ended, if it has; ends it if it is beyond its bounds."""
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        if pid:
            code, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
            return self._ending(code, seconds, used.ru_maxrss * 1024)
        now = time.monotonic()
        if now - self._looked > 0.1:
            cpu, sleeps = progress(self.pid)
            self._waited = self._waited + now - self._looked if sleeps and cpu - self._cpu < 0.02 else 0.0
            self._cpu, self._looked = cpu, now
            self._bound(now)
        return None

    def _bound(self, now: float) -> None:
        limit_s = LIMIT_S
        if self.may_last:
            if self._asked_at is None and self._cpu > ASKED_S:
                os.kill(self.pid, signal.SIGTERM)
                self._asked_at = self._cpu
            limit_s += ASKED_S
        if self._cpu > limit_s:
            self._killed = (
                "did not end when asked" if self._asked_at else f"more than {LIMIT_S:g} s of processor time"
            )
        elif self._waited > LIMIT_S:
            self._killed = f"waits for more than {LIMIT_S:g} s"
        if self._killed:
            os.kill(self.pid, signal.SIGKILL)

    def _ending(self, code: int, seconds: float, peak_bytes: int) -> Ending:
        said = self._said()
        # Taken by itself at its start: pages of files are not counted until it touches them.
        resident = self.world / "resident"
        growth = peak_bytes - int(resident.read_text() or 0) if resident.exists() else 0
        return Ending(self._fault(code, growth, said), code, seconds, growth, said[-6000:], self._report())

    def _fault(self, code: int, growth: int, said: str) -> str:
        wrote = sorted({path for path, _ in set(self._tree()) ^ set(self._before.items())})
        if wrote or (watched := self._watched()):
            return f"wrote outside: {wrote[0] if wrote else watched}"
        if self._killed:
            return self._killed
        if growth > GROWTH_BYTES:
            return "memory grew by more than 1 GB"
        if len(said) >= SAID_BYTES:
            return f"printed {SAID_BYTES / 1e6:g} MB or more"
        report = self._report()
        # A component's own error is said in one sentence; its report is for whoever wrote it.
        is_theirs = code == 2 and "which is no file of ours" in said
        if "Traceback (most recent call last)" in (said if is_theirs else said + report):
            return _kind_of(report or said)
        if code not in DOCUMENTED:
            return f"exit code {code}"
        if code and not said.strip():
            return f"exit code {code} without a word"
        if CANARY in said and not self._names_secret():
            return "printed what a file holds that is not ours"
        if control := _CONTROLS.search(said):
            return f"printed the control character {control.group()!r}"
        return ""

    def _said(self) -> str:
        """What it printed, the beginning of it if that is without end."""
        with contextlib.suppress(FileNotFoundError), (self.world / "said").open("rb") as file:
            return file.read(SAID_BYTES).decode("utf-8", "replace")
        return ""

    def _names_secret(self) -> bool:
        """Whether the command line names it, through a link: such files are quoted (docs/security.md)."""
        named = (os.path.realpath(self.world / "cwd" / argument) for argument in self.arguments)
        return os.path.realpath(self.world / SECRET) in named

    def _report(self) -> str:
        """That of the handler of last resort."""
        found = sorted((self.world / "home").rglob("fault-*.txt"))
        return found[-1].read_text("utf-8", "replace") if found else ""

    def _watched(self) -> str:
        log = self.world / "watched"
        return log.read_text().splitlines()[0] if log.exists() else ""

    def _tree(self) -> Iterator[tuple[str, Any]]:
        """What must stay as it is, with its state."""
        left = [self.world]
        while left:
            for entry in os.scandir(left.pop()):
                name = os.path.relpath(entry.path, self.world)
                if name in ("cwd", "out", "home", "tmp", "said", "watched", "resident") or name.startswith(
                    self.writes or ("\0",)
                ):
                    continue
                state = entry.stat(follow_symlinks=False)
                is_folder = entry.is_dir(follow_symlinks=False)
                # A folder's own times change with what may be written in it.
                yield (
                    name,
                    (state.st_mode, 0 if is_folder else state.st_size, 0 if is_folder else state.st_mtime_ns),
                )
                if is_folder:
                    left.append(Path(entry.path))


class _Watch:
    """Notes what is written, deleted or started where nobody would look for it."""

    def __init__(self) -> None:
        self.world: Path | None = None
        """Of the command under way; None while there is none."""
        self._own: tuple[str, ...] = ()
        self._busy = False

    def begin(self, world: Path, cache: str) -> None:
        """Watches a command."""
        self._own = tuple(filter(None, (str(world), cache, *_FREE)))
        self.world = world

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or self.world is None:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or not (
                flags & _WRITES if isinstance(flags, int) else mode and set("wax+") & set(mode)
            ):
                return
            changed = [path]
        elif event == "os.mkdir" and os.path.lexists(arguments[0]):
            return  # which fails, and changes nothing
        elif event in (
            "os.remove",
            "os.rmdir",
            "os.mkdir",
            "os.truncate",
            "os.chmod",
            "os.utime",
            "os.chown",
        ):
            changed = arguments[:1]  # type: ignore[assignment]
        elif event in ("os.rename", "os.link", "os.symlink", "shutil.move"):
            changed = arguments[:2]  # type: ignore[assignment]
        elif event in ("os.system", "os.exec", "socket.connect"):
            self._note(f"{event} {arguments[0]!r:.80}")
            return
        else:
            return
        for path in changed:
            if isinstance(path, (str, bytes)) or hasattr(path, "__fspath__"):
                at = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path)) or "/"))
                if not at.startswith(self._own) and not os.path.abspath(os.fsdecode(path)).startswith(
                    self._own
                ):
                    self._note(f"{event} {os.fsdecode(path)!r:.120}")

    def _note(self, what: str) -> None:
        self._busy = True
        with contextlib.suppress(OSError), open(f"{self.world}/watched", "a") as log:
            log.write(what + "\n")
        self._busy = False


_WATCH: Final = _Watch()
"""A hook can be added to a process, and never taken away."""


def _kind_of(text: str) -> str:
    """Of a traceback: the error, where it rose, and the last place of ours that it passed."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', text)
    ends = re.findall(
        r"^([A-Za-z_][\w.]*(?:[Ee]rror|Exception|Exit|Interrupt|Iteration|Warning|Full|Bomb\w*))(?::|$)",
        text,
        re.M,
    )
    error = ends[-1] if ends else "?"
    own = [
        f"{path.split('/gapslsim/', 1)[1]}:{name}"
        for path, _, name in frames
        if "/gapslsim/" in path and "/cli/main.py" not in path
    ]
    rose = f"{Path(frames[-1][0]).name}:{frames[-1][2]}" if frames else "?"
    return f"traceback: {error} at {own[-1] if own else '?'} (rose in {rose})"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak() -> int:
    """The most memory that this process has had [B]."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def progress(pid: int) -> tuple[float, bool]:
    """Processor time [s], and whether every thread sleeps."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, False
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0] in "SD"
