"""What a run has spent by one of its evaluations: epochs, rounds, simulated time, bytes, energy."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import pandas as pd

__all__ = ["SPENT", "Spent", "Unit", "spent_by"]

Spent = Literal["epochs", "rounds", "time", "bytes", "energy"]
"""What is counted. `bytes` go both ways; `energy` is that of clients, and of servers while they work, without the idle
power of servers."""


class Unit(NamedTuple):
    """How a number is stored and shown."""

    stored: str
    """Of the number in tables; `1` for a share."""
    shown: str
    """Of the number in figures; empty for a count."""
    factor: float = 1.0
    """From the stored to the shown number."""

    def label(self, name: str) -> str:
        """For an axis: `energy [kJ]`."""
        return f"{name} [{self.shown}]" if self.shown else name


class _Kind(NamedTuple):
    name: str
    unit: Unit

    @property
    def label(self) -> str:
        """For an axis."""
        return self.unit.label(self.name)


SPENT: Final[dict[Spent, _Kind]] = {
    "epochs": _Kind("epochs", Unit("epochs", "")),
    "rounds": _Kind("rounds", Unit("rounds", "")),
    "time": _Kind("simulated time", Unit("s", "s")),
    "bytes": _Kind("traffic", Unit("B", "MB", 1e-6)),
    "energy": _Kind("energy", Unit("J", "kJ", 1e-3)),
}
"""How each is named and written."""


def spent_by(evaluated: pd.DataFrame, rounds: pd.DataFrame, what: Spent) -> pd.Series:
    """Spent from the start of the run to each evaluation, in the stored unit.

    Args:
        evaluated: columns round and time_s, one row per evaluation of one run.
        rounds: the run's rounds.
        what: what is counted.

    Returns:
        As long as `evaluated`, with its index; 0 before the first round.
    """
    if what == "time":
        return evaluated["time_s"].astype("float64")
    if what == "rounds":
        return evaluated["round"].astype("float64")
    of_round = rounds.set_index("round")
    total = {
        "epochs": lambda: of_round["epoch"],
        "bytes": lambda: (of_round["bytes_up"] + of_round["bytes_down"]).cumsum(),
        "energy": lambda: of_round["energy_j"].cumsum(),
    }[what]()
    return evaluated["round"].map(total).where(evaluated["round"] > 0, 0.0).astype("float64")
