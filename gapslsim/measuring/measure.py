"""The main flow of `gapslsim measure`: probes, steps, memory; the rows of one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gapslsim.kernels import Precision
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.optimizers.adam import Adam
from gapslsim.learning.optimizers.sgd import Sgd
from gapslsim.learning.workers import intra_op_threads
from gapslsim.measuring._attribution import call_s, rows_of_passes
from gapslsim.measuring._overheads import loop_rows, message_rows
from gapslsim.measuring._steps import Bench, copy_rows, rule_rows, step_rows
from gapslsim.measuring.passes import Effort, SideTimes, time_split
from gapslsim.measuring.probes import Probe
from gapslsim.measuring.table import Machine, Measurement
from gapslsim.numerics import computing
from gapslsim.stages.clock import Clock

__all__ = ["Plan", "measure"]

Observer = Callable[[str, float], None]
"""Told what is measured next and the share of the work that is done, in [0, 1]."""


_PASSES = Effort(least=4, most=100, budget_s=0.5)
_STEPS = Effort(least=8, most=200, budget_s=0.15)
_STEPS_BY, _FEWEST_STEPS = 1.25, 2
"""When steps are cut short, in units of `enough_s`; probes whose steps are timed in any case."""


@dataclass(frozen=True)
class Plan:
    """What to measure, and how often."""

    probes: Sequence[Probe]
    batch_sizes: Sequence[int]
    repeats: int = 7
    """Rows per layer."""
    passes: Effort = _PASSES
    """Of each side of each probe at each batch size, at each visit."""
    visits: int = 3
    """How often to come back to each probe."""
    enough_s: float = float("inf")
    """Wall time after which no probe is visited again, and a quarter more after which the steps of two probes are
    enough: a slow or busy device is to come to an end."""
    steps: Effort = _STEPS
    """Of each optimizer step, rule and copy."""
    n_clients: Sequence[int] = (2, 10)
    """Numbers of clients that the server's rule is timed for."""
    copy_bytes: Sequence[int] = (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26)
    precision: Precision = "float32"
    """Of passes; optimizer steps, rules and copies are float32 in each case."""
    message_bytes: Sequence[int] = (1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22)
    waits_s: Sequence[float] = (0.005, 0.03)
    """Waits before a mini-batch, for what cold caches cost."""
    optimizers: Sequence[Optimizer] = (Sgd(lr=0.05), Sgd(lr=0.05, momentum=0.9), Adam(lr=1e-3))


def measure(
    plan: Plan, machine: Machine, device: torch.device, clock: Clock, observer: Observer
) -> list[Measurement]:
    """Times everything of a plan on one device; takes no network and writes nothing.

    Args:
        plan: what, and how often.
        machine: goes into every row; its `threads` are used inside each operation.
        device: torch's.
        clock: of that device.
        observer: told how far it has come.
    """
    n_parts = len(plan.probes) * (plan.visits * len(plan.batch_sizes) + 1) + 2
    done = 0

    def tell(what: str) -> None:
        nonlocal done
        observer(what, done / n_parts)
        done += 1

    # Kernels that repeat are not those that a device uses by itself.
    with intra_op_threads(machine.threads), computing(device, plan.precision, deterministic=False):
        passes: dict[tuple[str, int], SideTimes] = {}
        # each network several times, so that a slow moment of the machine does not fall on one alone
        begun_s = clock.wall_s()
        for visit in range(plan.visits):
            if visit and clock.wall_s() - begun_s > plan.enough_s:
                break
            for batch_size in plan.batch_sizes:
                for probe in plan.probes:
                    tell(f"{probe.name}, batch {batch_size}")
                    what = (probe, batch_size, plan.optimizers[0], device, clock, plan.passes, plan.precision)
                    for side in time_split(*what):
                        known = passes.setdefault((side.name, batch_size), side)
                        if known is not side:
                            known.add(side)
        rows = rows_of_passes(machine, list(passes.values()), plan.repeats)
        beside_s = call_s(rows)
        bench = Bench(machine, device, clock, plan.steps, plan.repeats, plan.precision)
        for number, probe in enumerate(plan.probes):
            if number >= _FEWEST_STEPS and clock.wall_s() - begun_s > _STEPS_BY * plan.enough_s:
                break
            tell(f"{probe.name}, steps")
            rows += step_rows(bench, probe, plan.optimizers, beside_s)
            for n_clients in plan.n_clients:
                rows += rule_rows(bench, probe, n_clients, beside_s)
        tell("memory")
        rows += copy_rows(bench, plan.copy_bytes)
        tell("messages and loops")
        rows += message_rows(bench, plan.message_bytes)
        for probe in plan.probes:
            # Not the smallest batch alone: what is fixed shows by what does not grow.
            for batch_size in (min(plan.batch_sizes), max(plan.batch_sizes)):
                rows += loop_rows(bench, probe, batch_size, plan.waits_s)
                if clock.wall_s() - begun_s > _STEPS_BY * plan.enough_s:
                    break
    observer("done", 1.0)
    return rows
