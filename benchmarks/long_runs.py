"""Memory of long timing-only runs: `python -m benchmarks.long_runs [CLIENTSxROUNDS...] [--quick] [--against CHECKOUT]`.

Each run is a process of its own: ten clients are the quickstart, more are scenarios/scale/psl_10000_clients. Beside it,
in turns, the same with all tables kept in memory, or with `--against` another checkout of gapslsim, such as the commit
before. Peak memory counts Python and all libraries. What a round takes is the growth between the first quarter and the
end of the run. A run of a million rounds takes about an hour and 9 GB of disk while it goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parents[1]
RUNS = ("10x2000", "10x10000", "10x40000", "5000x100")
QUICK = ("10x400", "200x4")


def one(n_clients: int, n_rounds: int, is_kept: bool) -> None:
    """Runs one size in this process and writes its figures as JSON."""
    import resource

    from gapslsim import load, simulate

    if is_kept:
        from gapslsim.tables.rows import Rows

        Rows.SPILLED_AT = sys.maxsize
    name, changes = "quickstart.yaml", [f"stop={{rounds: {n_rounds}}}"]
    if n_clients != 10:
        name = "scale/psl_10000_clients.yaml"
        changes += [f"clients.0.count={n_clients}", f"data.n_train={10 * n_clients}"]
    scenario = load(HERE / "scenarios" / name, set=changes)
    resident = []

    def note(progress: object) -> None:
        if progress.round in (max(1, n_rounds // 4), n_rounds):  # type: ignore[attr-defined]
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident.append(pages * resource.getpagesize())

    begun = time.process_time()
    results = simulate(scenario, dry=True, observer=note)
    cpu_s = time.process_time() - begun
    n_spans = len(results.table("spans") if hasattr(results, "table") else results.spans)
    figures = {
        "spans": n_spans,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "bytes_per_round": (resident[-1] - resident[0]) / max(1, n_rounds - n_rounds // 4),
        "ms_per_round": 1e3 * cpu_s / n_rounds,
        "timeline": results.summary["timeline_sha256"][:12],
    }
    print(json.dumps(figures))


def figures_of(checkout: Path, size: tuple[int, int], is_kept: bool) -> dict[str, object]:
    """The figures of one size in a process of its own, with the gapslsim of a checkout."""
    code = f"import sys; sys.path.append({str(HERE)!r}); from benchmarks.long_runs import one; one(*{size}, {is_kept})"
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 1 if two ways have not the same timeline."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", metavar="CLIENTSxROUNDS")
    parser.add_argument("--quick", action="store_true", help="sizes that take seconds")
    parser.add_argument("--alone", action="store_true", help="nothing beside it")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="gapslsim that is run beside it")
    options = parser.parse_args(arguments)
    from benchmarks.measuring import machine  # Which imports PyTorch, and would be counted in the runs.

    ways = {"in pieces": (HERE, False)}
    if not options.alone:
        other = options.against
        ways |= {"in memory": (HERE, True)} if other is None else {str(other): (other.absolute(), False)}
    print(machine())
    print("| clients | rounds | spans | tables | peak [MiB] | B per round | CPU per round [ms] | timeline |")
    print("|---|---|---|---|---|---|---|---|")
    differ = False
    for text in options.sizes or (QUICK if options.quick else RUNS):
        n_clients, n_rounds = map(int, text.split("x"))
        seen = set()
        for name, (checkout, is_kept) in ways.items():
            f = figures_of(checkout, (n_clients, n_rounds), is_kept)
            seen.add(f["timeline"])
            print(
                f"| {n_clients:,} | {n_rounds:,} | {f['spans']:,} | {name} | {f['peak_mib']:.0f} | "
                f"{f['bytes_per_round']:.0f} | {f['ms_per_round']:.2f} | {f['timeline']} |",
                flush=True,
            )
        differ |= len(seen) > 1
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
