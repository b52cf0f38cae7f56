"""Kills runs with SIGKILL at random moments, resumes them, and compares their hashes to those of runs left alone.

    python -m benchmarks.kill_test [--kills 56] [--seed 0] [--hazards]

Every run is a forked child of one process that has imported everything, so that a kill costs the run alone. Each
resumed run must end with the same two hashes as one left alone, must replay every record that the killed one had
written, and may compute again at most one checkpoint interval. With `--hazards` clients come and go, crash and lose
messages, and the server crashes too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gapslsim import load, simulate
from gapslsim.frameworks.framework import frameworks
from gapslsim.learning.journal.folder import trainings
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.learning.journal.maintenance import content_of
from gapslsim.scenario.schema import Scenario

CHECKPOINT_EVERY = 4
N_CLIENTS = 4
SCENARIO = f"""
name: kill-test
seed: 3
data: {{kind: synthetic, input_shape: [8], n_classes: 4, n_train: 64, n_test: 80, partition: iid}}
model: {{kind: mlp, hidden: [12, 12], cut: 1}}
framework: gapsl
training: {{batch_size: 8, client: {{optimizer: sgd, lr: 0.05, momentum: 0.9}}}}
server: {{device: jetson-orin-nx}}
clients:
  - {{count: {N_CLIENTS}, device: jetson-nano, link: {{uplink: 4 Mbit/s, downlink: 8 Mbit/s, latency: 4 ms}}}}
network: {{kind: star, backhaul: 10 Mbit/s}}
evaluation: {{every: 2 rounds}}
stop: {{rounds: 30}}
"""

HAZARDS = (
    "clients.*.availability={kind: on_off, mean_up: 500 ms, mean_down: 100 ms, state: lost}",
    "faults=[{kind: loss, upload: 0.1, gradient: 0.1, aggregation: 0.1}, {kind: crash, rate: 0.02, restart: 100 ms}, "
    "{kind: server_crash, mean_up: 1 s, mean_down: 100 ms, checkpoint_every: 3}]",
)
SHAPES = {
    "hierarchical_sfl": "shape={kind: tiers, edges: 2, cut: 2}",
    "mp_sl": "shape={kind: u_shape, tail: 1}",
}
"""Of frameworks that are made for one."""
FREE = ("async_gapsl", "async_sfl", "async_sl", "buffered_sl", "gas")


def start(scenario: Scenario, journal: Path | None, answer: Path) -> int:
    """Runs a scenario in a child, which leaves its summary; returns the child's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        settings = None if journal is None else JournalSettings(journal, checkpoint_every=CHECKPOINT_EVERY)
        summary = simulate(scenario, journal=settings).summary
        partial = answer.with_suffix(".partial")
        partial.write_text(json.dumps(summary))
        partial.replace(answer)
        code = 0
    finally:
        os._exit(code)


def finish(child: int, answer: Path) -> dict[str, Any]:
    """The summary that a child leaves."""
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"a run ended with status {status}")
    return json.loads(answer.read_text())


def hashes(summary: dict[str, Any]) -> tuple[str, str]:
    return summary["timeline_sha256"], summary["learning_sha256"]


def kill_and_resume(
    scenario: Scenario, alone: dict[str, Any], longest_s: float, dice: random.Random
) -> dict[str, Any] | None:
    """One kill at a random moment and the resumption; None if the run had ended before the kill came."""
    with tempfile.TemporaryDirectory() as folder:
        journal, answer = Path(folder) / "journal", Path(folder) / "summary.json"
        child = start(scenario, journal, answer)
        if dice.random() < 0.9:  # The others are killed while they prepare, or at their first record.
            patience = time.monotonic() + 60
            while not list(journal.glob("training-*/records-*.log")) and time.monotonic() < patience:
                time.sleep(0.0005)
        time.sleep(dice.uniform(0, longest_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return None
        known, checkpointed = 0, 0
        if (journal / "journal.json").exists():
            contents = [content_of(training) for training in trainings(journal)]
            known = sum(content.n_records for content in contents)
            checkpointed = sum(len(content.checkpoints) for content in contents)
        resumed = finish(start(scenario, journal, answer), answer)
        told = resumed["journal"]
        # Operations that a round may have: turns, and steps of servers that do not wait.
        per_round = N_CLIENTS if alone["framework"] in ("sl", "fedavg", *FREE) else 1
        return {
            "framework": alone["framework"],
            "records": known,
            "checkpoints": checkpointed,
            "rebuilt_rounds": told["rebuilt"] / per_round,
            "same_hashes": hashes(resumed) == hashes(alone),
            "all_replayed": told["replayed"] == known,
            # Without a barrier, what was in flight at the checkpoint had begun before it.
            "within_interval": told["rebuilt"]
            <= CHECKPOINT_EVERY * per_round + (2 * N_CLIENTS if alone["framework"] in FREE else 0),
            "torn": sum("torn" in message for message in told["messages"]),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=56)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hazards", action="store_true")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    began = time.perf_counter()
    import gapslsim.learning.engine  # noqa: F401  (with all that it imports, before the forks)

    alone: dict[str, tuple[Scenario, dict[str, Any], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kill.yaml"
        path.write_text(SCENARIO)
        for kind in frameworks:
            shape = [SHAPES[kind]] if kind in SHAPES else []
            # Faults of the server are refused where others hold blocks too.
            hazards = HAZARDS[: 1 if shape else None] if options.hazards else ()
            scenario = load(path, set=[f"framework={kind}", *shape, *hazards])
            simulate(scenario, dry=True)  # What is imported late is imported here, once.
            answer = Path(folder) / f"{kind}.json"
            summary = finish(start(scenario, None, answer), answer)
            alone[kind] = scenario, summary, summary["wall_time_s"]
    done: list[dict[str, Any]] = []
    early = 0
    kinds = list(alone)
    while len(done) < options.kills:
        result = kill_and_resume(*alone[kinds[len(done) % len(kinds)]], dice)
        if result is None:
            early += 1
            continue
        done.append(result)
        print(*(f"{name}={value}" for name, value in result.items()))
    tests = ("same_hashes", "all_replayed", "within_interval")
    failed = [result for result in done if not all(result[test] for test in tests)]
    between = sum(result["records"] > 0 for result in done)
    worst = max(result["rebuilt_rounds"] for result in done)
    print(
        f"{len(done)} kills over {len(kinds)} frameworks in {time.perf_counter() - began:.0f} s, {between} of them "
        f"after the first record; {early} runs ended before their kill. Checkpoints every {CHECKPOINT_EVERY} rounds; "
        f"at most {worst:g} recorded rounds were computed again. {len(failed)} failed."
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
