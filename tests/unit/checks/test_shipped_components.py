"""Every shipped component keeps what `gapslsim check-component` looks at."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from gapslsim.checks.check import Outcome
from gapslsim.checks.families import check
from gapslsim.hardware.devices import load_profile
from gapslsim.registry import FAMILIES, settings_of
from tests.own_files import own_files

FIGURES = {"status": "assumed", "source": "a test"}
LINKS = [
    {"between": ["server", "a"], "rate": "20 Mbit/s", "latency": "1 ms"},
    {"between": ["a", "b"], "rate": "10 Mbit/s", "duplex": "half"},
]
FOLDER = tempfile.TemporaryDirectory(prefix="gapslsim-own-")  # Goes with the process.
OWN = own_files(Path(FOLDER.name))
SETTINGS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("channel", "markov"): [
        {"rates": ["1 Mbit/s", "3 Mbit/s"], "transitions": [[0.9, 0.1], [0.5, 0.5]], "step": "1 s"}
    ],
    ("channel", "outage"): [
        {"channel": "1 Mbit/s", "mean_up": "5 s", "mean_down": "1 s"},
        {"channel": {"kind": "wireless", "fading": "rayleigh"}, "mean_up": "5 s", "mean_down": "1 s"},
    ],
    ("channel", "wireless"): [{}, {"speed": "2 m/s", "fading": "rician"}],
    ("client_update", "warmup"): [
        {"rounds": 2},
        {"epochs": 0.5, "then": "own"},
        {"rounds": 1, "upload": "once"},
    ],
    ("client_sync", "hierarchical"): [
        {"cloud_every": 2},
        {"every": 3, "cloud_every": 2, "weights": "samples"},
    ],
    ("client_sync", "average"): [
        {},
        {"every": 2, "weights": "samples", "optimizer": "reset"},
        {"every": "epoch"},
    ],
    ("cost_model", "linear"): [
        {
            "groups": [{"terms": {"flop": {"value": 1e-9, **FIGURES}}}],
            "overhead_per_call": {"value": "1 ms", **FIGURES},
        }
    ],
    ("cost_model", "lookup"): [settings_of(load_profile("phone-nexus-6").cost_model)],
    ("cost_model", "roofline"): [settings_of(load_profile("raspberry-pi-4b").cost_model)],
    ("data", "image_folder"): [{"root": str(OWN / "images")}],
    ("data", "leaf"): [{"root": str(OWN / "leaf")}],
    ("data", "npz"): [{"file": str(OWN / "x.npz")}],
    ("data", "parquet_images"): [{"root": str(OWN / "parquet"), "size": 4}],
    ("data", "table"): [{"name": "iris"}],
    ("data", "text"): [{"length": 8, "stride": 7}],
    ("figure", "board"): [{"target": 0.8}, {"target": 0.8, "budget": {"of": "PSL", "share": 1.0}}],
    ("figure", "points"): [{"x": "framework", "y": "accuracy"}],
    ("figure", "table"): [{"rows": "framework", "cells": "accuracy"}],
    ("framework", "parallel"): [{}, {"server_update": "leader", "client_sync": "average"}],
    ("framework", "fedavg"): [{}, {"local_steps": 2, "weights": "uniform"}],
    ("framework", "gapsl"): [{}, {"gradient": "exact", "excluded": "zero", "on_empty": "skip", "eta": 1.0}],
    ("framework", "psl"): [
        {},
        {"cut_scale": "mean"},
        {"client_update": {"kind": "frozen", "upload": "once"}},
    ],
    ("framework", "sl"): [
        {},
        {"optimizer": "keep", "local_steps": 2},
        {"optimizer": "reset", "local_steps": "epoch"},
    ],
    ("model", "cnn"): [{}, {"norm": "batch"}],
    ("model", "vgg16"): [{"width": 0.05, "classifier": [8], "dropout": 0.5}],
    ("model", "vit"): [{"dim": 16, "depth": 3, "heads": 2, "patch": 4, "cut": 1}],
    ("network", "graph"): [{"links": LINKS, "gateways": ["a", "b"]}],
    ("network", "star"): [{}, {"backhaul": "2 Mbit/s", "duplex": "half", "protocol": "tcp"}],
    ("partition", "by_column"): [{}, {"surplus": "unused"}],
    ("partition", "file"): [{"file": str(OWN / "lists.json")}],
    ("participation", "sample"): [{"k": 1}, {"k": 3}],
    ("shape", "tiers"): [{"cut": 2}, {"cut": 2, "edges": 1, "device": "jetson-nano"}],
    ("server_schedule", "pooled"): [{}, {"epochs": 2, "batch_size": 3, "weights": "uniform"}],
    ("server_schedule", "copies"): [
        {},
        {"every": 3, "weights": "samples"},
        {"every": "epoch", "optimizer": "reset"},
    ],
    ("server_schedule", "sequential"): [{}, {"order": "index"}],
    ("server_update", "gapsl"): [
        {},
        {"gradient": "exact"},
        {"gradient": "steer", "on_empty": "skip", "eta": 1.0},
        {"length": "mean", "eta": -0.5},
    ],
    ("server_update", "torchjd"): [{"aggregator": name} for name in ("Mean", "PCGrad", "UPGrad", "GradVac")],
}
"""Settings of components that have required ones, and further ones worth a try."""

CASES = [
    (family, kind, given)
    for family in sorted(FAMILIES)
    for kind in FAMILIES[family]
    for given in SETTINGS.get((family, kind), [{}])
]
NOTES = {
    ("framework", "pipelined_psl"): "5 activities go on when the last round ends",
    ("server_update", "torchjd"): "it draws",
}
"""What notes are expected; of everything else there are none."""


def ids(case: tuple[str, str, dict[str, Any]]) -> str:
    return f"{case[0]}-{case[1]}-{','.join(map(str, case[2]))}"


def failures(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.sentence} {outcome.words}" for outcome in outcomes if outcome.result == "failed"]


@pytest.fixture(autouse=True)
def _no_public_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data sets that need files have tests of their own, and are large."""
    monkeypatch.setenv("GAPSLSIM_DATA", str(tmp_path / "nowhere"))


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_shipped_component_keeps_what_is_looked_at(
    case: tuple[str, str, dict[str, Any]], tmp_path: Path
) -> None:
    family, kind, given = case
    if (family, kind) == ("availability", "trace"):
        (tmp_path / "stays.csv").write_text("user,start_s,end_s\na,0,5\na,7,9\nb,1,8\n")
        given = {"file": str(tmp_path / "stays.csv")}
    if (family, kind) == ("channel", "trace"):
        (tmp_path / "rates.csv").write_text("time_s,rate_bit_s\n0,1e6\n5,2e6\n9,1e5\n")
        given = {"file": str(tmp_path / "rates.csv"), "format": "csv"}
    if (family, kind) == ("latency", "trace"):
        (tmp_path / "delays.csv").write_text("time_s,latency_ms\n0,10\n5,30\n9,12\n")
        given = {"file": str(tmp_path / "delays.csv")}
    outcomes = check(family, kind, given, limit_s=300)
    assert failures(outcomes) == []
    said = {outcome.words for outcome in outcomes if outcome.result == "note"}
    expected = NOTES.get((family, kind))
    assert all(expected is not None and words.startswith(expected) for words in said), said
