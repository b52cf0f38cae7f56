"""Plans against brute force: `python -m benchmarks.planning`.

Random fleets of six clients, each with a batch size of its own to choose (64 combinations and two cuts). The search by
bounds may time a third of them; brute force times all, in the same simulator. Then a fleet of a hundred.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gapslsim.planning.choices import axes_of
from gapslsim.planning.search import search, value_of
from gapslsim.planning.timing import Timer
from gapslsim.scenario.loading import read, vary

DEVICES = ("jetson-nano", "raspberry-pi-4b", "phone-midrange", "jetson-orin-nx", "apple-m1")
FRAMEWORKS = ("psl", "sfl", "gapsl")


def fleet(seed: int, n_groups: int = 6, count: int = 1, choose: str = "") -> str:
    """A random fleet as a scenario."""
    random = np.random.default_rng(seed)
    clients = "".join(
        f"  - {{count: {count}, device: {random.choice(DEVICES)}, name: g{i}, link: "
        f"{{uplink: {10 ** random.uniform(5, 7.5):.0f} bit/s, downlink: {10 ** random.uniform(5.5, 8):.0f} bit/s, "
        f"latency: {random.uniform(0, 30):.2f} ms}}}}\n"
        for i in range(n_groups)
    )
    n_train = 40 * n_groups * count
    return f"""\
name: fleet
data: {{kind: synthetic, input_shape: [32], n_classes: 4, n_train: {n_train}, n_test: 30, partition: iid}}
model: {{kind: mlp, hidden: [64, 16, 8], cut: 1}}
framework: {random.choice(FRAMEWORKS)}
training: {{batch_size: 4, client: {{optimizer: sgd, lr: 0.1}}}}
server: {{device: {random.choice(DEVICES)}}}
clients:
{clients}network: {{kind: star, backhaul: {10 ** random.uniform(5.5, 8):.0f} bit/s}}
stop: {{rounds: 3}}
plan:
  rounds: 2
  goal: {random.choice(["time_per_sample", "round_time", "energy_per_sample", "energy"])}
  choose: {choose or "{model.cut: [1, 2], clients.each.training.batch_size: [4, 16]}"}
"""


def cases(n: int, folder: Path, **how: object) -> Iterator[tuple[float, float, float, int, int]]:
    """Value by the search, by brute force, the bound told, and how many combinations were timed of how many."""
    for seed in range(n):
        file = folder / f"{seed}.yaml"
        file.write_text(fleet(seed, **how))  # type: ignore[arg-type]
        source = read(file)
        scenario = vary(source, ())
        assert scenario.plan is not None
        goal = scenario.plan.goal
        goals = goal if isinstance(goal, dict) else {goal: 1.0}
        axes, timer = axes_of(source, scenario), Timer(source, scenario.plan)
        every = list(product(*(axis.choices for axis in axes)))
        found = search(axes, timer, goals, len(every) // 3)
        n_timed = len(timer.known)
        outcomes = [timer.outcome(combination) for combination in every]
        least = min(value_of(one, goals) for one in outcomes if not one.wrong)
        assert found.bound is not None
        yield found.value, least, found.bound, n_timed, len(every)


def main() -> None:
    """Prints gaps and times."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = np.array(list(cases(200, folder)))
        gaps, bounds = made[:, 0] / made[:, 1] - 1, made[:, 2] / made[:, 1] - 1
        proven = (made[:, 0] <= made[:, 2] * (1 + 1e-9)).mean()
        print(f"200 fleets of six clients: largest gap {gaps.max():.2%}, missed in {(gaps > 1e-9).sum()}")
        print(
            f"timed {made[:, 3].sum() / made[:, 4].sum():.0%} of combinations, proven optimal in {proven:.0%}"
        )
        print(f"largest bound over the optimum {bounds.max():.2e} (0 or less: valid)")
        from gapslsim import plan

        for groups, count in ((4, 25), (100, 1)):
            (folder / "many.yaml").write_text(fleet(1, groups, count))
            began = time.process_time()
            found = plan(folder / "many.yaml", most=300)
            took = time.process_time() - began
            print(
                f"{groups * count} clients in {groups} groups: {took:.1f} s; {' '.join(found.sentences[1:])}"
            )
        assert not math.isinf(found.found.value)


if __name__ == "__main__":
    main()
