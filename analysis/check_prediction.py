"""How well a profile of this machine predicts rounds that it has not seen: measure, calibrate, check.

    python analysis/check_prediction.py [--threads 1] [--table TABLE.csv] [--model auto] [--scenario FILE ...]

Measures this machine as `gapslsim measure --quick` does (unless a table is given), fits a profile, then carries out
rounds of the quickstart and of PSL with VGG-16 (a quarter of its width, inputs of CIFAR's shape) in plain PyTorch.
Neither model is among the networks that are measured. About two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from gapslsim.calibration.calibrate import calibrate
from gapslsim.calibration.table import read_table
from gapslsim.hardware.devices import load_profile
from gapslsim.hardware.profiled_device import device_of
from gapslsim.measuring.check import check_round
from gapslsim.measuring.machine import machine_name, runtime_name
from gapslsim.measuring.measure import Plan, measure
from gapslsim.measuring.probes import probes
from gapslsim.measuring.table import Machine, write_table
from gapslsim.scenario.loading import load
from gapslsim.stages.clock import clock_of

SCENARIOS = ["quickstart", str(Path(__file__).with_name("vgg16_round.yaml"))]


def measured(threads: int, folder: Path) -> Path:
    """The table of a quick measurement."""
    cpu = torch.device("cpu")
    machine = Machine(machine_name(cpu), runtime_name(cpu), threads)

    def tell(what: str, share: float) -> None:
        print(f"\r{share:4.0%} {what:30}", end="", file=sys.stderr, flush=True)

    rows = measure(Plan(probes(quick=True), [8, 32]), machine, cpu, clock_of(cpu, threads), tell)
    print(file=sys.stderr)
    path = folder / "measurements.csv"
    write_table(path, rows)
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--scenario", nargs="+", default=SCENARIOS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = options.table or measured(options.threads, Path(folder))
        made = calibrate(read_table(table), options.model, "this-machine", load_profile("laptop-cpu"))
    device = device_of(made.profile)
    print(f"{made.profile.cost_model.kind} model, {len(made.samples)} measured computations")  # type: ignore[attr-defined]
    print(f"{'round':22} {'operation':16} {'measured':>12} {'predicted':>12} {'error':>8}")
    for name in options.scenario:
        scenario = load(name, set=["training.device=cpu"])
        result = check_round(scenario, device, options.threads, options.rounds, least_s=10.0)
        for row in (*result.operations, result.total):
            times = f"{1e3 * row.measured_s:9.2f} ms {1e3 * row.predicted_s:9.2f} ms"
            print(f"{scenario.name:22} {row.operation:16} {times} {row.error:+8.1%}")
        print(f"{scenario.name:22} wall time over time worked {result.wall_over_work:.2f}")


if __name__ == "__main__":
    main()
