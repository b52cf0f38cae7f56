"""What a study of one training under many hardware and channel settings costs, against the single training.

    python -m benchmarks.retime [SCENARIO] [--rounds 300] [--settings 20] [--check 3] [--size 32] [--set path=value]...

In one process, with the data in memory: the training once without a journal; then the study, every setting with one
journal, begun anew; then the training without a journal again. The ratio of the study's time to the mean of the
single trainings, before and after it, is what the study costs; the target is 1.1 at most. Some settings are then run in
full, without a journal, and their two hashes compared. `--size 32` trains on images of 32 x 32, the size of the
project's early trials; the scenario's own is 16 x 16. The exit code is 1 if hashes differ, 2 if the target is missed in
processor time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine
from gapslsim import load, simulate

TARGET = 1.1
DEVICES = ("jetson-nano", "raspberry-pi-4b", "phone-midrange", "jetson-orin-nx")
UPLINKS = ("20 Mbit/s", "50 Mbit/s", "100 Mbit/s", "200 Mbit/s", "400 Mbit/s")


def variants(n: int) -> list[list[str]]:
    """Overrides of `n` settings: every device with every uplink; the backhaul changes as well from the 21st on."""
    return [
        [
            f"clients.0.device={DEVICES[index % len(DEVICES)]}",
            f"clients.0.link.uplink={UPLINKS[index // len(DEVICES) % len(UPLINKS)]}",
            f"network.backhaul={1000 + 50 * (index // 20)} Mbit/s",
        ]
        for index in range(n)
    ]


def timed(scenario: Any, journal: Path | None = None) -> tuple[float, float, dict[str, Any]]:
    """Wall and processor time of a run [s], and its summary."""
    wall, processor = time.perf_counter(), time.process_time()
    summary = simulate(scenario, journal=journal).summary
    return time.perf_counter() - wall, time.process_time() - processor, summary


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", nargs="?", default="scenarios/paper/small/table1_cifar10_iid_gapsl.yaml")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--settings", type=int, default=20)
    parser.add_argument("--check", type=int, default=3, help="settings that are also run in full")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--size", type=int, help="side of the images; the scenario's own unless given")
    options = parser.parse_args()
    common = [f"stop={{rounds: {options.rounds}}}", *options.overrides]
    if options.size:
        common.append(f"data.size={options.size}")
    print(machine())
    scenarios = [load(options.scenario, set=[*common, *given]) for given in variants(options.settings)]
    warm_up = [*common, "stop={rounds: 2}", *variants(1)[0]]
    simulate(load(options.scenario, set=warm_up))  # Imports; images are decoded once per process.
    before = timed(scenarios[0])
    with tempfile.TemporaryDirectory() as folder:
        study = [timed(scenario, Path(folder) / "journal") for scenario in scenarios]
    after = timed(scenarios[0])
    single_s, single_cpu_s = ((before[i] + after[i]) / 2 for i in range(2))
    print(
        f"single training: {before[0]:.2f} and {after[0]:.2f} s wall, {before[1]:.2f} and {after[1]:.2f} s processor"
    )
    study_s, study_cpu_s = sum(run[0] for run in study), sum(run[1] for run in study)
    first_s, first_cpu_s, first = study[0]
    rest = study[1:]
    assert first["journal"]["replayed"] == 0
    assert all(run[2]["journal"]["computed"] == 0 for run in rest)
    per_round_s = sum(run[1] for run in rest) / len(rest) / options.rounds
    print(f"study, first setting: {first_s:.2f} s wall, {first_cpu_s:.2f} s processor")
    print(
        f"study, {len(rest)} re-timed: {study_s - first_s:.2f} s wall, {study_cpu_s - first_cpu_s:.2f} s processor; "
        f"{1000 * per_round_s:.2f} ms of processor per round and setting"
    )
    different = len({run[2]["timeline_sha256"] for run in study})
    same = all(run[2]["learning_sha256"] == before[2]["learning_sha256"] for run in study)
    wrong = 0
    for place in [round(i * (len(study) - 1) / max(1, options.check - 1)) for i in range(options.check)]:
        _, _, full = timed(scenarios[place])
        for name in ("timeline_sha256", "learning_sha256"):
            wrong += full[name] != study[place][2][name]
    print(f"{different} different timelines; same learning in all: {same}")
    print(f"{options.check} settings checked in full: {wrong} hashes differ")
    ratio = study_cpu_s / single_cpu_s
    verdict = "met" if ratio <= TARGET else "missed"
    print(
        f"ratio: {study_s / single_s:.3f} (wall), {ratio:.3f} (processor); the target of {TARGET} is {verdict}"
    )
    print(
        f"re-timing alone: {(study_cpu_s - first_cpu_s) / single_cpu_s:.3f} of the single training (processor)"
    )
    sys.exit(1 if wrong or not same else 2 * (ratio > TARGET))


if __name__ == "__main__":
    main()
