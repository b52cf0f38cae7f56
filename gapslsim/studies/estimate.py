"""What a study will cost, before it is run: rounds, simulated time, arithmetic and a rough wall time.

Each combination of axes is run for two rounds without tensors, with its first seed; that gives exact costs per round.
The wall time on this machine follows from the rate of a small convolution that is timed here, and from a fixed time per
mini-batch for what is not arithmetic. A run that finds its training in the journal takes a fixed time per span. It is
an order of magnitude, and says so. Both are kept (`cache.py`), so that a plan that was shown before needs no torch.
"""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Final

from gapslsim.cache import remembered
from gapslsim.errors import GapslsimError
from gapslsim.hardware.memory import readable
from gapslsim.registry import content_of
from gapslsim.scenario.limits import Stop, Unit
from gapslsim.scenario.schema import Scenario
from gapslsim.studies._order import training_and_timing
from gapslsim.studies.adaptive import shortest
from gapslsim.studies.backends.on_gpus import side_by_side
from gapslsim.studies.gpus import Gpu
from gapslsim.studies.plan import Plan
from gapslsim.studies.scheduler import Scheduler

__all__ = ["show_plan"]

_OVERHEAD_S: Final = 1e-3
"""Per mini-batch of a client: Python and small tensors [s]; seen with small CIFAR-10, half of it in the quickstart."""
_SPAN_S: Final = 1.2e-5
"""Per span where only the clock is carried out [s]; see re-timing in docs/performance.md."""
_SAVING_S: Final = 0.1
"""Per run: start, tables and files [s]."""
_START_S: Final = 3.0
"""Per wave of runs: imports of the processes."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one run."""

    rounds: int | None
    """None if only an accuracy ends it."""
    simulated_time_s: float
    work_flop: float
    wall_time_s: float
    retimed_s: float
    """Wall time of a run that finds its training in the journal."""
    memory_bytes: int = 0
    """Of the device that would compute it here, at the peak; 0 if it cannot be told."""
    problem: str = ""
    """Why it cannot be run; empty if it can."""


_NOTHING: Final = Estimate(None, math.nan, math.nan, math.nan, math.nan)


def estimate(scenario: Scenario, rate_flop_per_s: float, *, with_memory: bool = True) -> Estimate:
    """Costs of one run from two rounds of it without tensors.

    Args:
        scenario: what to run.
        rate_flop_per_s: of this machine, see `machine_rate`.
        with_memory: also what it takes of memory.
    """
    from gapslsim.assembly import assemble
    from gapslsim.device_memory import plan_memory
    from gapslsim.scenario.checks import deep_problems
    from gapslsim.torch_device import choose_device
    from gapslsim.whole_run import whole_run

    try:
        of_two_rounds = dataclasses.replace(scenario, stop=Stop(rounds=2), uncertainty=None)
        setup = assemble(of_two_rounds, dry=True).learner.setup
        short = whole_run(of_two_rounds, dry=True)
        memory_bytes = 0
        if with_memory:
            memory_bytes = plan_memory(scenario, setup, choose_device(scenario.training.device)).peak_bytes
    except (GapslsimError, ValueError) as error:
        return dataclasses.replace(
            _NOTHING, problem="; ".join(map(str, deep_problems(scenario))) or str(error)
        )
    rounds, spans = short.rounds, short.spans
    # The first is slower: windows of connections are small yet.
    first_s, last_s = float(rounds["end_s"].iloc[0]), float(rounds["end_s"].iloc[-1])
    per_round_s = (last_s - first_s) / (len(rounds) - 1) if len(rounds) > 1 else first_s
    flop_per_round = float(spans["work_flop"].sum()) / len(rounds)
    epochs_per_round = float(rounds["epoch"].iloc[-1]) / len(rounds)
    shard_sizes = [len(shard) for shard in setup.shards]
    n_train = sum(shard_sizes)
    batch_sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
    per_round: dict[Unit, float] = {
        "rounds": 1.0,
        "epochs": epochs_per_round,
        "samples": epochs_per_round * n_train,
        "steps": scenario.framework.server_steps_per_round(batch_sizes, shard_sizes),
        "s": per_round_s,
    }
    n_rounds = _rounds(scenario.stop, per_round)
    # Stops at an accuracy, which nothing tells beforehand.
    if n_rounds is None:
        return dataclasses.replace(_NOTHING, memory_bytes=memory_bytes)
    sizes = scenario.batch_sizes
    n_batches = max(1.0, per_round["samples"] * len(sizes) / sum(sizes))
    every = scenario.evaluation.every
    # One before the first round; never more often than rounds end.
    evaluations = 1 + min(n_rounds, per_round[every.unit] * n_rounds / every.amount)
    # One pass over the test set per client and evaluation, without gradients: a third of a training step.
    flop_per_sample = flop_per_round / per_round["samples"] / 3
    flop = n_rounds * flop_per_round + evaluations * setup.n_clients * 0.2 * n_train * flop_per_sample
    return Estimate(
        n_rounds,
        first_s + (n_rounds - 1) * per_round_s,
        flop,
        flop / rate_flop_per_s + n_rounds * n_batches * _OVERHEAD_S + _SAVING_S,
        n_rounds * len(spans) / len(rounds) * _SPAN_S + _SAVING_S,
        memory_bytes,
    )


def kept_estimate(scenario: Scenario, rate_flop_per_s: float, gpus: Sequence[Gpu] = ()) -> Estimate:
    """The same, read where it was made before; what own code or folders of data may change is made each time."""
    if scenario.components or any(hasattr(scenario.data, name) for name in ("root", "find")):
        return estimate(scenario, rate_flop_per_s)
    content = content_of(dataclasses.replace(scenario, name="any"))
    about = ["estimate", platform.node(), [gpu.total_bytes for gpu in gpus], content]
    # Without the rate, which another one may be by the next time.
    found = Estimate(**remembered(about, lambda: dataclasses.asdict(estimate(scenario, math.inf)), ("",)))
    return dataclasses.replace(found, wall_time_s=found.wall_time_s + found.work_flop / rate_flop_per_s)


def _rounds(stop: Stop, per_round: Mapping[Unit, float]) -> int | None:
    planned = stop.planned_rounds(1 / per_round["epochs"], per_round["samples"], per_round["steps"])
    limits = [planned] if planned is not None else []
    if stop.simulated_time is not None and per_round["s"] > 0:
        limits.append(max(1, math.ceil(stop.simulated_time / per_round["s"])))
    return min(limits, default=None)


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


def show_plan(plan: Plan, out: Path, jobs: int | None, gpus: Sequence[Gpu] = ()) -> None:
    """Prints every combination with what a run of it costs, and what the whole study costs."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from gapslsim.results import words
    from gapslsim.studies.sweep import done_and_to_do
    from gapslsim.terminal import Terminal

    console = Terminal()
    table = Table(
        title=f"Plan of {plan.study.name}, and what one run costs", title_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for axis in plan.record.axes:
        table.add_column(axis, overflow="fold")
    for name in ("runs", "train", "rounds", "simulated", "work", "memory", "wall"):
        table.add_column(name, justify="right", no_wrap=True)
    rate = remembered(["rate", platform.node(), date.today().isoformat()], machine_rate, ("studies",))
    done, to_do = done_and_to_do(plan, out)
    trains, timed_again = training_and_timing(to_do, done)
    trained, retimed = ({run.record.label for run in group} for group in (trains, timed_again))
    train_s = retime_s = 0.0
    largest = 0
    # Runs that differ in the seed alone follow one another.
    for _, cell in groupby(plan.runs, key=lambda run: tuple(run.record.axes.values())):
        runs = list(cell)
        first = next((run.scenario for run in runs if run.scenario is not None), None)
        cost = kept_estimate(first, rate, gpus) if first is not None else _NOTHING
        axes = runs[0].record.axes.values()
        if first is None or cost.problem:
            table.add_row(*axes, str(len(runs)), Text("impossible", "red"))
            if cost.problem:
                console.print(f"{runs[0].record.label} is impossible: {cost.problem}", style="red")
            continue
        largest = max(largest, cost.memory_bytes)
        n_train = sum(run.record.label in trained for run in runs)
        n_retime = sum(run.record.label in retimed for run in runs)
        if math.isfinite(cost.wall_time_s):
            train_s += cost.wall_time_s * n_train
            retime_s += cost.retimed_s * n_retime
        each_s = cost.retimed_s if n_retime and not n_train else cost.wall_time_s
        table.add_row(
            *axes, str(len(runs)), str(n_train), "?" if cost.rounds is None else str(cost.rounds),
            words.seconds(cost.simulated_time_s), _flop(cost.work_flop),
            readable(cost.memory_bytes) if cost.memory_bytes else "?", words.seconds(each_s),
        )  # fmt: skip
    console.print(table)
    for remark in plan.remarks:
        console.print(remark)
    for run in plan.impossible:
        for problem in run.problems:
            console.print(f"{run.record.label} is impossible: {problem}", style="red")
    if plan.study.search is not None and plan.study.search.learns:
        left = plan.study.search.trials - len(plan.points)
        console.print(
            f"These are the first trials; {left} more follow from what they give, or fewer if some are the same."
        )
    if plan.study.adaptive is not None:
        console.print(_steps(plan, plan.study.adaptive))
    n_jobs = jobs or os.cpu_count() or 1
    # Those that train come first and may be fewer than jobs; the others wait for their journal.
    wall_s = train_s / max(1, min(n_jobs, len(trains))) + retime_s / n_jobs
    wall_s += _START_S * max(1, bool(trains) + bool(timed_again))
    if gpus:
        listed, n = ", ".join(map(str, gpus)), side_by_side(gpus, largest)
        console.print(f"Runs share {listed}: by memory {n} of the largest are there at a time.")
    kept = f", {len(done)} of them finished in {out} already" if done else ""
    train = "1 trains" if len(trains) == 1 else f"{len(trains)} train"
    shared = f"; {train}, {len(timed_again)} are timed again with the same training" if timed_again else ""
    console.print(
        f"{len(plan.runs)} runs{kept}{shared}; roughly {words.seconds(wall_s)} of wall time with {n_jobs} "
        f"at a time (an order of magnitude). Nothing was run."
    )


def _steps(plan: Plan, scheduler: Scheduler) -> str:
    """What is run at least, if as many settings are given up as can be."""
    told = [
        f"{n} {'run' if n == 1 else 'runs'} {f'up to {step.until}' if step.until else 'to the end'}"
        for step, n in shortest(plan, scheduler)
    ]
    return (
        f"Stopped early by {scheduler.kind}: at least {', then '.join(told)}; at most all to the end, which is what "
        "the figures here are for. What a run was trained before, it is not trained again."
    )


def _flop(value: float) -> str:
    if not math.isfinite(value):
        return "?"
    for prefix, scale in (("P", 1e15), ("T", 1e12), ("G", 1e9)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}FLOP"
    return f"{value / 1e6:.3g} MFLOP"
