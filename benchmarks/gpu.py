"""What training does on a GPU: speed, what repeats, what resumes, launches and waits, memory; a Markdown table of it.

    python -m benchmarks.gpu                        # on the first GPU; where there is none it says so, exit code 0
    python -m benchmarks.gpu --device cpu --quick   # the same code, small, on the CPU: shows that it works
    python -m benchmarks.gpu --models vgg16 vit-base --rounds 20

Per model and framework (ten clients):

- seconds of a round, and how many times as fast as the hand-written loops of `benchmarks.loops` on the same device, one
  after the other in turns;
- share of the peak: FLOP of a round from shapes, over its time, over the rate of a large matrix product timed here in
  the same precision;
- launches and waits of a round, by PyTorch's profiler (GPU only);
- peak memory beside its forecast: of CUDA's allocator, on the CPU of counted tensors;
- whether a second run gives the same learning hash, whether a run that was broken off and resumed from its journal
  does, and whether other devices cost no training.

The exit code is 1 if a hash does not repeat, a resume ends elsewhere or the peak is above its forecast by more than a
quarter.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.loops import Joined, Naive
from benchmarks.measuring import interleaved, machine, median_ratio
from benchmarks.rounds import MODELS, Ours, hand_written, scenario
from gapslsim import simulate
from gapslsim.assembly import memory_forecast
from gapslsim.hardware.memory import readable
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.live_bytes import LiveBytes
from gapslsim.numerics import computing
from gapslsim.scenario.limits import Every, Stop
from gapslsim.scenario.schema import Scenario

FRAMEWORKS = {"psl": "{kind: psl}", "gapsl": "{kind: gapsl}"}
FULL, QUICK = ("vgg16-quarter", "vgg16", "vit-base"), ("tiny-mlp",)
_HEADS = (
    "model, framework", "round", "naive / ours", "joined / ours", "share of peak", "launches", "waits",
    "peak", "forecast", "hash repeats", "resumes", "re-timed",
)  # fmt: skip
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


class Asked(NamedTuple):
    """What a round asks of the GPU."""

    launches: int
    waits: int


def settled(call: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """The call, and all that it launched."""

    def both() -> None:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return both


def fitting(calls: dict[str, Callable[[], None]]) -> dict[str, Callable[[], None]]:
    """Those that do not run out of memory."""
    left = {}
    for name, call in calls.items():
        try:
            call()
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        else:
            left[name] = call
    return left


def product_rate(device: torch.device, n: int) -> float:
    """FLOP/s of an n x n product, the best of five."""
    a = torch.ones(n, n, device=device)
    multiply = settled(lambda: a @ a, device)
    seconds = interleaved({"product": multiply}, 5)["product"]
    return 2 * n**3 / min(seconds)


def asked(one_round: Callable[[], object]) -> Asked:
    """Launches and waits, by the profiler."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as made:
        one_round()
    counts = {event.key: event.count for event in made.key_averages()}
    launches = sum(n for name, n in counts.items() if name.startswith(("cudaLaunchKernel", "cuLaunchKernel")))
    return Asked(launches, sum(counts.get(name, 0) for name in _WAITS))


def peak_bytes(of: Scenario, device: torch.device) -> tuple[int, str]:
    """Of a run, and its learning hash."""
    if device.type != "cuda":
        with LiveBytes() as meter:
            results = simulate(of)
        return meter.peak_bytes, results.summary["learning_sha256"]
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    results = simulate(of)
    return torch.cuda.max_memory_allocated(device) - before, results.summary["learning_sha256"]


def resumed(of: Scenario, folder: Path) -> tuple[str, bool]:
    """Learning hash of a run that is broken off half way and resumed; whether other devices cost no training."""
    journal = JournalSettings(folder, checkpoint_every=1)

    def stop(progress: Any) -> None:
        if progress.round == max(1, (of.stop.rounds or 2) // 2):
            raise KeyboardInterrupt

    simulate(of, journal=journal, observer=stop)
    whole = simulate(of, journal=journal).summary["learning_sha256"]
    elsewhere = tuple(replace(group, device="raspberry-pi-4b") for group in of.clients)
    again = simulate(replace(of, clients=elsewhere), journal=journal)
    return whole, again.summary["journal"]["computed"] == 0


def row(
    model: str, framework: str, device: torch.device, n_rounds: int, rate: float
) -> tuple[list[str], bool]:
    """Cells of the table, and whether all is as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        made = scenario(model, FRAMEWORKS[framework], Path(folder))
        training = replace(made.training, device=str(device))
        made = replace(
            made,
            training=training,
            stop=Stop(rounds=4),
            evaluation=replace(made.evaluation, every=Every(2, "rounds")),
        )
        with computing(device, training.precision, training.deterministic):
            ours = Ours(made, device=device)
            loops = {"ours": ours} | {
                kind.__name__.lower(): hand_written(kind, made, device=device) for kind in (Naive, Joined)
            }
            calls = {name: settled(loop.one_round, device) for name, loop in loops.items()}
            seconds = interleaved(fitting(calls), n_rounds)
            counted = asked(calls["ours"]) if device.type == "cuda" else None
        del loops, calls, ours
        dry = simulate(made, dry=True)
        flop = float(dry.spans["work_flop"].sum()) / len(dry.rounds)
        forecast = memory_forecast(made).peak_bytes
        peak, first = peak_bytes(made, device)
        second = simulate(made).summary["learning_sha256"]
        after, is_retimed = resumed(made, Path(folder) / "journal")
    each = sorted(seconds["ours"])[n_rounds // 2]
    faster = (
        f"{median_ratio(seconds[name], seconds['ours']):.2f}" if name in seconds else "out of memory"
        for name in ("naive", "joined")
    )
    yes = {True: "yes", False: "**no**"}
    cells = [
        f"{model}, {framework}", f"{1e3 * each:.3g} ms", *faster, f"{flop / each / rate:.0%}",
        *(map(str, counted) if counted else "--"), readable(peak), readable(forecast),
        yes[first == second], yes[first == after], yes[is_retimed],
    ]  # fmt: skip
    return cells, first == second == after and is_retimed and peak <= 1.25 * forecast


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (_HEADS, ["---"] * len(_HEADS), *rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="a tiny model and few rounds")
    parser.add_argument("--models", nargs="+", choices=list(MODELS))
    parser.add_argument("--rounds", type=int, help="timed rounds [default: 10; quick: 3]")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            "There is no CUDA GPU here, so nothing was measured. `--device cpu --quick` shows what would be."
        )
        return 0
    started = time.perf_counter()
    models = options.models or (QUICK if options.quick else FULL)
    n_rounds = options.rounds or (3 if options.quick else 10)
    with computing(device):
        rate = product_rate(device, 256 if options.quick else 8192 if device.type == "cuda" else 2048)
    rows, is_sound = [], True
    for model in models:
        for framework in FRAMEWORKS:
            cells, is_right = row(model, framework, device, n_rounds, rate)
            rows.append(cells)
            is_sound &= is_right
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(table(rows))
    print(
        f"\n{name}, {machine()}; product {rate / 1e12:.3g} TFLOP/s; {time.perf_counter() - started:.0f} s in all."
    )
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
