"""What a rule of our own costs beside SFL, from dry runs: time, bytes and energy need no training.

    python analysis/own_rule.py    # makes docs/results/own_rule_small_cost.csv (two minutes)

Every run of the study, on two clocks: that of the scenario, whose server makes one pass over what a step takes where
it may (`auto`), and one that charges a pass for each mini-batch (`per_client`), as the older tables of the findings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from gapslsim import simulate
from gapslsim.studies.plan import load_study

ROOT: Final = Path(__file__).resolve().parent.parent
STUDY: Final = ROOT / "scenarios" / "paper" / "studies" / "small" / "own_rule.yaml"
TABLE: Final = ROOT / "docs" / "results" / "own_rule_small_cost.csv"
CLOCKS: Final = ("auto", "per_client")
_WEIGHTS: Final = ("model_uplink", "model_downlink")


def costs(study: Path = STUDY) -> pd.DataFrame:
    """A row for each clock and run."""
    rows: list[dict[str, Any]] = []
    for clock in CLOCKS:
        for run in load_study(study, set=[f"clock.server.computes={clock}"]).runs:
            assert run.scenario is not None
            results = simulate(run.scenario, dry=True)
            spans, summary = results.spans, results.summary
            rows.append(
                {
                    "computes": clock,
                    **run.record.axes,
                    "seed": run.record.seed,
                    "rounds": summary["rounds"],
                    "simulated_time_s": summary["simulated_time_s"],
                    "bytes_averaging": int(spans[spans["phase"].isin(_WEIGHTS)]["size_bytes"].sum()),
                    "bytes": summary["bytes_up"] + summary["bytes_down"],
                    "energy_j": summary["energy_j"]["total"],
                    "server_kept_bytes": summary["memory"].get("server_kept_bytes", 0),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    costs().to_csv(TABLE, index=False, lineterminator="\n")
