"""The testbed's script: ways of using one medium, against times computed by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[3] / "analysis" / "testbed_rpi4.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("testbed_rpi4", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ways_of_using_the_medium_take_the_times_computed_by_hand(script: ModuleType) -> None:
    """1 MB at 8 Mbit/s is 1 s: both ways of ten clients 20 s, with 3 s that are no transfer."""
    clients = np.arange(1, 11)
    assert script.predict("serial", 1e6, 8e6, 3.0) == pytest.approx(2.0 * clients + 3)
    assert script.predict("together", 1e6, 8e6, 3.0) == pytest.approx(np.full(10, 23.0))


def test_the_way_is_chosen_on_the_experiment_that_it_is_fitted_to(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two experiments that are serial, the second with a model of twice the size and another way: never chosen."""
    # The search for the two numbers takes seconds; here they are known.
    monkeypatch.setattr(script, "fit", lambda *_: (8e6, 3.0))
    rows = [
        {"experiment": name, "log_path": "a", "task": 0, "round": 0, "client": k, "model_bytes_fp32": size,
         "seconds": script.predict(way, size, 8e6, 3.0)[k]}
        for name, size, way in (("one", 1e6, "serial"), ("two", 2e6, "together")) for k in range(10)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "rounds.csv", index=False)
    table, times = script.study(tmp_path / "rounds.csv")
    chosen = table[table.chosen].set_index("fitted to")
    assert chosen["way"].to_dict() == {"one": "serial", "two": "together"}
    assert chosen.loc["one", "one"] == pytest.approx(0)
    # Told on the other: the k-th of ten that are one after the other, where all end at 43 s.
    assert chosen.loc["one", "two"] == pytest.approx(
        np.mean(np.abs(4.0 * np.arange(1, 11) + 3 - 43) / 43) * 100
    )
    assert times["two"]["measured"] == pytest.approx(np.full(10, 43.0))
