"""Every file of a run, journal or study becomes a pipe, link, socket or folder; every command that reads it is called.

`python -m tests.fuzz.kinds` tries all, some thousands; `--every 9` each ninth.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.campaign import Campaign
from tests.fuzz.readers import JOURNAL_CALLS, RUN_CALLS, STUDY_CALLS
from tests.fuzz.sandbox import Ending, Running, furnish
from tests.fuzz.shift import Shift
from tests.fuzz.values import SECRET

__all__ = ["KINDS", "Odd", "odd_files", "tried"]


def _socket(path: Path) -> None:
    # The name of a socket has at most 108 bytes.
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _secret(path: Path) -> None:
    world = next(parent for parent in path.parents if (parent / SECRET).exists())
    path.symlink_to(os.path.relpath(world / SECRET, path.parent))


KINDS: Final[dict[str, Callable[[Path], None]]] = {
    "nothing": lambda path: None,
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to a secret": _secret,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a folder": lambda path: path.symlink_to("/"),
}
"""What takes the place of a file, given its path."""
_READ: Final = {
    "run": (RUN_CALLS, ("in/one",)),
    "journal": (JOURNAL_CALLS, ("in/one/journal/",)),
    "study_directory": (STUDY_CALLS, ("in/swept",)),
}


class Odd(NamedTuple):
    """A file that is none, and a command that reads it."""

    reader: str
    victim: str
    kind: str
    arguments: Sequence[str]


def odd_files(campaign: Campaign) -> Iterator[Odd]:
    """All of them."""
    for reader, (calls, _) in _READ.items():
        for victim in campaign.victims[reader]:
            for kind in KINDS:
                for call in calls:
                    yield Odd(reader, victim, kind, call)


def tried(campaign: Campaign, odds: Sequence[Odd]) -> Iterator[tuple[Odd, Ending]]:
    """How each ended."""

    def carry_out(odd: Odd) -> Ending:
        world = campaign.world()
        furnish(world)
        shutil.copytree(campaign.source(odd.reader), world / "in", dirs_exist_ok=True)
        path = world / "in" / odd.victim
        path.unlink()
        KINDS[odd.kind](path)
        writes = _READ[odd.reader][1]
        ending = Running(
            world, list(odd.arguments), may_last=True, writes=writes, cache=campaign.cache
        ).here()
        os.chdir(campaign.folder)
        shutil.rmtree(world, ignore_errors=True)
        return ending

    for begin in range(0, len(odds), 40):
        shift = Shift(odds[begin : begin + 40], carry_out)
        while not shift.is_over:
            yield from shift.look()
            time.sleep(0.002)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.kinds", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of all, each Nth [1]")
    parser.add_argument(
        "--from", type=int, default=0, dest="first", metavar="N", help="number of the first [0]"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gapslsim-kinds-"))
    n_tried = n_failed = 0
    try:
        campaign = Campaign(folder, _READ)
        for odd, ending in tried(campaign, list(odd_files(campaign))[options.first :: options.every]):
            n_tried += 1
            if ending.fault and ending.fault != Shift.ASKED:
                n_failed += 1
                print(
                    f"{odd.victim} is {odd.kind}: gapslsim {' '.join(odd.arguments)}\n  {ending.fault}\n{ending.said}"
                )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{n_tried} tried, {n_failed} failed.")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
