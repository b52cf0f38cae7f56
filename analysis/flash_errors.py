"""Held-out errors on FLASH's phones beside those of simple fits: what `gapslsim calibrate` must hold.

For every phone and kind of layer in `training/flash_layer_train_time.csv.gz` of the public data, both splits of its
README: `random_1pct` (fit on 1 % of the grid, predict the rest) and `extrapolate_sizes` (fit on small sizes, predict
large ones). The cost model is chosen on the rows of the fit. Two rules must hold: `random_1pct` is at most 12 %, and
`extrapolate_sizes` is never worse than the best of the six simple fits in `baselines.csv`.

    python analysis/flash_errors.py [--data FOLDER] [--device NAME]... [--check]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import pandas as pd

from gapslsim.calibration.public_tables import convert
from gapslsim.calibration.splits import run_split
from gapslsim.calibration.table import check_table

SPLITS = ("random_1pct", "extrapolate_sizes")
MOST = 12.0
"""Percent, for `random_1pct`."""


def errors(data: Path, devices: list[str]) -> pd.DataFrame:
    """Per phone, kind and split: our error, the best simple fit's, both in percent; whether the rule holds; seconds."""
    rows = convert("flash", data / "training" / "flash_layer_train_time.csv.gz")
    simple = pd.read_csv(data / "baselines.csv").groupby(["group", "split"]).mape_pct.min()
    made = []
    for (device, kind), part in rows.groupby(["device", "kind"]):
        if devices and device not in devices:
            continue
        for split in SPLITS:
            start = time.perf_counter()
            done = run_split(split, check_table(part.reset_index(drop=True), "FLASH"))
            seconds, ours = time.perf_counter() - start, 100 * done.errors[0].mape
            best = float(simple.get((f"{device} | {kind}", split), float("nan")))
            # As many digits as the baselines have.
            holds = round(ours, 2) <= (MOST if split == "random_1pct" else best)
            made.append(
                (device, kind, split, done.models[0], ours, 100 * done.errors[0].p95, best, holds, seconds)
            )
    names = ["phone", "layer", "split", "model", "ours", "p95", "best simple fit", "holds", "seconds"]
    return pd.DataFrame(made, columns=names)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(os.environ.get("GAPSLSIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=default, help="folder of the public data")
    parser.add_argument("--device", action="append", default=[], help="this phone only; may be repeated")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a rule does not hold")
    arguments = parser.parse_args()
    table = errors(arguments.data, arguments.device)
    print(table.round(2).to_string(index=False))
    return int(arguments.check and not table.holds.all())


if __name__ == "__main__":
    sys.exit(main())
