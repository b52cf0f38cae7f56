"""Ten Raspberry Pi 4B around one shared medium: fitted on one experiment, predicting the others.

Real rounds of a federated testbed (`training/rpi4_fl_testbed_rounds.csv.gz` of the public data): per client and
round the seconds to send the model, train locally and fetch it back, under one controller. Two numbers are fitted
on one experiment: the rate of the medium, and an intercept for everything that is not transfer. With them the engine
predicts the ten order statistics (first to last client of a round) of every other experiment in the file.

    python analysis/testbed_rpi4.py [--data FOLDER] [--png FILE]

Three ways of using the medium are tried; each runs through `FluidNetwork` with one half-duplex medium:

- `together`: all ten exchanges at once, sharing by max-min fairness;
- `serial`: the controller serves one client after the other, sending and fetching;
- `serial send`: the model goes out to one client after the other; it comes back as soon as a client is ready, and
  shares the medium with what is still going out.

The way is chosen by its error on the experiment that it is fitted to, before the others are looked at: the others say
how good that choice was, and must not make it.
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
    # No protocol: what TCP costs is in the fitted rate.
    medium = SharedAp(medium=Constant(rate=rate_bit_per_s), protocol=None, record_links=False)
    network = medium.build(env, fleet, seed=0)
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


def study(file: Path) -> tuple[pd.DataFrame, dict[str, dict[str, np.ndarray]]]:
    """Per experiment fitted to and way: fit, errors on all experiments, whether it is chosen; and the times.

    Returns:
        The table, and by experiment the ten measured times and those of every way fitted to the first experiment.
    """
    rounds = pd.read_csv(file)
    sizes = rounds.groupby("experiment")["model_bytes_fp32"].first()
    measured = {name: order_statistics(rounds[rounds.experiment == name]) for name in sizes.index}
    times = {name: {"measured": found} for name, found in measured.items()}
    rows = []
    for fitted in measured:
        fits = {mode: fit(mode, sizes[fitted], measured[fitted]) for mode in MODES}
        found = {mode: {name: predict(mode, sizes[name], *fits[mode]) for name in measured} for mode in MODES}
        errors = {
            mode: {name: mape(found[mode][name], measured[name]) for name in measured} for mode in MODES
        }
        chosen = min(MODES, key=lambda mode: errors[mode][fitted])
        for mode, (rate, intercept) in fits.items():
            rows.append({"fitted to": fitted, "way": mode, "chosen": mode == chosen, "Mbit/s": rate / 1e6,
                         "intercept [s]": intercept, **errors[mode]})  # fmt: skip
            if fitted == sizes.index[0]:
                for name in measured:
                    times[name][mode] = found[mode][name]
        scaled = {
            name: np.full(N, np.median(measured[fitted]) * size / sizes[fitted])
            for name, size in sizes.items()
        }
        rows.append({"fitted to": fitted, "way": "by bytes, no sharing", "chosen": False,
                     **{name: mape(scaled[name], measured[name]) for name in measured}})  # fmt: skip
    return pd.DataFrame(rows), times


def draw(times: dict[str, dict[str, np.ndarray]], png: Path) -> None:
    """Measured and predicted order statistics, fitted to the first experiment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(times), 3.5), layout="constrained")
    for number, (name, held) in enumerate(times.items()):
        axes = figure.add_subplot(1, len(times), number + 1)
        for label, values in held.items():
            axes.plot(range(1, N + 1), values, "ko" if label == "measured" else "-", label=label)
        axes.set(title=f"{name} ({'predicted' if number else 'fitted'})", xlabel="k-th client to end")
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
    fits, times = study(arguments.data / "training" / "rpi4_fl_testbed_rounds.csv.gz")
    print("Mean absolute error [%] of the ten order statistics, per experiment:")
    print(fits.round(1).to_string(index=False, na_rep="-"))
    for name, held in times.items():
        print(f"\n{name} [s]\n{pd.DataFrame(held, index=range(1, N + 1)).round(1).to_string()}")
    if arguments.png:
        draw(times, arguments.png)


if __name__ == "__main__":
    main()
