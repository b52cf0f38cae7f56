"""What is read, by which commands: for every folder of the corpus the files to change and the calls to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fuzz.values import PATHS, TEXTS, number

__all__ = ["JOURNAL_CALLS", "READERS", "RUN_CALLS", "STUDY_CALLS", "Call", "Reader"]


@dataclass(frozen=True, slots=True)
class Call:
    """A command line, run in a folder beside `in/`."""

    arguments: list[str]
    may_last: bool = False
    writes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of file."""

    call: Callable[[str, Random], Call]
    """Of the file that was changed, by its name in `in/`."""
    victims: tuple[str, ...] = ("*",)
    """Which files are changed."""


_BOTH: Final = ["../in/one", "../in/two"]
RUN_CALLS: Final = [
    ["report", *_BOTH, "-o", "../out/r.html"], ["report", "../in/one", "-o", "../out/r.html"], ["compare", *_BOTH],
    ["compare", *_BOTH, "--json"], ["compare", *_BOTH, "--geometry"],
    ["compare", *_BOTH, "-o", "../out/c.md"], ["trace", "../in/one", "-o", "../out/t.json"],
    ["trace", "../in/one", "--critical-path"], ["explain", "../in/one"],
    ["whatif", "../in/one", "--set", "clients.*.link=lte", "--dry", "--quiet"],
    ["run", "../in/base.yaml", "-o", "../in/one", "-q"],
    ["run", "../in/base.yaml", "-o", "../in/one", "-q", "--resume"],
    ["run", "../in/base.yaml", "-o", "../in/one", "-q", "--force"], ["compare", *_BOTH, "--plot", "../out/c.png"],
]  # fmt: skip
"""What reads the directory of a run."""
JOURNAL_CALLS: Final = [
    *(["journal", what, "../in/one"] for what in ("list", "verify", "prune")),
    ["journal", "prune", "../in/one", "--max-size", "1 kB"],
    ["journal", "prune", "../in/one", "--other-versions"],
    ["run", "../in/base.yaml", "-o", "../out/run", "-q", "--resume", "--journal", "../in/one/journal"],
]
_STUDY: Final = "../in/swept"
STUDY_CALLS: Final = [
    ["figure", _STUDY, "-o", "../out/f.svg"],
    ["figure", _STUDY, "-o", "../out/f.svg", "--export", "../out/csv"],
    ["report", _STUDY, "-o", "../out/r.html"], ["compare", _STUDY], ["compare", _STUDY, "--json"],
    ["figure", _STUDY, "--study", "../in/study.yaml", "-o", "../out/f.svg"],
    ["sweep", "../in/study.yaml", "-o", _STUDY, "--dry"],
    ["sweep", "../in/study.yaml", "-o", _STUDY, "--dry", "--resume"],
]  # fmt: skip


def _timed(file: str, dice: Random) -> Call:
    """A scenario is checked, or timed."""
    how = dice.random()
    if how < 0.5:
        return Call(["validate", file, *(["--quick"] if how < 0.05 else ["--json"] if how < 0.1 else [])])
    if how < 0.6:
        return Call(["show", dice.choice(["network", "partition", "scenario"]), file])
    if how < 0.65:
        return Call(["explain", file], may_last=True)
    rounds = [] if how < 0.75 else ["--set", "stop={rounds: 2}"]
    return Call(["run", file, "--dry", "-q", "-o", "../out/run", *rounds], may_last=True)


def _scenario(name: str, dice: Random) -> Call:
    return _timed(f"../in/{name}", dice)


def _used(name: str, dice: Random) -> Call:
    """Through the scenario that names it."""
    file = (
        name
        if name.endswith(".yaml") and name.startswith("use")
        else f"use_{name}{'' if name.endswith('.yaml') else '.yaml'}"
    )
    return _timed(f"../in/{file}", dice)


def _profile(name: str, dice: Random) -> Call:
    if dice.random() < 0.3 and not name.startswith("use"):
        return Call(["show", "device", f"../in/{name}"])
    return _used(name, dice)


def _study(name: str, dice: Random) -> Call:
    # It may have hundreds of runs, each of which is timed.
    return Call(["sweep", f"../in/{name}", "--dry", "-o", "../out/study"], may_last=True)


def _data(name: str, dice: Random) -> Call:
    """Through one of the scenarios that read these files."""
    top = name.split("/")[0]
    readers = {
        "x.npz": "npz",
        "t.npz": "file",
        "rows.csv": "table",
        "rows.csv.gz": "gz",
        "rows.parquet": "columns",
        "images": "image_folder",
        "parquet": "parquet_images",
        "leaf": dice.choice(["leaf", "by_column"]),
        "text.txt": "text",
        "lists.json": "file",
    }
    return _timed(
        f"../in/{name if name.startswith('use_') else 'use_' + readers.get(top, 'npz') + '.yaml'}", dice
    )


def _cifar(name: str, dice: Random) -> Call:
    return _timed("../in/use_cifar.yaml", dice)


def _measurements(name: str, dice: Random) -> Call:
    model = dice.choice(["auto", "linear", "roofline", "lookup"])
    return Call(
        [
            "calibrate",
            f"../in/{name}",
            "-o",
            "../out/p.yaml",
            "--model",
            model,
            *(["--drop-bad"] if dice.random() < 0.4 else []),
        ]
    )


def _testbed(name: str, dice: Random) -> Call:
    table = name if name.startswith("t.") else "t.csv"
    more = dice.choice(
        [[], ["--by", "training.batch_size"], ["--calibrate", "1"], ["--draws", "3"], ["--fit", "compute"]]
    )
    return Call(
        [
            "check-testbed",
            f"../in/{table}",
            "-s",
            "../in/use.yaml",
            "--rounds",
            "2",
            "-o",
            "../out/t.md",
            "--label",
            "note",
            *more,
        ],
        may_last=True,
    )


def _log(name: str, dice: Random) -> Call:
    form = name if dice.random() < 0.9 else dice.choice(["iperf3", "ping", "kineto", "jtop"])
    return Call(["import", form, f"../in/{name}", "-o", "../out/t.csv"])


def _case(name: str, dice: Random) -> Call:
    return Call(["check-network", f"../in/{name}"], may_last=True)


def _run(name: str, dice: Random) -> Call:
    return Call(dice.choice(RUN_CALLS), writes=("in/one",))


def _journal(name: str, dice: Random) -> Call:
    return Call(dice.choice(JOURNAL_CALLS), writes=("in/one/journal/",))


def _study_directory(name: str, dice: Random) -> Call:
    return Call(dice.choice(STUDY_CALLS), may_last=True)


def _component(name: str, dice: Random) -> Call:
    if dice.random() < 0.4:
        return Call(["check-component", "../in/mine.py"], may_last=True)
    return _timed("../in/use.yaml", dice)


def _kept(name: str, dice: Random) -> Call:
    return _timed("../in/use.yaml", dice)


_COMMANDS: Final = [
    "run ../in/base.yaml --dry -q -o ../out/x", "validate ../in/base.yaml", "show framework gapsl",
    "show device jetson-nano", "show channel markov", "list framework", "list --search a", "schema study",
    "schema -o ../out/s.json", "compare ../in/one ../in/two", "report ../in/one -o ../out/r.html",
    "trace ../in/one -o ../out/t.json --rounds 1", "explain ../in/one --factor 2",
    "whatif ../in/one --set seed=3 --dry --quiet", "journal list ../in/one",
    "journal prune ../in/one --max-size 1MB", "new ../out/mine",
    "plan ../in/base.yaml --choose model.cut=1 --goal energy", "check-component --shipped framework:psl",
    "import ping ../in/base.yaml -o ../out/t.csv", "figure ../in/one", "data get nothing",
    "calibrate ../in/base.yaml -o ../out/p.yaml", "check-network ../in/base.yaml",
    "check-testbed ../in/base.yaml -s ../in/base.yaml", "show model cnn --input 3x32x32",
    "show network ../in/base.yaml --png ../out/n.png", "sweep ../in/base.yaml --dry",
    "reference -o ../out/ref", "validate ../in/base.yaml --set stop.rounds=3",
    "run ../in/base.yaml --dry -q -o ../out/x --set clients.0.count=2 --draws 2",
    "measure --check ../in/base.yaml --profile jetson-nano --rounds 1",
    "show channel {kind:constant,rate:5Mbit/s} --duration 5s --png ../out/c.png",
]  # fmt: skip


def _command(name: str, dice: Random) -> Call:
    """A command line with words replaced, doubled or left out; the file is left alone."""
    words = dice.choice(_COMMANDS).split()
    for _ in range(dice.choice([1, 1, 2])):
        at = dice.randrange(1, len(words)) if len(words) > 1 else 0
        how = dice.random()
        if how < 0.5:
            text = str(number(dice)) if dice.random() < 0.4 else dice.choice(TEXTS + PATHS)
            words[at] = (
                f"{words[at].partition('=')[0]}={text}" if "=" in words[at] and dice.random() < 0.6 else text
            )
        elif how < 0.65 and at:
            del words[at]
        elif how < 0.8:
            words.insert(at + 1, words[at])
        else:
            other = dice.choice(_COMMANDS).split()
            words[at + 1 : at + 1] = other[-2:]
    # A command line cannot hold a NUL, nor what is no text.
    words = [word.replace("\0", "").replace("\ud800", "") for word in words]
    # These would measure, draw from a network or write into the package.
    harmless = words[0] not in ("measure",) and not (words[0] == "reference" and "-o" not in words)
    return Call(words if harmless else ["list", *words[1:]], may_last=True, writes=("in/one",))


READERS: Final[dict[str, Reader]] = {
    "scenario": Reader(_scenario),
    "study": Reader(_study, ("study_*",)),
    "profile": Reader(_profile),
    "trace": Reader(_used),
    "presence": Reader(_used),
    "graph": Reader(_used),
    "reference_case": Reader(_case),
    "data": Reader(_data),
    "cifar": Reader(_cifar),
    "measurements": Reader(_measurements),
    "testbed": Reader(_testbed),
    "log": Reader(_log),
    "component": Reader(_component),
    "run": Reader(_run, ("one/*",)),
    "journal": Reader(_journal, ("one/journal/**",)),
    "study_directory": Reader(_study_directory, ("swept/**", "study.yaml")),
    "cache": Reader(_kept, ("kept/*",)),
    "command": Reader(_command, ("base.yaml",)),
}
"""By the folder of the corpus; `command` uses that of `run`."""
