"""The readers under atheris, which looks for inputs that reach new code: `nox -s atheris -- -max_total_time=600`.

It needs `pip install atheris` and begins with the files of the corpus. What is found is a file `crash-...`; its first
byte says which reader read the rest.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["gapslsim"]):
    from gapslsim.calibration.table import read_table
    from gapslsim.errors import GapslsimError
    from gapslsim.hardware.profile_file import read_profile
    from gapslsim.network.channels.trace import MeasuredTrace
    from gapslsim.network.topologies.graph import Graph
    from gapslsim.scenario.loading import load
    from gapslsim.sim._presence_traces import read_presence
    from gapslsim.studies.plan import load_study


def _trace(form: Any) -> Callable[[Path], Any]:
    return lambda path: MeasuredTrace(file=str(path), format=form).trace


READERS: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("scenario", "*.yaml", load),
    ("study", "study_*.yaml", load_study),
    ("profile", "[!u]*.yaml", read_profile),
    ("measurements", "t.csv", read_table),
    ("trace", "*.mahi", _trace("mahimahi")),
    ("trace", "rates.txt", _trace("cooked")),
    ("trace", "sabre.json", _trace("sabre")),
    ("trace", "pantheon.json", _trace("pantheon")),
    ("presence", "stays.csv", lambda path: read_presence(path, "intervals")),
    ("presence", "flash.json", lambda path: read_presence(path, "flash")),
    ("presence", "behave.pickle", lambda path: read_presence(path, "fedscale")),
    ("graph", "*.graphml", lambda path: Graph(file=str(path)).written_out()),
]
"""Folder of the corpus, its files, and what reads one."""


def main() -> None:
    from tests.fuzz.corpus import build  # after what it imports is instrumented

    folder = Path(tempfile.mkdtemp(prefix="gapslsim-atheris-"))
    build(folder / "corpus")
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, (name, pattern, _) in enumerate(READERS):
        for file in (folder / "corpus" / name).glob(pattern):
            (seeds / f"{number}-{file.name}").write_bytes(bytes([number]) + file.read_bytes())

    def one(data: bytes) -> None:
        if not data:
            return
        _, pattern, read = READERS[data[0] % len(READERS)]
        path = folder / f"input{Path(pattern).suffix}"
        path.write_bytes(data[1:])
        with contextlib.suppress(GapslsimError):  # in words
            read(path)

    atheris.Setup([*sys.argv, str(seeds)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
