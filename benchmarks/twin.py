"""A twin of the simulator: two clients and a server as processes of plain PyTorch over TCP, against what it predicts.

    python -m benchmarks.twin [CASE...] [--profile FILE] [--rounds 60] [--repeats 3] [--computes joined]

As root, with `ip` and `tc`, each process has a network namespace of its own, and links are shaped by `tc tbf` to 40
Mbit/s up and 80 Mbit/s down. The profile is made here by `gapslsim measure --quick` and `gapslsim calibrate`, unless
one is given.

On a machine that others use too, `own` counts computations by the processor time that they had, as `measure` does with
one thread; the rest of the wall time was taken by other programs, which no profile can know.

Phases: forward (and making the message ready), uplink (until the server has taken it apart), server, and downlink with
backward pass and update (from the end of the server's step). A round is the time between two steps of the server.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring import machine
from gapslsim import load, simulate

UP, DOWN = "40mbit", "80mbit"
CASES = {
    "quickstart": ("{kind: digits}", "{kind: cnn, channels: [16, 32, 32], cut: 1}", 16),
    "cnn": ("{kind: synthetic, input_shape: [3, 32, 32], n_classes: 10, n_train: 512, n_test: 16}",
            "{kind: cnn, channels: [16, 32, 64], cut: 1}", 16),
    "vgg": ("{kind: synthetic, input_shape: [3, 32, 32], n_classes: 10, n_train: 512, n_test: 16}",
            "{kind: vgg16, width: 0.25, classifier: [128], cut: 3}", 16),
}  # fmt: skip
"""Data, model and batch size of each."""
SCENARIO = """
name: twin
data: {data}
model: {model}
framework: {{kind: psl}}
training: {{batch_size: {batch_size}, client: {{optimizer: sgd, lr: 0.01, momentum: 0.9}}}}
server: {{device: {device}}}
clients: [{{count: 2, device: {device}, link: {{uplink: 40 Mbit/s, downlink: 80 Mbit/s, latency: 0 ms}}}}]
network:
  kind: star
  protocol: {{kind: tcp, headers: tc, slow_start: false}}
clock: {{server: {{computes: {computes}}}}}
evaluation: {{every: 1000 rounds}}
stop: {{rounds: 20}}
"""
PHASES = ("forward", "uplink", "server", "downlink and backward", "round")
WARM_UP = 5
_OWN = f"twin{os.getpid()}"
"""Of the namespaces of this run: one that was killed may have left its own."""


def main() -> None:
    """Runs the cases and prints what was measured and predicted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--profile", help="made here unless given")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3, help="runs of the twin, their rounds pooled")
    parser.add_argument("--computes", choices=("joined", "per_client"), default="joined")
    given = parser.parse_args()
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        sys.exit("The twin needs root, and ip and tc (package iproute2), to shape its links.")
    with tempfile.TemporaryDirectory() as folder:
        profile = given.profile or made_profile(Path(folder))
        print(f"{machine()}; profile {Path(profile).name}; server: {given.computes}")
        for case in given.cases:
            data, model, batch_size = CASES[case]
            scenario = Path(folder) / "twin.yaml"
            about = {"data": data, "model": model, "batch_size": batch_size, "computes": given.computes}
            scenario.write_text(SCENARIO.format(**about, device=Path(profile).resolve()))
            with namespaces():
                measured = [
                    row
                    for _ in range(given.repeats)
                    for row in twin(scenario, given.rounds, given.computes, folder)
                ]
            show(case, measured, predicted(scenario))


def made_profile(folder: Path) -> str:
    """By the commands that a user has."""
    table, profile = folder / "here.csv", folder / "here.yaml"
    run = [sys.executable, "-m", "gapslsim"]
    subprocess.run(
        [*run, "measure", "--quick", "--threads", "1", "-o", str(table)], check=True, capture_output=True
    )
    subprocess.run([*run, "calibrate", str(table), "-o", str(profile)], check=True, capture_output=True)
    return str(profile)


@contextmanager
def namespaces() -> Iterator[None]:
    """A namespace for each process, a cable from each client's to the server's, a token bucket at each end."""
    names = [f"{_OWN}-{who}" for who in ("server", "0", "1")]
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for place, client in enumerate(names[1:]):
            _ip(
                "link",
                "add",
                f"twc{place}",
                "netns",
                client,
                "type",
                "veth",
                "peer",
                f"tws{place}",
                "netns",
                names[0],
            )
            for name, end, host, rate in ((client, f"twc{place}", 2, UP), (names[0], f"tws{place}", 1, DOWN)):
                _ip("-n", name, "addr", "add", f"10.77.{place}.{host}/24", "dev", end)
                _ip("-n", name, "link", "set", end, "up")
                # Two segments of burst: what has been saved up would pass at full speed.
                subprocess.run(
                    ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", end, "root", "tbf",
                     "rate", rate, "burst", "3200", "limit", "1000000"], check=True,
                )  # fmt: skip
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def twin(
    scenario: Path, rounds: int, computes: str, folder: str
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Phases of each round that counts [s]: as the clock on the wall says, and less what other programs took."""
    hosts = {"server": "10.77.0.1,10.77.1.1", "0": "10.77.0.1#0", "1": "10.77.1.1#1"}
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", f"{_OWN}-{who}", sys.executable, "-m", "benchmarks.twin_node", who, str(scenario),
             str(rounds), host, f"{folder}/{who}.json", computes], env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for who, host in hosts.items()
    ]  # fmt: skip
    if any(process.wait(timeout=300) for process in running):
        raise SystemExit("A process of the twin failed.")
    server = json.loads(Path(folder, "server.json").read_text())
    clients = [json.loads(Path(folder, f"{index}.json").read_text()) for index in (0, 1)]
    return [
        (_phases(server, clients, n, False), _phases(server, clients, n, True))
        for n in range(WARM_UP, rounds - 1)
    ]


def _phases(
    server: list[dict[str, Any]], clients: list[list[Any]], number: int, own: bool
) -> dict[str, float]:
    """Of one round, means over both clients; `own`: computations by the processor time that they had."""

    def computed(start: list[float], end: list[float]) -> float:
        return end[own] - start[own]

    step, after = server[number], server[number + 1]
    rows = []
    for place, times in enumerate(clients):
        begin, _, serialised, arrived, taken, updated = times[number]
        server_s = computed(step["begin"], step["end"])
        sent = step["sent"][place]
        up_s = step["arrived"][place][0] - serialised[0] + computed(*step["taken"][place])
        down_s = (
            computed(*sent) + arrived[0] - sent[1][0] + computed(arrived, taken) + computed(taken, updated)
        )
        rows.append((computed(begin, serialised), up_s, server_s, down_s))
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    total_s = sum(means) if own else after["end"][0] - step["end"][0]
    return dict(zip(PHASES, [*means, total_s], strict=True))


def predicted(scenario: Path) -> dict[str, float]:
    """The same from a dry run [s]."""
    results = simulate(load(str(scenario)), dry=True)
    spans = results.spans.assign(seconds=results.spans.end_s - results.spans.start_s)
    spans = spans[spans["round"].between(2, 20)]
    n_rounds = spans["round"].nunique()
    ends = spans[(spans.client < 0) & (spans.phase == "server_step")].set_index("round").end_s
    starts = spans[(spans.client < 0) & (spans.phase == "server_step")].set_index("round").start_s
    own = spans[spans.client >= 0]

    def last(phase: str) -> Any:
        return own[own.phase == phase].groupby(["round", "client"]).end_s.max()

    begins = own.groupby(["round", "client"]).start_s.min()
    first_ready = own[own.phase == "uplink"].groupby(["round", "client"]).start_s.min()
    server = spans[(spans.client < 0)]
    taken_s = server[server.phase == "deserialise"].seconds.sum() / (2 * n_rounds)
    up_s = (last("uplink") - first_ready).mean() + taken_s
    down_s = (last("client_backward") - ends).mean()
    total = (ends.max() - ends.min()) / (n_rounds - 1)
    return dict(
        zip(PHASES, [(first_ready - begins).mean(), up_s, (ends - starts).mean(), down_s, total], strict=True)
    )


def show(
    case: str, rounds: list[tuple[dict[str, float], dict[str, float]]], predicted: dict[str, float]
) -> None:
    """A table in ms: medians by the wall and less what other programs took, predicted, error against the latter."""
    print(f"\n{case}: {len(rounds)} rounds\n{'phase':24}{'wall':>9}{'own':>9}{'told':>9}{'error':>8}   [ms]")
    for phase in PHASES:
        wall, own = (statistics.median(row[which][phase] for row in rounds) for which in (0, 1))
        told = predicted[phase]
        print(f"{phase:24}{1e3 * wall:9.2f}{1e3 * own:9.2f}{1e3 * told:9.2f}{told / own - 1:+8.1%}")


if __name__ == "__main__":
    main()
