"""Hours that studies would take on a GPU, from arithmetic and launches: an estimate, nothing of it measured on a GPU.

    python -m benchmarks.gpu_hours                                   # Tables I to III of the paper, on an A100
    python -m benchmarks.gpu_hours paper/studies/fig10 --rate 20e12 --launch-us 5

A run takes the longer of two times, since a GPU computes while the program launches what is next:

- arithmetic: FLOP of its rounds and evaluations, from shapes, over `--rate`;
- launches: those of a round, counted by the emulated device of the tests at a small batch, times `--launch-us`, and the
  waits of a round times `--wait-us`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from itertools import groupby

from rich.console import Console
from rich.table import Table

from gapslsim.data.datasets.synthetic import Synthetic
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.schema import Scenario
from gapslsim.studies.estimate import estimate
from gapslsim.studies.plan import load_study
from tests.emulated.rounds import last_round

STUDIES = ["paper/studies/table1", "paper/studies/table2", "paper/studies/table3"]
RATE = 0.4 * 19.5e12
"""FLOP/s: float32 of an A100 (19.5 TFLOP/s, NVIDIA's data sheet) times the share that we assume it reaches."""
LAUNCH_US, WAIT_US = 8.0, 30.0
"""Assumed: what PyTorch takes for an operation without a graph of launches, and to stand still and begin again."""
_SMALL_BATCH = 4
_BY_SCENARIO: dict[str, Scenario] = {}


def asked_in_a_round(scenario: Scenario) -> tuple[int, int]:
    """Launches and waits of a round; of ten clients at most, and in proportion for more."""
    group = scenario.clients[0]
    n = min(scenario.n_clients, 10)
    small = replace(
        scenario,
        data=Synthetic(input_shape=(3, 32, 32), n_classes=10, n_train=4 * _SMALL_BATCH * n, n_test=10),
        clients=(replace(group, count=n),),
        training=replace(scenario.training, batch_size=_SMALL_BATCH, device="cuda"),
        evaluation=replace(scenario.evaluation, every=replace(scenario.evaluation.every, amount=1000)),
        stop=Stop(rounds=3),
    )
    key = repr((small.framework, small.model, n))
    _BY_SCENARIO.setdefault(key, small)
    launches, waits = _counted(key)
    return launches * scenario.n_clients // n, waits


@cache
def _counted(key: str) -> tuple[int, int]:
    log, _ = last_round(_BY_SCENARIO[key])
    return log.total("launches"), log.total("waits") + log.total("uploads")


def main() -> None:
    """Prints a line per framework and setting of each study, and sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", default=STUDIES)
    parser.add_argument("--rate", type=float, default=RATE, help="FLOP/s that are reached")
    parser.add_argument("--launch-us", type=float, default=LAUNCH_US)
    parser.add_argument("--wait-us", type=float, default=WAIT_US)
    given = parser.parse_args()
    console = Console(highlight=False, width=120)
    console.print(
        f"Estimated, not measured: {given.rate / 1e12:.3g} TFLOP/s, {given.launch_us:g} us per launch, "
        f"{given.wait_us:g} us per wait."
    )
    for name in given.studies:
        plan = load_study(name)
        table = Table(title=name, title_justify="left")
        for column in (
            "setting",
            "runs",
            "rounds",
            "FLOP/round*",
            "launches",
            "waits",
            "arithmetic",
            "launching",
            "h/run",
        ):
            table.add_column(column, justify="left" if column == "setting" else "right")
        hours = 0.0
        for axes, cell in groupby(plan.runs, key=lambda run: tuple(run.record.axes.values())):
            runs = list(cell)
            scenario = runs[0].scenario
            if scenario is None:
                continue
            cost = estimate(scenario, given.rate)
            if cost.rounds is None or cost.problem:
                console.print(
                    f"{', '.join(axes)}: {cost.problem or 'ends at an accuracy alone'}", markup=False
                )
                continue
            launches, waits = asked_in_a_round(scenario)
            computing_h = cost.work_flop / given.rate / 3600
            asking_us = launches * given.launch_us + waits * given.wait_us
            launching_h = cost.rounds * asking_us / 3.6e9
            each_h = max(computing_h, launching_h)
            hours += len(runs) * each_h
            table.add_row(
                ", ".join(axes), str(len(runs)), str(cost.rounds), f"{cost.work_flop / cost.rounds:.3g}",
                str(launches), str(waits), f"{computing_h:.2f} h", f"{launching_h:.2f} h", f"{each_h:.2f}",
            )  # fmt: skip
        console.print(table)
        console.print(
            f"{name}: {hours:.0f} hours of one GPU for {len(plan.runs)} runs. (* evaluations included)\n"
        )


if __name__ == "__main__":
    main()
