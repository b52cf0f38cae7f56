"""Star with N uploads of different sizes: this engine and SimGrid, in one table and on one machine.

    python benchmarks/side_by_side_simgrid.py [--simgrid-python /usr/bin/python3] [N ...]

SimGrid runs in the Python that has its binding (Debian: `apt install python3-simgrid`), with the options of the
reference results (CM02, crosstraffic 0, TCP-gamma 0) and `network/optim:Full`: the default, Lazy, is wrong on fan-outs.
Both simulate the same flows; the largest relative difference of a flow's end is printed too.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNNER = r"""
import json, sys, time
import simgrid as s
sizes = json.load(open(sys.argv[1]))
e = s.Engine(["x", "--log=root.thres:error", "--cfg=network/model:CM02", "--cfg=network/crosstraffic:0",
  "--cfg=network/TCP-gamma:0", "--cfg=network/optim:Full", "--cfg=surf/precision:1e-12", "--cfg=maxmin/precision:1e-9"])
e.load_platform(sys.argv[2])
ends = [0.0] * len(sizes)
def sender():
    server = s.Host.by_name("server")
    comms = [s.Comm.sendto_async(s.Host.by_name(f"c{i}"), server, int(size)) for i, size in enumerate(sizes)]
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):  # the smaller ends first
        comms[i].wait()
        ends[i] = s.Engine.clock
s.Actor.create("sender", s.Host.by_name("server"), sender)
start = time.perf_counter()
e.run()
wall = time.perf_counter() - start
json.dump({"wall": wall, "ends": ends}, open(sys.argv[3], "w"))
"""


def platform(n: int) -> str:
    """Star of SimGrid: n access links of 100 Mbit/s and one backhaul of 1 Gbit/s."""
    lines = ["<?xml version='1.0'?>", '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">']
    lines += ['<platform version="4.1"><zone id="z" routing="Full">', '<host id="server" speed="1Gf"/>']
    lines += [
        f'<host id="c{i}" speed="1Gf"/><link id="a{i}" bandwidth="12.5MBps" latency="1ms"/>' for i in range(n)
    ]
    lines += ['<link id="b" bandwidth="125MBps" latency="0"/>']
    lines += [
        f'<route src="c{i}" dst="server"><link_ctn id="a{i}"/><link_ctn id="b"/></route>' for i in range(n)
    ]
    return "\n".join([*lines, "</zone></platform>"])


def with_simgrid(sizes: list[float], python: str) -> tuple[float, list[float]] | None:
    """Wall time and ends in SimGrid, or None where it is not there."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("sizes.json", "star.xml", "out.json", "run.py")]
        files[0].write_text(json.dumps(sizes))
        files[1].write_text(platform(len(sizes)))
        files[3].write_text(RUNNER)
        command = [python, str(files[3]), *(str(file) for file in files[:3])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not files[2].is_file():
            print((done.stderr or done.stdout).strip().splitlines()[-1:], file=sys.stderr)
            return None
        found = json.loads(files[2].read_text())
        return found["wall"], found["ends"]


def with_engine(sizes: list[float]) -> tuple[float, list[float]]:
    """Wall time and ends in gapslsim, the building of the network left out as for SimGrid."""
    import simpy

    from gapslsim.network.channels.constant import Constant
    from gapslsim.network.fleet import AccessLink, Fleet
    from gapslsim.network.topologies.star import Star

    access = Constant(rate=1e8)
    members = Fleet(tuple(AccessLink(f"client-{i}", access, access, 0.001) for i in range(len(sizes))))
    env = simpy.Environment()
    network = Star(backhaul=1e9).build(env, members, seed=0, record_links=False)
    start = time.perf_counter()
    transfers = [network.send(f"client-{i}", "server", size) for i, size in enumerate(sizes)]
    env.run()
    wall = time.perf_counter() - start
    return wall, [transfer.finished_s or 0.0 for transfer in transfers]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("n", type=int, nargs="*", default=[100, 1000, 10000])
    parser.add_argument("--simgrid-python", default="/usr/bin/python3")
    arguments = parser.parse_args()
    print(f"{'flows':>8} {'gapslsim s':>11} {'SimGrid s':>10} {'ratio':>7} {'largest difference':>19}")
    for n in arguments.n:
        draw = random.Random(1)
        sizes = [float(draw.randrange(100_000, 1_000_000)) for _ in range(n)]
        wall, ends = with_engine(sizes)
        other = with_simgrid(sizes, arguments.simgrid_python)
        if other is None:
            print(f"{n:8d} {wall:11.3f} {'absent':>10}")
            continue
        difference = max(abs(a - b) / b for a, b in zip(ends, other[1], strict=True))
        print(f"{n:8d} {wall:11.3f} {other[0]:10.3f} {other[0] / wall:7.1f} {difference:19.1e}")


if __name__ == "__main__":
    main()
