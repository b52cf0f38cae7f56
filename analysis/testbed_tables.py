"""Makes tables for `gapslsim check-testbed` from the public testbed data.

    python analysis/testbed_tables.py ares -o ares.csv [--data ../shared/data]
    python analysis/testbed_tables.py vgg19 -o vgg19.csv

`ares`: rounds of split learning on Jetson Nano and Raspberry Pi (`testbed/ares_rounds.csv`), for
scenarios/testbeds/ares.yaml. The link's rate is the median throughput that was measured with each cut and network; mean
power stands in the first row of each cell.

`vgg19`: training times of the first layers of VGG-19 on four machines (`testbed/split_layer_times.csv`), for
scenarios/testbeds/vgg19_layers.yaml; the server's share is not told, since the whole network was timed on each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from gapslsim.data.source import public_data_folder

BOARDS = {"raspberry-pi (model not stated)": "raspberry-pi-3b-plus"}
MACHINES = {
    "d1": "raspberry-pi-4b",
    "jetson-gpu": "jetson-nano",
    "laptop": "apple-m1",
    "VM": "vm-8-cores",
}
"""Names of the source and ours."""
CUTS = {3: 5, 6: 10, 11: 19, 16: 28, 21: 37}
"""Layers of the source on the client (a pooling layer is the last of them), and blocks of torchvision's VGG-19."""
WHOLE = 25


def ares(folder: Path) -> pd.DataFrame:
    """One row per round, with the median rate of its cell."""
    rows = pd.read_csv(folder / "testbed" / "ares_rounds.csv")
    cell = ["device", "network", "layers_on_client"]
    rate = rows.groupby(cell)["throughput_mbit_per_s"].transform("median").round(1)
    table = pd.DataFrame(
        {
            "network": rows.network,
            "clients.0.device": rows.device.replace(BOARDS),
            "model.cut": rows.layers_on_client,
            "clients.0.link.uplink [Mbit/s]": rate,
            "clients.0.link.downlink [Mbit/s]": rate,
            "iteration_s": rows.iteration_s,
        }
    )
    power = pd.read_csv(folder / "testbed" / "ares_nano_power.csv.gz")
    training = power[power.activity == "training"].groupby("layers_on_client")["power_mw"].mean()
    first = ~rows.duplicated(cell) & (rows.device == "jetson-nano")
    return table.assign(power_mw=rows.layers_on_client.map(training).round(1).where(first))


def vgg19(folder: Path) -> pd.DataFrame:
    """One row per machine and cut: forward and backward passes of the first layers, and the whole step."""
    layers = pd.read_csv(folder / "testbed" / "split_layer_times.csv")
    layers = layers[(layers.dataset == "cifar") & layers.device.isin(MACHINES)].set_index("layer")
    made = []
    for machine, own in layers.groupby("device"):
        row = {"clients.0.device": MACHINES[str(machine)]}
        passes = own[["forward_ms", "backward_ms", "update_ms"]] / 1e3
        # Its GPU was timed without waiting for it: only sums mean anything, and updates are in none.
        step = passes.to_numpy().sum()
        made.append(row | {"model.cut": "whole", "iteration_s": step})
        if machine == "jetson-gpu":
            continue
        for last, cut in CUTS.items():
            first = passes.loc[:last].sum()
            made.append(
                row
                | {
                    "model.cut": cut,
                    "client_forward_s": first.forward_ms,
                    "client_backward_s": first.backward_ms + first.update_ms,
                }
            )
    return pd.DataFrame(made)


def main() -> None:
    """Writes a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = {"ares": ares, "vgg19": vgg19}
    parser.add_argument("table", choices=tables)
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write (.csv)")
    parser.add_argument("--data", type=Path, help="folder of the public data; as for gapslsim unless given")
    options = parser.parse_args()
    folder = options.data or public_data_folder()
    if folder is None or not (folder / "testbed").is_dir():
        sys.exit(f"no testbed/ in {folder or '../shared/data'}; give the folder with --data or GAPSLSIM_DATA")
    tables[options.table](folder).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
