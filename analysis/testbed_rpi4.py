"""Ten Raspberry Pi 4B around one shared medium: fitted on one experiment, predicting another.

Real rounds of a federated testbed (`training/rpi4_fl_testbed_rounds.csv.gz` of the public data): per client and
round the seconds to send the model, train locally and fetch it back, under one controller. Two numbers are fitted
on experiment `code2` alone: the rate of the medium, and an intercept for everything that is not transfer. With them
the engine predicts the ten order statistics (first to last client of a round) of `code3`, whose model is larger.

    python analysis/testbed_rpi4.py [--data FOLDER] [--png FILE]

Three ways of using the medium are compared; each runs through `FluidNetwork` with one half-duplex medium:

- `together`: all ten exchanges at once, sharing by max-min fairness;
- `serial`: the controller serves one client after the other, sending and fetching;
- `serial send`: the model goes out to one client after the other; it comes back as soon as a client is ready, and
  shares the medium with what is still going out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pandas as pd
import simpy
from scipy.optimize import minimize

from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.shared_ap import SharedAp

N = 10
FAST = Constant(rate=1e12)
Mode = Callable[..., Generator[simpy.Event, None, None]]


def order_statistics(rounds: pd.DataFrame) -> np.ndarray:
    """Median over all rounds of the k-th smallest time in a round, k = 1..10 [s]."""
    keys = ["log_path", "task", "round"]
    times = rounds.assign(task=rounds["task"].fillna(-1)).groupby(keys)["seconds"]
    sorted_times = np.stack([np.sort(group.to_numpy()) for _, group in times if len(group) == N])
    return np.median(sorted_times, axis=0)


def together(env, network, client, model_bytes, intercept_s, turn):  # type: ignore[no-untyped-def]
    yield network.send("server", client, model_bytes).done
    yield env.timeout(intercept_s)
    yield network.send(client, "server", model_bytes).done


def serial(env, network, client, model_bytes, intercept_s, turn):  # type: ignore[no-untyped-def]
    with turn.request() as request:
        yield request
        yield network.send("server", client, model_bytes).done
        yield network.send(client, "server", model_bytes).done
    yield env.timeout(intercept_s)


def serial_send(env, network, client, model_bytes, intercept_s, turn):  # type: ignore[no-untyped-def]
    with turn.request() as request:
        yield request
        yield network.send("server", client, model_bytes).done
    yield env.timeout(intercept_s)
    yield network.send(client, "server", model_bytes).done


MODES: dict[str, Mode] = {"together": together, "serial": serial, "serial send": serial_send}


def predict(mode: str, model_bytes: float, rate_bit_per_s: float, intercept_s: float) -> np.ndarray:
    """Sorted times of ten clients, from the engine [s]."""
    env = simpy.Environment()
    fleet = Fleet(tuple(AccessLink(f"client-{i}", FAST, FAST) for i in range(N)))
    network = SharedAp(medium=Constant(rate=rate_bit_per_s)).build(env, fleet, seed=0, record_links=False)
    turn = simpy.Resource(env)
    ends: list[float] = []

    def client(name: str) -> Generator[simpy.Event, None, None]:
        yield from MODES[mode](env, network, name, model_bytes, intercept_s, turn)
        ends.append(env.now)

    for i in range(N):
        env.process(client(f"client-{i}"))
    env.run()
    return np.sort(ends)


def mape(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean absolute percentage error."""
    return float(np.mean(np.abs(found - wanted) / wanted) * 100)


def fit(mode: str, model_bytes: float, times_s: np.ndarray) -> tuple[float, float]:
    """Rate [bit/s] and intercept [s] of the least squares on the order statistics."""

    def loss(parameters: np.ndarray) -> float:
        rate, intercept = np.exp(parameters)
        return float(np.sum((predict(mode, model_bytes, rate, intercept) - times_s) ** 2))

    starts = [(np.log(rate), np.log(intercept)) for rate in (8e6, 24e6, 80e6) for intercept in (0.5, 4.0)]
    best = min((minimize(loss, start, method="Nelder-Mead") for start in starts), key=lambda found: found.fun)
    rate, intercept = np.exp(best.x)
    return float(rate), float(intercept)


def study(file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fits and errors per mode, and the order statistics that they are about."""
    rounds = pd.read_csv(file)
    measured = {name: order_statistics(rounds[rounds.experiment == name]) for name in ("code2", "code3")}
    sizes = rounds.groupby("experiment")["model_bytes_fp32"].first()
    table = pd.DataFrame(
        {f"{name} measured": times for name, times in measured.items()}, index=range(1, N + 1)
    )
    rows = []
    for mode in MODES:
        rate, intercept = fit(mode, sizes["code2"], measured["code2"])
        found = {name: predict(mode, sizes[name], rate, intercept) for name in measured}
        for name, times in found.items():
            table[f"{name} {mode}"] = times
        errors = {f"{name}_mape": mape(found[name], measured[name]) for name in measured}
        rows.append({"mode": mode, "rate_mbit_s": rate / 1e6, "intercept_s": intercept, **errors})
    scaled = measured["code2"] * sizes["code3"] / sizes["code2"]
    rows.append(
        {"mode": "by bytes, no sharing", "code3_mape": mape(np.full(N, np.median(scaled)), measured["code3"])}
    )
    return pd.DataFrame(rows), table


def draw(table: pd.DataFrame, png: Path) -> None:
    """Measured and predicted order statistics."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("code2", "code3"), strict=True):
        axes.plot(table.index, table[f"{name} measured"], "ko", label="measured")
        for mode in MODES:
            axes.plot(table.index, table[f"{name} {mode}"], label=mode)
        axes.set(
            title=f"{name}{' (fitted)' if name == 'code2' else ' (predicted)'}", xlabel="k-th client to end"
        )
        axes.set_ylabel("time in the round [s]")
        axes.legend(fontsize=7)
    figure.savefig(png, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("GAPSLSIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default, help="folder of the public data")
    parser.add_argument("--png", type=Path, help="figure to write")
    arguments = parser.parse_args()
    fits, table = study(arguments.data / "training" / "rpi4_fl_testbed_rounds.csv.gz")
    print(fits.round(2).to_string(index=False))
    print(table.round(2).to_string())
    if arguments.png:
        draw(table, arguments.png)


if __name__ == "__main__":
    main()
