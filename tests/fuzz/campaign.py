"""Thousands of inputs, each made by dice that its number seeds; those that fail are kept, and made small."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.corpus import build
from tests.fuzz.mutations import mutate_file
from tests.fuzz.readers import READERS, Call
from tests.fuzz.sandbox import Ending, Running, bounded, furnish
from tests.fuzz.shift import Shift

__all__ = ["CALL", "Campaign", "Case", "Tally", "import_all", "keep", "replay", "shrink"]

CALL: Final = "call.json"
"""In a kept input, beside `in/`."""
_LATE: Final = (
    "matplotlib.pyplot",
    "seaborn",
    "sklearn.datasets",
    "torchvision.models",
    "torch.func",
    "scipy.optimize",
    "PIL.PngImagePlugin",
)


@dataclass(frozen=True, slots=True)
class Case:
    """An input by its number."""

    reader: str
    seed: int
    number: int

    @property
    def dice(self) -> Random:
        """Always the same for it."""
        return Random(f"{self.seed} {self.reader} {self.number}")

    @property
    def again(self) -> str:
        """How to repeat it."""
        return f"python -m tests.fuzz --only {self.reader} --seed {self.seed} --case {self.number}"


@dataclass
class Tally:
    """What came out."""

    codes: Counter[int] = field(default_factory=Counter)
    faults: dict[str, list[Case]] = field(default_factory=dict)
    slowest_s: float = 0.0
    largest_bytes: int = 0
    seconds: float = 0.0
    unsteady: list[tuple[Case, str]] = field(default_factory=list)
    """Failed after others in one process, how, and not by themselves."""

    def add(self, case: Case, ending: Ending) -> bool:
        """Counts it; whether its fault is new."""
        self.codes[ending.code] += 1
        self.slowest_s = max(self.slowest_s, ending.seconds)
        self.largest_bytes = max(self.largest_bytes, ending.growth_bytes)
        if ending.fault:
            self.faults.setdefault(f"{case.reader}: {ending.fault}", []).append(case)
        return bool(ending.fault) and len(self.faults[f"{case.reader}: {ending.fault}"]) == 1

    def __str__(self) -> str:
        codes = ", ".join(f"{count} with {code}" for code, count in sorted(self.codes.items()))
        bad = sum(map(len, self.faults.values()))
        bounds = (
            f"{self.slowest_s:.1f} s of processor time, {self.largest_bytes / 1e6:.0f} MB of growth at most"
        )
        failed = f"{bad} failed, in {len(self.faults)} ways."
        if self.unsteady:
            failed += f" {len(self.unsteady)} failed only after others in one process: {self.unsteady}"
        return f"{self.codes.total()} inputs in {self.seconds:.0f} s: {codes}. {bounds}. {failed}"


class Campaign:
    """A corpus and a folder to try inputs in."""

    def __init__(self, folder: Path, readers: Iterable[str] = READERS) -> None:
        self.folder = folder
        self._corpus = folder / "corpus"
        import_all()
        if not self._corpus.exists():
            build(self._corpus)
        self.cache = str(folder / "cache")
        self.readers = list(readers)
        self.victims = {name: list(self._found(name)) for name in self.readers}

    def source(self, reader: str) -> Path:
        """Folder of its files in the corpus."""
        return self._corpus / ("run" if reader == "command" else reader)

    def _found(self, reader: str) -> Iterator[str]:
        source = self.source(reader)
        for pattern in READERS[reader].victims:
            for path in sorted(
                source.rglob("*") if pattern == "*" else source.glob(pattern.replace("**", "**/*"))
            ):
                if path.is_file():
                    yield str(path.relative_to(source))

    def prepare(self, case: Case, world: Path, sound: bool = False) -> Call:
        """Writes the inputs of a case and says what is called."""
        furnish(world)
        source, dice = self.source(case.reader), case.dice
        inputs = world / "in"
        shutil.copytree(source, inputs, dirs_exist_ok=True)
        chosen = dice.choice(self.victims[case.reader])
        if sound or case.reader == "command":
            return READERS[case.reader].call(chosen, dice)
        others = [source / name for name in self.victims[case.reader]]
        mutate_file(inputs / chosen, dice, others)
        second = inputs / dice.choice(self.victims[case.reader])
        if dice.random() < 0.1 and second.is_file():
            mutate_file(second, dice, others)
        return READERS[case.reader].call(chosen, dice)

    def running(self, case: Case, world: Path, call: Call) -> Running:
        """The command of a case, not yet started."""
        cache = str(world / "in" / "kept") if case.reader == "cache" else self.cache
        return Running(
            world,
            call.arguments,
            call.may_last,
            ("in/kept",) if case.reader == "cache" else call.writes,
            cache,
        )

    def run(
        self,
        cases: Iterable[Case],
        jobs: int,
        told: Callable[[Case, Ending], None],
        sound: bool = False,
        batch: int = 1,
    ) -> Tally:
        """Tries them, several at a time, and some one after another in one process; `told` hears of each.

        Ctrl-C ends it; what was tried counts.
        """
        tally, left, live = Tally(), iter(_batches(cases, batch)), list[Shift[Case]]()
        gc.freeze()  # a collection in a fork would copy the memory of this process
        began = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                while len(live) < jobs and (some := next(left, None)) is not None:
                    live.append(Shift(some, lambda case: self._here(case, sound)))
                if not live:
                    break
                for case, ending in [each for shift in live for each in shift.look()]:
                    final = self.alone(case, sound) if ending.fault else ending
                    if ending.fault not in ("", Shift.ASKED, final.fault) and not final.fault:
                        tally.unsteady.append((case, ending.fault))
                    tally.add(case, final)
                    tally.seconds = time.monotonic() - began
                    told(case, final)
                live = [shift for shift in live if not shift.is_over]
                time.sleep(0.002)
        for shift in live:
            shift.end()
        return tally

    def alone(self, case: Case, sound: bool = False) -> Ending:
        """Tries one in a process of its own."""
        world = self.world()
        with bounded():
            call = self.prepare(case, world, sound)
        running = self.running(case, world, call)
        running.start()
        while (ending := running.look()) is None:
            time.sleep(0.002)
        shutil.rmtree(world, ignore_errors=True)
        return ending

    def _here(self, case: Case, sound: bool) -> Ending:
        world = self.world()
        ending = self.running(case, world, self.prepare(case, world, sound)).here()
        os.chdir(self.folder)
        shutil.rmtree(world, ignore_errors=True)
        return ending

    def world(self) -> Path:
        """A folder for a case that this process tries; what lay there is gone."""
        world = self.folder / f"world-{os.getpid()}"
        shutil.rmtree(world, ignore_errors=True)
        return world


def _batches(cases: Iterable[Case], size: int) -> Iterator[list[Case]]:
    """Cases of one reader after another; components change the process that they are loaded into."""
    waiting: dict[str, list[Case]] = {}
    for case in cases:
        some = waiting.setdefault(case.reader, [])
        some.append(case)
        if len(some) >= size or case.reader == "component":
            yield waiting.pop(case.reader)
    yield from waiting.values()


def keep(world: Path, call: Call, case: Case, ending: Ending, folder: Path) -> Path:
    """Copies an input that failed, with its call, how it ended and how to repeat it."""
    place = folder / f"{case.reader}-{case.seed}-{case.number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.copytree(world / "in", place / "in", ignore=_special)
    told = {
        "arguments": call.arguments,
        "may_last": call.may_last,
        "writes": call.writes,
        # Neither goes into a repository as it is.
        "pipes": [str(path.relative_to(world)) for path in (world / "in").rglob("*") if path.is_fifo()],
        "links": {
            str(p.relative_to(world)): os.readlink(p) for p in (world / "in").rglob("*") if p.is_symlink()
        },
        "fault": ending.fault,
        "again": case.again,
    }
    (place / CALL).write_text(json.dumps(told, indent=1))
    (place / "said.txt").write_text(
        f"gapslsim {shlex.join(call.arguments)}\n{ending.code}\n{ending.said}\n{ending.report}"
    )
    return place


def _special(folder: str, names: list[str]) -> list[str]:
    paths = {name: Path(folder, name) for name in names}
    return [name for name, path in paths.items() if path.is_symlink() or path.is_fifo()]


def replay(place: Path, folder: Path, cache: str) -> Ending:
    """Tries a kept input again."""
    shutil.rmtree(folder, ignore_errors=True)
    furnish(folder)
    shutil.copytree(place / "in", folder / "in", dirs_exist_ok=True)
    told = json.loads((place / CALL).read_text())
    for pipe in told.get("pipes", ()):
        os.mkfifo(folder / pipe)
    for link, target in told.get("links", {}).items():
        (folder / link).symlink_to(target)
    running = Running(folder, told["arguments"], told["may_last"], tuple(told["writes"]), cache)
    running.start()
    while (ending := running.look()) is None:
        time.sleep(0.002)
    shutil.rmtree(folder, ignore_errors=True)
    return ending


def shrink(place: Path, folder: Path, cache: str, tries: int = 150) -> None:
    """Takes out what a kept input fails without: whole files, then lines, halves first."""
    fault = json.loads((place / CALL).read_text())["fault"]
    left = tries

    def fails() -> bool:
        nonlocal left
        left -= 1
        return replay(place, folder, cache).fault == fault

    for path in sorted(
        (p for p in (place / "in").rglob("*") if p.is_file() and not p.is_symlink()),
        key=lambda p: -p.stat().st_size,
    ):
        content = path.read_bytes()
        path.unlink()
        if left > 0 and fails():
            continue
        path.write_bytes(content)
        parts = content.splitlines(keepends=True)
        step = len(parts) // 2
        while step and left > 0:
            at = 0
            while at < len(parts) and left > 0:
                fewer = parts[:at] + parts[at + step :]
                path.write_bytes(b"".join(fewer))
                if fails():
                    parts = fewer
                else:
                    at += step
            step //= 2
        path.write_bytes(b"".join(parts))


def import_all() -> None:
    """The whole package and what it imports late, so that every fork has it."""
    import pkgutil

    import gapslsim
    from gapslsim.kernels import choose

    choose("pinned")
    names = [
        found.name
        for found in pkgutil.walk_packages(gapslsim.__path__, "gapslsim.")
        if "._new" not in found.name
    ]
    for name in [*names, *_LATE]:
        if not name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
