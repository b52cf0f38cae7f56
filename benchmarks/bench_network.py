"""Speed of the flow engine: `pytest benchmarks/bench_network.py` (pytest-benchmark).

Uploads of different sizes through one shared backhaul, so that every flow ends at its own time and the sharing is
solved once per flow: the setting of SimGrid's figures in the public data (`network_reference/simgrid_speed.json`).
"""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import simpy

from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.shared_ap import SharedAp
from gapslsim.network.topologies.star import Star
from gapslsim.network.topology import Topology


def fleet(n: int) -> Fleet:
    access = Constant(rate=1e8)
    return Fleet(tuple(AccessLink(f"client-{i}", access, access, 0.001) for i in range(n)))


def uploads(topology: Topology, members: Fleet, different: bool = True, jitter_s: float = 0.0) -> float:
    """Runs one upload per client and returns the simulated time of the last one [s]."""
    draw = random.Random(1)
    env = simpy.Environment()
    network = topology.build(env, members, seed=0, record_links=False)

    def client(name: str, size: float, start_s: float) -> Any:
        yield env.timeout(start_s)
        yield network.send(name, "server", size).done

    for member in members.clients:
        size = draw.uniform(1e5, 1e6) if different else 5e5
        env.process(client(member.node, size, draw.uniform(0, jitter_s)))
    env.run()
    return float(env.now)


@pytest.mark.parametrize("n", [100, 1000, 10000])
@pytest.mark.parametrize("different", [True, False], ids=["different", "equal"])
def test_star(benchmark: Any, n: int, different: bool) -> None:
    members = fleet(n)
    benchmark.pedantic(uploads, args=(Star(backhaul=1e9), members, different), rounds=3 if n < 10000 else 1)


@pytest.mark.parametrize(("n", "points"), [(1024, 8), (8192, 64)])
def test_access_points_behind_one_backhaul(benchmark: Any, n: int, points: int) -> None:
    topology = SharedAp(access_points=points, medium=1e8, backhaul=5e7 * points, duplex="full")
    benchmark.pedantic(uploads, args=(topology, fleet(n)), rounds=1)


def test_one_round_of_131072_clients_behind_1024_access_points(benchmark: Any) -> None:
    topology = SharedAp(access_points=1024, medium=1e8, backhaul=5e10, duplex="full")
    benchmark.pedantic(uploads, args=(topology, fleet(131072), True, 10.0), rounds=1)


def main() -> None:
    """Growth with the number of flows, as a table."""
    print(f"{'flows':>8} {'wall s':>8} {'us/flow':>8}")
    for n in (1000, 3000, 10000, 30000, 100000):
        members = fleet(n)
        start = time.perf_counter()
        uploads(Star(backhaul=1e9), members)
        wall = time.perf_counter() - start
        print(f"{n:8d} {wall:8.2f} {wall / n * 1e6:8.1f}")


if __name__ == "__main__":
    main()
