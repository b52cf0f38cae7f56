"""Who was there, what was late and how much was in vain: the summary's entries about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from gapslsim.results import words
from gapslsim.results.categories import IN_VAIN
from gapslsim.tables.span_sums import SpanSums
from gapslsim.tables.table import Table

__all__ = ["attendance_summary", "often_and_seldom", "participation", "wasted"]

_IDLE: Final = ("waiting", "away", "server_queue", "server_compute", "radio_tail")


def wasted(sums: SpanSums) -> dict[str, float | None]:
    """What was in vain: cancelled, lost or damaged, and its shares of all work of clients and servers.

    A share is None where there is nothing to share. The energy of waiting is no work.
    """
    total = asdict(sums.total(lambda _, phase: phase not in _IDLE))
    vain = asdict(sums.total(lambda _, phase: phase.startswith(IN_VAIN)))
    shares = {
        f"share_of_{name}": vain[key] / total[key] if total[key] else None
        for name, key in (("time", "time_s"), ("bytes", "bytes"), ("energy", "energy_j"))
    }
    return {**vain, **shares}


def attendance_summary(tables: Mapping[str, Table], n_clients: int, elapsed_s: float) -> dict[str, Any]:
    """Entries of the summary, those alone for which there are rows.

    Args:
        tables: of the run.
        n_clients: clients of the fleet.
        elapsed_s: simulated time of the run [s].
    """
    found: dict[str, Any] = {}
    attendance, presence, staleness = (tables[name] for name in ("attendance", "presence", "staleness"))
    if len(presence):
        away_s = _away_s(presence.frame(), n_clients, elapsed_s)
        found["away_s"] = {"mean": float(away_s.mean()), "max": float(away_s.max())}
        found["fairness"] = _fairness(tables["evaluations"].frame(), away_s)
    if len(attendance):
        outcomes: Counter[str] = Counter()
        for piece in attendance.pieces(["outcome"]):
            outcomes.update(piece["outcome"].value_counts().to_dict())
        found["attendance"] = {name: int(outcomes[name]) for name in ("came", "late", "stale", "lost")}
        shares = participation(attendance, n_clients, len(tables["rounds"]))
        found["participation"] = {
            "min": float(shares.min()),
            "mean": float(shares.mean()),
            "max": float(shares.max()),
        }
    if len(staleness):
        n = total = 0
        most = None
        for piece in staleness.pieces(["staleness", "weight"]):
            taken = piece["staleness"][piece["weight"] > 0]
            if len(taken):
                n, total, most = n + len(taken), total + int(taken.sum()), max(most or 0, int(taken.max()))
        found |= {
            "mean_staleness": total / n if n else None,
            "max_staleness": most,
            "n_dropped": len(staleness) - n,
        }
    return found


def participation(attendance: Table, n_clients: int, n_rounds: int) -> np.ndarray:
    """Share of the rounds in which a part of a client was used, for each client.

    The first thing that is gathered counts. A round counts once, also where what was late and what is new are both used
    in it.
    """
    n_used, first = np.zeros(n_clients, np.int64), None
    for piece in attendance.whole_rounds():
        first = first or piece["phase"].iloc[0]
        used = piece[(piece["phase"] == first) & piece["outcome"].isin(("came", "stale"))]
        n_used += np.bincount(used.drop_duplicates(["round", "client"])["client"], minlength=n_clients)
    shares: np.ndarray = n_used / max(1, n_rounds)
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
