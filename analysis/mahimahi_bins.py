"""How long the bins of a Mahimahi trace should be: against replay of every packet, alone and behind a backhaul.

python analysis/mahimahi_bins.py ../shared/data/network/mahimahi
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import simpy

from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.trace import MeasuredTrace
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.star import Star

BINS_MS = (1, 10, 100)
PACKET = 1500
SIZES = (1_500, 16_500, 165_000, 2_000_000)
BACKHAULS = (200e6, 50e6)


def stamps(file: Path) -> np.ndarray:
    """Of some laps of a trace, in order [s]."""
    lap = np.sort(np.loadtxt(file, dtype=int)) / 1000
    every = np.concatenate([lap + k * lap[-1] for k in range(30)])
    return every[every > 0]


def simulated(file: Path, bin_ms: int, size: float, n: int, start_s: float, backhaul: float | None) -> float:
    """When the last of n equal messages at once has arrived, each over a link of its own with this trace [s]."""
    channel = MeasuredTrace(file=str(file), format="mahimahi", bin=bin_ms / 1000, offset=start_s)
    links = tuple(AccessLink(f"client-{k}", channel, Constant(rate=1e9)) for k in range(n))
    env = simpy.Environment()
    star = Star(record_links=False, backhaul=None if backhaul is None else Constant(rate=backhaul))
    network = star.build(env, Fleet(links), seed=0)
    for link in links:
        network.send(link.node, "server", size)
    env.run()
    return float(env.now)


def queued(at: np.ndarray, size: float, n: int, backhaul: float) -> float:
    """The same, packet by packet: each waits in a queue for the backhaul [s]."""
    done = 0.0
    for arrival in np.repeat(at[: int(np.ceil(size / PACKET))], n):
        done = max(done, arrival) + 8 * PACKET / backhaul
    return done


def main(folder: Path) -> None:
    """Prints both tables."""
    random = np.random.default_rng(0)
    files = sorted(file for file in folder.iterdir() if file.is_file())
    print("| what | " + " | ".join(f"{b} ms" for b in BINS_MS) + " |\n|---|" + "---|" * len(BINS_MS))
    for size in SIZES:
        errors: dict[int, list[float]] = {b: [] for b in BINS_MS}
        for file in files[:: max(len(files) // 10, 1)][:10]:
            at = stamps(file)
            for start in random.uniform(0, min(at[-1] / 30, 100), 60 if size < 1e6 else 10):
                exact = at[np.searchsorted(at, start) + int(np.ceil(size / PACKET)) - 1] - start
                for b in BINS_MS:
                    if exact > 0:
                        errors[b].append(abs(simulated(file, b, size, 1, start, None) / exact - 1))
        cells = [f"{np.median(e):.1%}, p90 {np.quantile(e, 0.9):.1%}" for e in errors.values()]
        print(f"| {size / 1000:g} kB, median | " + " | ".join(cells) + " |")
    for name in ("TMobile-LTE-short.down", "Verizon-LTE-short.up", "ATT-LTE-driving-2016.down"):
        at = stamps(folder / name)
        for rate in BACKHAULS:
            exact = queued(at, 2e6, 4, rate)
            cells = [f"{simulated(folder / name, b, 2e6, 4, 0.0, rate) / exact - 1:+.0%}" for b in BINS_MS]
            print(f"| {name}, {rate / 1e6:g} Mbit/s | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
