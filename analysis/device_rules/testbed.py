"""Rounds of the ARES testbed (`testbed/ares_rounds.csv`): what they say of boards, and what boards say of them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import testbed_tables as tables

from device_rules import checks
from device_rules.parts import figure
from device_rules.public import Public
from device_rules.training import PHASES, Passes, Phase
from gapslsim.hardware.devices import with_profiles
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads
from gapslsim.hardware.profile import HeldOutError, Profile
from gapslsim.models.cost import SplitCost, split_cost
from gapslsim.run import simulate
from gapslsim.scenario.loading import load
from gapslsim.testbed.check import check_testbed

ARES = "ricsamikwa/RES-Things@4b0d3696 slogs/ (ARES, Computer Networks 218, 2022)"
SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "testbeds" / "ares.yaml"
WHOLE = 7


@cache
def network(cut: int) -> SplitCost:
    """What the testbed's network costs, with so many entries on the client, batches of 100."""
    return split_cost(load(SCENARIO, set=[f"model.cut={cut}"]).model, (3, 32, 32), 10, 100)


def rounds(public: Public) -> pd.DataFrame:
    """Every round."""
    return pd.read_csv(public.folder / "testbed" / "ares_rounds.csv")


def power_w(public: Public, activity: str, mode: str = "MAXN", quantile: float | None = None) -> float:
    """Mean (or a quantile) of Jetson Nano's board power while it does one thing [W]."""
    table = pd.read_csv(public.folder / "testbed" / "ares_nano_power.csv.gz")
    own = table[(table.activity == activity) & (table.power_mode == mode)].power_mw / 1e3
    return float(own.mean() if quantile is None else own.quantile(quantile))


def ares_step(public: Public, passes: dict[Phase, Passes]) -> HeldOutError:
    """The whole step on the testbed's Raspberry Pi, from figures that do not know it."""
    table = rounds(public)
    own = table[table.device.str.startswith("raspberry") & (table.layers_on_client == WHOLE)]
    cost = network(2)
    predicted = sum(
        passes[phase].seconds([layer for layer, _ in getattr(side, phase).flat()])
        for side in (cost.client, cost.server)
        for phase in PHASES
    )
    return checks.error(
        "predict another testbed", pd.Series([predicted]), pd.Series([np.median(own.iteration_s)]),
        "whole training step of the ARES network, Raspberry Pi (model not stated), batch 100",
    )  # fmt: skip


def with_overheads(public: Public, profile: Profile) -> tuple[HeldOutError, Profile]:
    """Jetson Nano with what it spends beside computing, and how well that predicts a round which it does not know.

    Fitted by `gapslsim check-testbed`: `serialise` (seconds per byte of messages) and `loading` (seconds per sample).
    """
    base = replace(profile, overheads=Overheads(loading_workers=4))
    made = _fitted(public, base, "model.cut=2,4,7")
    without = _fitted(public, base, "model.cut=2,7")
    with with_profiles({profile.name: without}):
        checked = check_testbed(_table(public), SCENARIO, labels=["network"])
    four = checked.compared[
        (checked.compared["model.cut"] == "4") & (checked.compared["measure"] == "iteration")
    ]
    held = checks.error(
        "predict the round with four entries on the client", four.simulated_median, four.measured_median,
        "ARES rounds on Jetson Nano, overheads from those with two and seven entries",
    )  # fmt: skip
    return held, replace(made, power=replace(made.power, loading=_loading_power(public, made)))


def _loading_power(public: Public, profile: Profile) -> Figure[float]:
    """What is left of the mean power of local training for the time in which the board waits for samples."""
    scenario = load(SCENARIO, set=["framework=fedavg", "stop.rounds=1", "clock.jitter=false"])
    with with_profiles({profile.name: profile}):
        spans = simulate(scenario, dry=True).spans
    spent = (spans["end_s"] - spans["start_s"]).groupby(spans["phase"]).sum()
    table = pd.read_csv(public.folder / "testbed" / "ares_nano_power.csv.gz")
    mean_w = table[(table.activity == "training") & (table.layers_on_client == WHOLE)].power_mw.mean() / 1e3
    busy_s, waits_s = spent["local_training"], spent["loading"]
    watts = (mean_w * (busy_s + waits_s) - profile.power.compute.value * busy_s) / waits_s
    return figure(
        watts, "fitted",
        f"mean power of local training, {mean_w:.3g} W ({ARES}), less what computing takes of it: "
        f"{busy_s / (busy_s + waits_s):.2f} of the time at its power; the rest waits for samples",
    )  # fmt: skip


def _fitted(public: Public, profile: Profile, rows: str) -> Profile:
    with with_profiles({profile.name: profile}):
        found = check_testbed(
            _table(public), SCENARIO, labels=["network"], calibrate=[rows], fit=["serialise", "loading"]
        )
        assert found.fitted is not None
        overheads = found.fitted.profiles()[profile.name].overheads
    assert overheads is not None
    rate, each = overheads.serialise_rate, overheads.loading_per_sample
    assert rate is not None
    assert each is not None
    source = f"fitted to rounds of {ARES} by gapslsim check-testbed, {rows}"
    return replace(
        profile,
        overheads=replace(
            overheads,
            serialise_rate=figure(rate.value, "fitted", source),
            loading_per_sample=figure(each.value, "fitted", source + "; four loader processes"),
        ),
    )


@cache
def _table(public: Public) -> Path:
    """Jetson Nano's rounds as a table for `check-testbed`."""
    table = tables.ares(public.folder)
    path = Path(tempfile.mkdtemp()) / "nano.csv"
    table[table["clients.0.device"] == "jetson-nano"].to_csv(path, index=False)
    return path
