"""Timing-only runs by number of clients: `python -m benchmarks.scale [CLIENTS...] [--set path=value]...`, a table.

Each size is one synchronous round of PSL in a process of its own, from scenarios/scale, 128 clients per access point.
A million clients' smashed data does not fit the scenario's server; `--set server.device=jetson-agx-orin --set
training.batch_size=5` makes room, and changes simulated time alone.

The last two columns are processor time over that of bare SimPy, in the same process and run: as many processes, as many
events, and nothing else. First the event loop alone, then all of `simulate`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measuring import machine

SCENARIO = Path(__file__).parents[1] / "scenarios" / "scale" / "psl_131072_clients.yaml"
SIZES = (1024, 10_240, 32_768, 131_072)


def bare_s(n_processes: int, n_events: float) -> float:
    """Processor time [s] of SimPy alone: processes that wait for so many timeouts each, of random lengths."""
    import simpy

    draw = random.Random(1).random
    begun = time.process_time()
    env = simpy.Environment()

    def process(n: int):  # type: ignore[no-untyped-def]
        for _ in range(n):
            yield env.timeout(draw())

    for index in range(n_processes):
        # A process itself takes two events: it begins and it ends.
        env.process(process(max(0, round((index + 1) * (n_events - 2)) - round(index * (n_events - 2)))))
    env.run()
    return time.process_time() - begun


def one(n_clients: int, overrides: list[str]) -> None:
    """Runs one size in this process and writes its figures as JSON."""
    import resource

    import simpy

    import gapslsim.assembly
    from gapslsim import load, simulate

    points = max(1, n_clients // 128)
    changes = [
        f"clients.0.count={n_clients}",
        f"data.n_train={10 * n_clients}",
        f"network.access_points={points}",
        f"network.backhaul={points / 10.24} Gbit/s",
        *overrides,
    ]
    scenario = load(SCENARIO, set=changes)
    assemble = gapslsim.assembly.assemble
    made = []

    def keep(*arguments, **more):  # type: ignore[no-untyped-def]
        made.append(assemble(*arguments, **more))
        return made[0]

    run, in_loop = simpy.Environment.run, []

    def timed(*arguments, **more):  # type: ignore[no-untyped-def]
        begun = time.process_time()
        try:
            return run(*arguments, **more)
        finally:
            in_loop.append(time.process_time() - begun)

    gapslsim.assembly.assemble, simpy.Environment.run = keep, timed
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    results = simulate(scenario, dry=True)
    figures = {
        "clients": n_clients,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "grown_kib_per_client": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / n_clients,
        "events_per_client": next(made[0].stage._env._eid) / n_clients,
        "spans_per_client": len(results.spans) / n_clients,
        "simulated_s": results.summary["simulated_time_s"],
    }
    simpy.Environment.run = run
    bare = bare_s(n_clients, figures["events_per_client"])
    figures |= {"loop_ratio": sum(in_loop) / bare, "ratio": figures["cpu_s"] / bare}
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="CLIENTS")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="PATH=VALUE")
    options = parser.parse_args()
    print(machine())
    print(
        "| clients | wall [s] | CPU [s] | CPU per client [µs] | peak [GiB] | KiB per client | events per client | "
        "loop / bare SimPy | all / bare SimPy |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        code = f"from benchmarks.scale import one; one({size}, {options.overrides!r})"
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
        f = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {size:,} | {f['wall_s']:.1f} | {f['cpu_s']:.1f} | {f['cpu_s'] / size * 1e6:.0f} | "
            f"{f['peak_gib']:.2f} | {f['grown_kib_per_client']:.1f} | {f['events_per_client']:.1f} | "
            f"{f['loop_ratio']:.1f} | {f['ratio']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
