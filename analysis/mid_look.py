"""Evaluations of runs at the middle size, for docs/findings.md.

python analysis/mid_look.py runs/mid-psl runs/mid-gapsl    # writes docs/results/mid_look.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from gapslsim import load_run

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "mid_look.csv"


def main(runs: list[str]) -> None:
    """One row per run and evaluation of the global view."""
    made = []
    for run in runs:
        results = load_run(run)
        seen = results.evaluations[results.evaluations["view"] == "global"]
        epochs = results.rounds.set_index("round")["epoch"].reindex(seen["round"]).fillna(0.0).to_numpy()
        rows = seen[["round", "time_s", "accuracy"]].assign(epoch=epochs)
        made.append(rows.assign(framework=results.summary["framework"], seed=results.summary["seed"]))
    pd.concat(made).to_csv(OUT, index=False, float_format="%.9g")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
