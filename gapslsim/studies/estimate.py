"""What a study will cost, before it is run: rounds, simulated time, arithmetic and a rough wall time.

Each combination of axes is run for two rounds without tensors, with its first seed; that gives exact costs per round.
The wall time on this machine follows from the rate of a small convolution that is timed here, and from a fixed time per
client and round for what is not arithmetic. It is an order of magnitude, and says so.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gapslsim.errors import GapslsimError
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.schema import Scenario
from gapslsim.studies.plan import Plan, PlannedRun

__all__ = ["Estimate", "estimate", "show_plan"]

_OVERHEAD_S: Final = 4e-3
"""Per client and round: Python and small tensors [s]; seen with the quickstart."""
_START_S: Final = 3.0
"""Per process: imports."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one run."""

    rounds: int | None
    """None if only an accuracy ends it."""
    simulated_time_s: float
    work_flop: float
    wall_time_s: float
    problem: str = ""
    """Why it cannot be run; empty if it can."""


_NOTHING: Final = Estimate(None, math.nan, math.nan, math.nan)


def estimate(scenario: Scenario, rate_flop_per_s: float) -> Estimate:
    """Costs of one run from two rounds of it without tensors.

    Args:
        scenario: what to run.
        rate_flop_per_s: of this machine, see `machine_rate`.
    """
    from gapslsim.run import simulate
    from gapslsim.scenario.checks import deep_problems

    try:
        short = simulate(dataclasses.replace(scenario, stop=Stop(rounds=2)), dry=True)
    except (GapslsimError, ValueError) as error:
        return dataclasses.replace(
            _NOTHING, problem="; ".join(map(str, deep_problems(scenario))) or str(error)
        )
    rounds, spans = short.rounds, short.spans
    per_round_s = float(rounds["end_s"].iloc[-1]) / len(rounds)
    flop_per_round = float(spans["work_flop"].sum()) / len(rounds)
    epochs_per_round = float(rounds["epoch"].iloc[-1]) / len(rounds)
    n_rounds = _rounds(scenario.stop, epochs_per_round, per_round_s)
    if n_rounds is None:
        return _NOTHING
    n_steps = max(1.0, float((spans["client"] >= 0).sum()) / len(rounds) / 4)
    evaluations = _n_evaluations(scenario, n_rounds, epochs_per_round, per_round_s)
    n_clients = scenario.n_clients
    # One pass over the test set per client and evaluation, without gradients: a third of a training step.
    flop_per_sample = flop_per_round / max(1.0, n_clients * scenario.training.batch_size) / 3
    n_test = 0.2 / epochs_per_round * n_clients * scenario.training.batch_size
    flop = n_rounds * flop_per_round + evaluations * n_clients * n_test * flop_per_sample
    return Estimate(
        n_rounds, n_rounds * per_round_s, flop, flop / rate_flop_per_s + n_rounds * n_steps * _OVERHEAD_S
    )


def _rounds(stop: Stop, epochs_per_round: float, per_round_s: float) -> int | None:
    planned = stop.planned_rounds(1 / epochs_per_round)
    limits = [planned] if planned is not None else []
    if stop.simulated_time is not None and per_round_s > 0:
        limits.append(max(1, math.ceil(stop.simulated_time / per_round_s)))
    return min(limits, default=None)


def _n_evaluations(scenario: Scenario, n_rounds: int, epochs_per_round: float, per_round_s: float) -> float:
    every = scenario.evaluation.every
    along = {"rounds": 1.0, "epochs": epochs_per_round, "s": per_round_s}[every.unit] * n_rounds
    return 1 + min(n_rounds, along / every.amount)


def machine_rate() -> float:
    """FLOP/s of a small convolution on one thread of this machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            images, weights = torch.ones(16, 16, 16, 16), torch.ones(32, 16, 3, 3)
            torch.nn.functional.conv2d(images, weights)
            started, times = time.perf_counter(), 0
            while time.perf_counter() - started < 0.1:
                torch.nn.functional.conv2d(images, weights)
                times += 1
            elapsed = time.perf_counter() - started
    finally:
        torch.set_num_threads(threads)
    return times * 2.0 * 16 * 32 * 14 * 14 * 16 * 9 / elapsed


def show_plan(plan: Plan, out: Path, jobs: int | None) -> None:
    """Prints every combination with what a run of it costs, and what the whole study costs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from gapslsim.results import words
    from gapslsim.studies.sweep import finished

    console = Console(highlight=False)
    table = Table(title=f"Plan of {plan.study.name}", title_justify="left", box=box.SIMPLE_HEAD)
    for axis in plan.record.axes:
        table.add_column(axis, overflow="fold")
    for name in ("runs", "rounds each", "simulated each", "work each", "wall each, roughly"):
        table.add_column(name, justify="right")
    rate = machine_rate()
    total_s, n_done = 0.0, 0
    for runs in _cells(plan):
        done = sum(finished(out, run.record) for run in runs)
        n_done += done
        first = next((run.scenario for run in runs if run.scenario is not None), None)
        cost = estimate(first, rate) if first is not None else _NOTHING
        axes = runs[0].record.axes.values()
        if first is None or cost.problem:
            table.add_row(*axes, str(len(runs)), "[red]impossible[/red]")
            if cost.problem:
                console.print(
                    f"{runs[0].record.label} is impossible: {cost.problem}", style="red", markup=False
                )
            continue
        if math.isfinite(cost.wall_time_s):
            total_s += cost.wall_time_s * (len(runs) - done)
        table.add_row(
            *axes, str(len(runs)), "?" if cost.rounds is None else str(cost.rounds),
            words.seconds(cost.simulated_time_s), _flop(cost.work_flop), words.seconds(cost.wall_time_s),
        )  # fmt: skip
    console.print(table)
    for run in plan.impossible:
        for problem in run.problems:
            console.print(f"{run.record.label} is impossible: {problem}", style="red", markup=False)
    n_jobs = jobs or os.cpu_count() or 1
    kept = f", {n_done} of them finished in {out} already" if n_done else ""
    console.print(
        f"{len(plan.runs)} runs{kept}; roughly {words.seconds(_START_S + total_s / n_jobs)} of wall time with {n_jobs} "
        f"at a time (an order of magnitude). Nothing was run."
    )


def _cells(plan: Plan) -> list[list[PlannedRun]]:
    """Runs that differ in the seed alone."""
    found: dict[tuple[str, ...], list[PlannedRun]] = {}
    for run in plan.runs:
        found.setdefault(tuple(run.record.axes.values()), []).append(run)
    return list(found.values())


def _flop(value: float) -> str:
    if not math.isfinite(value):
        return "?"
    for prefix, scale in (("P", 1e15), ("T", 1e12), ("G", 1e9)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}FLOP"
    return f"{value / 1e6:.3g} MFLOP"
