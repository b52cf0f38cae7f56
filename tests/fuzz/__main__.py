"""The command line of the campaign; see `--help`."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.fuzz.campaign import Campaign, Case, Tally, keep, replay, shrink
from tests.fuzz.readers import READERS
from tests.fuzz.sandbox import Ending

_TELL_EVERY: Final = 1000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Tries mutated inputs on every reader and every command."
    )
    parser.add_argument("--inputs", type=int, default=2000, help="how many, over all readers [2000]")
    parser.add_argument("--only", default="", help=f"readers, apart by commas: {', '.join(READERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="this one alone, with all that it printed")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", help="number of the first input of each reader"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--batch", type=int, default=40, help="inputs that a process tries one after another [40]"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gapslsim-fuzz",
        help="where failing inputs go",
    )
    parser.add_argument("--shrink", action="store_true", help="make them small")
    parser.add_argument("--sound", action="store_true", help="change nothing: all must end with 0 or 1")
    parser.add_argument("--again", type=Path, nargs="*", default=[], help="try kept inputs again")
    options = parser.parse_args()
    readers = [name for name in options.only.split(",") if name] or list(READERS)
    if unknown := set(readers) - set(READERS):
        parser.error(f"no reader is called {', '.join(sorted(unknown))}; there are {', '.join(READERS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was tried so far is told
    folder = Path(tempfile.mkdtemp(prefix="gapslsim-fuzz-"))
    try:
        campaign = Campaign(folder, readers)
        if options.again:
            return _again(campaign, options.again)
        numbers = range(options.first, options.first + -(-options.inputs // len(readers)))
        cases = [
            Case(name, options.seed, number)
            for number in ([options.case] if options.case is not None else numbers)
            for name in readers
        ]
        tally = _run(campaign, cases, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for fault, those in sorted(tally.faults.items(), key=lambda item: -len(item[1])):
        print(f"{len(those):5} {fault}\n      {those[0].again}\n      {options.keep / _name(those[0])}")
    print(tally)
    return 1 if tally.faults else 0


def _name(case: Case) -> str:
    return f"{case.reader}-{case.seed}-{case.number}"


def _run(campaign: Campaign, cases: list[Case], options: argparse.Namespace) -> Tally:
    known: set[str] = set()
    tried = Counter[str]()

    def told(case: Case, ending: Ending) -> None:
        tried[case.reader] += 1
        if tried.total() % _TELL_EVERY == 0:
            print(f"{tried.total()} inputs", file=sys.stderr, flush=True)
        if options.case is not None or (options.sound and ending.code):
            print(
                f"{case.again}\nexit code {ending.code}, {ending.seconds:.2f} s\n{ending.said}\n{ending.report}"
            )
        if not ending.fault or f"{case.reader} {ending.fault}" in known:
            return
        known.add(f"{case.reader} {ending.fault}")
        fresh = campaign.folder / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        # What the command did to its inputs is undone: they are made again.
        place = keep(fresh, campaign.prepare(case, fresh, options.sound), case, ending, options.keep)
        print(f"{case.reader}: {ending.fault}\n  {case.again}\n  {place}", file=sys.stderr, flush=True)
        if options.shrink:
            shrink(place, campaign.folder / "small", campaign.cache)

    return campaign.run(cases, options.jobs, told, options.sound, options.batch)


def _again(campaign: Campaign, places: list[Path]) -> int:
    wrong = 0
    for place in places:
        ending = replay(place, campaign.folder / "again", campaign.cache)
        wrong += bool(ending.fault)
        print(f"{place}: exit code {ending.code}, {ending.fault or 'no fault'}\n{ending.said}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
