"""How quickly commands start: `python -m benchmarks.start [--times N]`, a table.

Processor time and memory of each command beside those of importing what it cannot do without, in turns, so that a busy
machine slows both. The least of each counts. The costs of the models are kept from a first call of each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

BARE = "import numpy, pandas, pydantic, simpy, networkx"
CALLS = (
    "validate quickstart",
    "show framework gapsl",
    "show scenario quickstart",
    "list",
    "run quickstart --dry --set stop.rounds=5 --quiet --force --out {folder}/dry",
    "--help",
)


def used(command: list[str]) -> tuple[float, float]:
    """Processor time [s] and greatest memory [MB] of a command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="how often each is called")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        calls = {
            call: [sys.executable, "-m", "gapslsim", *call.format(folder=folder).split()] for call in CALLS
        }
        for command in calls.values():
            used(command)
        found: dict[str, list[tuple[float, float]]] = {BARE: []} | {call: [] for call in calls}
        for _ in range(times):
            found[BARE].append(used([sys.executable, "-c", BARE]))
            for call, command in calls.items():
                found[call].append(used(command))
    bare_s = min(found[BARE])[0]
    print(f"{'ratio':>6} {'s':>6} {'MB':>6}")
    for call, each in found.items():
        cpu_s, memory_mb = min(each)[0], max(memory for _, memory in each)
        print(f"{cpu_s / bare_s:6.2f} {cpu_s:6.2f} {memory_mb:6.0f}  {call}")


if __name__ == "__main__":
    main()
