"""Every figure of docs/performance.md as a ratio measured in one run: `python -m benchmarks.compare [--quick]`.

Things that are compared take turns, so that what else the machine does hits all alike; a ratio is the median over
neighbours in time. CPU ratios are of processor seconds, which other programs disturb less.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import interleaved, machine, median_ratio
from benchmarks.rounds import Ours, contestants, largest_difference, scenario
from gapslsim import load, simulate
from gapslsim.errors import DataError
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Gradients

GAPSL = "{kind: gapsl, eta: 0.1}"


def rounds(model: str, framework: str, folder: Path, repeats: int) -> None:
    """Our round against three hand-written loops of the same mathematics."""
    made = scenario(model, framework, folder)
    difference = max(largest_difference(made).values())
    loops = contestants(made)
    name = made.framework.kind
    rows = []
    for clock, timer in (("wall", time.perf_counter), ("CPU", time.process_time)):
        seconds = interleaved({k: loop.one_round for k, loop in loops.items()}, repeats, timer=timer)
        best = min((k for k in seconds if k != "ours"), key=lambda k: statistics.median(seconds[k]))
        rows.append(
            f"{clock}: {statistics.median(seconds['ours']) * 1e3:.1f} ms; naive/ours "
            f"{median_ratio(seconds['naive'], seconds['ours']):.2f}, threaded/ours "
            f"{median_ratio(seconds['threaded'], seconds['ours']):.2f}, joined/ours "
            f"{median_ratio(seconds['joined'], seconds['ours']):.2f} (best: {best})"
        )
    workers = loops["ours"].engine.workers.n
    print(f"{model} {name}: {workers} workers; weights differ by {difference:.1e} (float64)")
    for row in rows:
        print(f"    {row}")


def stacking(model: str, framework: str, folder: Path, repeats: int) -> None:
    """Rounds with clients and server batches side by side against rounds with one pass after the other."""
    made = scenario(model, framework, folder)
    stacked, alone = Ours(made), Ours(made)
    alone.engine._client_passes = replace(alone.engine._client_passes, most_samples=0)
    alone.engine._stacked_samples = 0
    calls = {"stacked": stacked.one_round, "alone": alone.one_round}
    seconds = interleaved(calls, repeats, timer=time.process_time)
    ratio = median_ratio(seconds["alone"], seconds["stacked"])
    print(f"{model} {made.framework.kind}: passes one by one / stacked {ratio:.2f} (a round, CPU)")


def layouts(repeats: int) -> None:
    """Channels first against channels last for the small CNN's client side; group norm there and back."""
    images = torch.randn(32, 32, 16, 16)
    last = images.contiguous(memory_format=torch.channels_last)

    def norm(there_and_back: bool) -> object:
        """Forward and backward."""
        leaf = last.detach().requires_grad_()
        given = leaf.contiguous() if there_and_back else leaf
        output = torch.group_norm(given, 8)
        if there_and_back:
            output = output.contiguous(memory_format=torch.channels_last)
        return torch.autograd.grad(output, leaf, last)

    calls: dict[str, Callable[[], object]] = {
        "pool first": lambda: torch.nn.functional.max_pool2d(images, 2),
        "pool last": lambda: torch.nn.functional.max_pool2d(last, 2),
        "norm there and back": lambda: norm(True),
        "norm last": lambda: norm(False),
    }
    seconds = interleaved(calls, 10 * repeats, timer=time.process_time)
    print(
        f"{list(images.shape)}, channels first / last: max pooling "
        f"{median_ratio(seconds['pool first'], seconds['pool last']):.1f}; group norm there and back / channels last "
        f"{median_ratio(seconds['norm there and back'], seconds['norm last']):.2f}"
    )


def alignment_share(folder: Path, repeats: int) -> None:
    """What LGI and GDA add to a PSL round that also computes per-client gradients."""
    ours = Ours(scenario("small-cnn", GAPSL, folder), workers=1)
    d = sum(p.numel() for p in ours.engine.initial("server").parameters)
    matrix = torch.randn(10, d, generator=torch.Generator().manual_seed(0)) + 0.1
    rules: Mapping[str, Any] = {"gapsl": server_updates["gapsl"](eta=0.1), "mean": server_updates["mean"]()}

    def decide(rule: Any) -> Callable[[], object]:
        return lambda: rule.decide(
            Gradients(matrix, torch.ones(10), tuple(range(10)), 3, 1000, {}, np.random.default_rng(0))
        )

    calls: dict[str, Callable[[], object]] = {"round": ours.one_round}
    calls |= {name: decide(rule) for name, rule in rules.items()}
    seconds = interleaved(calls, repeats, timer=time.process_time)
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    share = (median["gapsl"] - median["mean"]) / (median["round"] - median["gapsl"] + median["mean"])
    print(
        f"LGI + GDA, S = 10, d = {d}: {(median['gapsl'] - median['mean']) * 1e3:.2f} ms, {share:.1%} of the round"
    )


def where_time_goes(framework: str, folder: Path, n_rounds: int) -> None:
    """Share of a training run that is not tensors: event loop, network, records; by repeating the run without them."""
    made = scenario("small-cnn", framework, folder)
    real, dry = Ours(made, workers=1), Ours(made, dry=True)
    seconds = interleaved({"real": real.one_round, "dry": dry.one_round}, n_rounds, timer=time.process_time)
    share = statistics.median(seconds["dry"]) / statistics.median(seconds["real"])
    print(
        f"small-cnn {made.framework.kind}: event loop, solver, records and keys take "
        f"{statistics.median(seconds['dry']) * 1e3:.2f} ms of {statistics.median(seconds['real']) * 1e3:.1f} ms, "
        f"{share:.1%} (a dry round against a real one)"
    )


def whole_run(framework: str, n_rounds: int) -> None:
    """The same for a small CIFAR-10 scenario as it is shipped, evaluations and all; needs the public data."""
    path = f"scenarios/paper/small/table1_cifar10_iid_{framework}.yaml"
    made = load(path, set=[f"stop={{rounds: {n_rounds}}}"])
    try:
        simulate(load(path, set=["stop={rounds: 1}"]))  # Images are decoded once per process.
    except DataError:
        print(f"{path}: not run, the public data is not here")
        return
    runs: dict[str, Callable[[], object]] = {
        "real": lambda: simulate(made),
        "dry": lambda: simulate(made, dry=True),
    }
    for clock, timer in (("wall", time.perf_counter), ("CPU", time.process_time)):
        seconds = interleaved(runs, 2, warm_up=0, timer=timer)
        share = median_ratio(seconds["dry"], seconds["real"])
        print(
            f"small CIFAR-10 {framework}, {n_rounds} rounds with evaluations, {clock}: "
            f"{statistics.median(seconds['dry']):.2f} s of {statistics.median(seconds['real']):.1f} s, {share:.1%}"
        )


def main() -> None:
    repeats = 5 if "--quick" in sys.argv else 15
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ("small-cnn", "vgg16-quarter", "quickstart-cnn", "tiny-mlp"):
            for framework in ("psl", GAPSL):
                rounds(model, framework, folder, 3 if model == "vgg16-quarter" else repeats)
        for model in ("quickstart-cnn", "tiny-mlp"):
            for framework in ("psl", GAPSL):
                stacking(model, framework, folder, repeats)
        layouts(repeats)
        alignment_share(folder, repeats)
        for framework in ("psl", GAPSL):
            where_time_goes(framework, folder, repeats)
    for framework in ("psl", "gapsl"):
        whole_run(framework, 30 if "--quick" in sys.argv else 200)


if __name__ == "__main__":
    main()
