"""Who was there, what was late and how much was in vain: the summary's entries about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.categories import IN_VAIN

__all__ = ["attendance_summary", "often_and_seldom", "participation", "used", "wasted"]

_IDLE: Final = ("waiting", "away", "server_queue", "server_compute", "radio_tail")


def used(spans: pd.DataFrame, *prefixes: str) -> dict[str, float]:
    """What the spans used whose phase begins so: how many, time, bytes, energy."""
    own = spans[spans["phase"].str.startswith(prefixes).to_numpy(dtype=bool)]
    return {
        "spans": len(own),
        "time_s": float((own["end_s"] - own["start_s"]).sum()),
        "bytes": int(own["size_bytes"].sum()),
        "energy_j": float(own["energy_j"].sum()),
    }


def wasted(spans: pd.DataFrame) -> dict[str, float | None]:
    """What was in vain: cancelled, lost or damaged, and its shares of all work of clients and servers.

    A share is None where there is nothing to share. The energy of waiting is no work.
    """
    total = used(spans[~spans["phase"].isin(_IDLE)], "")
    vain = used(spans, *IN_VAIN)
    shares = {
        f"share_of_{name}": vain[key] / total[key] if total[key] else None
        for name, key in (("time", "time_s"), ("bytes", "bytes"), ("energy", "energy_j"))
    }
    return {**vain, **shares}


def attendance_summary(
    tables: Mapping[str, pd.DataFrame], n_clients: int, elapsed_s: float
) -> dict[str, Any]:
    """Entries of the summary, those alone for which there are rows.

    Args:
        tables: of the run.
        n_clients: clients of the fleet.
        elapsed_s: simulated time of the run [s].
    """
    found: dict[str, Any] = {}
    attendance, presence, staleness = (tables.get(name) for name in ("attendance", "presence", "staleness"))
    if presence is not None and len(presence):
        away_s = _away_s(presence, n_clients, elapsed_s)
        found["away_s"] = {"mean": float(away_s.mean()), "max": float(away_s.max())}
        found["fairness"] = _fairness(tables["evaluations"], away_s)
    if attendance is not None and len(attendance):
        outcomes = attendance["outcome"].value_counts()
        found["attendance"] = {name: int(outcomes.get(name, 0)) for name in ("came", "late", "stale", "lost")}
        shares = participation(attendance, n_clients, len(tables["rounds"]))
        found["participation"] = {
            "min": float(shares.min()),
            "mean": float(shares.mean()),
            "max": float(shares.max()),
        }
    if staleness is not None and len(staleness):
        taken = staleness[staleness["weight"] > 0]
        found["mean_staleness"] = float(taken["staleness"].mean()) if len(taken) else None
        found["max_staleness"] = int(taken["staleness"].max()) if len(taken) else None
        found["n_dropped"] = len(staleness) - len(taken)
    return found


def participation(attendance: pd.DataFrame, n_clients: int, n_rounds: int) -> np.ndarray:
    """Share of the rounds in which a part of a client was used, for each client.

    The first thing that is gathered counts. A round counts once, also where what was late and what is new are both used
    in it.
    """
    is_first = attendance["phase"] == attendance["phase"].iloc[0]
    used = attendance[is_first & attendance["outcome"].isin(("came", "stale"))]
    once = used.drop_duplicates(["round", "client"])
    shares: np.ndarray = np.bincount(once["client"], minlength=n_clients) / max(1, n_rounds)
    return shares


def _away_s(presence: pd.DataFrame, n_clients: int, elapsed_s: float) -> np.ndarray:
    """Time that each client was away [s]."""
    of_clients = presence[presence["client"] >= 0]
    length_s = of_clients["back_s"].fillna(elapsed_s).clip(upper=elapsed_s) - of_clients["left_s"]
    return np.bincount(of_clients["client"], length_s.clip(lower=0), minlength=n_clients)


def _fairness(evaluations: pd.DataFrame, away_s: np.ndarray) -> dict[str, float | str | None]:
    """Last accuracy of the half of the clients that was away longest, and of the other half.

    By the view `local` (each client's model on its own label distribution), else `clients`; None without either.
    """
    for view in ("local", "clients"):
        own = evaluations[(evaluations["view"] == view) & (evaluations["client"] >= 0)]
        own = own[own["accuracy"].notna()]
        if len(own) and len(away_s) > 1:
            last = own[own["time_s"] == own["time_s"].max()].set_index("client")["accuracy"]
            order = np.argsort(-away_s, kind="stable")
            often, seldom = np.array_split(order, 2)
            return {
                "view": view,
                "often_away": float(last.reindex(often).mean()),
                "seldom_away": float(last.reindex(seldom).mean()),
            }
    return {"view": None, "often_away": None, "seldom_away": None}


def often_and_seldom(summary: Mapping[str, Any]) -> str:
    """Fairness in words: `82.3 % / 89.2 %`, of those often away and of the others; empty if there is none."""
    fair = summary.get("fairness") or {}
    if fair.get("often_away") is None:
        return ""
    return f"{words.accuracy(fair['often_away'])} / {words.accuracy(fair['seldom_away'])}"
