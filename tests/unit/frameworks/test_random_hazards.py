"""Random schedules of presence and faults over all frameworks: no deadlock, no byte lost, nobody works while away.

`GAPSLSIM_EXAMPLES=10000` tries more of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapslsim import Results, load_dict, simulate
from gapslsim.frameworks.framework import frameworks
from tests.worlds import SHAPES

EXAMPLES = int(os.environ.get("GAPSLSIM_EXAMPLES", "60"))
IDLE = ("away", "waiting", "server_queue", "server_compute")
FREE = ("async_sl", "buffered_sl", "async_gapsl", "async_sfl", "gas", "pipelined_psl")
SYNCHRONOUS = ("psl", "sfl", "epsl", "gapsl", "sl", "fedavg", "splitfed_v1", "splitfed_v2", "splitfed_v3")
SYNCHRONOUS += ("cpsl", "gpsl", "hierarchical_sfl", "mergesfl", "mp_sl", "scala", "sfl_replay", "sglr")
SYNCHRONOUS += ("cse_fsl", "cyclesl", "fsl_sage", "locsplitfed", "splitfrozen")
ORDERS = [{"kind": "sequential", "order": order} for order in ("index", "turns", "random_turns")]
SCHEDULES = ("mean", "joined", "sequential", *ORDERS, "copies")
SYNCS = ("never", "average", {"kind": "average", "every": "epoch"})


def seconds(*values: float) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{value} s" for value in values])


STAYS: dict[str, Any] = {
    "mean_up": seconds(0.2, 1, 5),
    "mean_down": seconds(0.1, 1),
    "distribution": st.sampled_from(["exponential", "weibull", "lognormal"]),
    "start": st.sampled_from(["stationary", "up", "down"]),
}
STATE = {"state": st.sampled_from(["kept", "lost"])}


def kind(name: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(name), **fields})


AVAILABILITY = st.one_of(
    kind("always"),
    kind("on_off", **STATE, **STAYS),
    kind("leave", **STATE, at=seconds(0, 0.3, 2)),
    kind("leave", **STATE, at=seconds(0, 0.3, 2), back=st.just("4 s")),
    kind("join", **STATE, at=seconds(0, 0.3, 2)),
    kind(
        "battery",
        **STATE,
        capacity=st.sampled_from(["2 J", "20 J"]),
        charging=st.sampled_from(["0 W", "2 W", "50 W"]),
    ),
    kind("daily", **STATE, begin=st.just("00:00"), end=st.sampled_from(["12:00", "00:01"])),
)
FAULTS = st.lists(
    st.one_of(
        kind("loss", upload=st.just(0.2), gradient=st.just(0.2), aggregation=st.just(0.2)),
        kind("corruption", rate=st.just(0.2)),
        kind("crash", rate=st.just(0.1), restart=seconds(0, 1), **STATE),
        kind("slow_down", factor=st.just(5), **STAYS),
        kind("outage", strikes=st.sampled_from(["client", "access_point", "group", "all"]), **STAYS),
        kind("server_crash", checkpoint_every=st.integers(1, 3), write=seconds(0, 0.02), **STAYS),
    ),
    max_size=3,
    unique_by=lambda fault: fault["kind"],
)
RETRY = st.one_of(
    st.none(), st.fixed_dictionaries({"timeout": seconds(0.05, 0.5), "times": st.integers(0, 2)})
)
LATE = {"late": st.sampled_from(["dropped", "used_next"]), "retry": RETRY}
LATENESS = st.one_of(
    kind("wait", retry=RETRY),
    kind("deadline", after=seconds(0.1, 0.5), at_least=st.integers(0, 2), **LATE),
    kind("quorum", k=st.integers(1, 3), **LATE),
)
DROPPED = ("cpsl", "hierarchical_sfl", "mp_sl")
"""Where what is late cannot be used later."""
SL_DEADLINE = kind("deadline", after=seconds(0.1, 0.5), retry=RETRY)
OVER = kind("over_select", extra=st.just(1), **LATE)


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from([*SYNCHRONOUS, *FREE]))
    framework: dict[str, Any] = {"kind": name}
    if name in FREE:
        framework["lateness"] = draw(kind("wait", retry=RETRY))
        framework |= {"buffer": 2} if name in ("buffered_sl", "async_gapsl") else {}
    elif draw(st.booleans()) and name != "sl":
        framework |= {
            "participation": {"kind": "sample", "k": 3},
            "lateness": draw(st.one_of(OVER, LATENESS)),
        }
    elif name == "sl":
        framework["lateness"] = draw(st.one_of(kind("wait", retry=RETRY), SL_DEADLINE))
    else:
        framework["lateness"] = draw(LATENESS)
    if name in DROPPED and "late" in framework.get("lateness", {}):
        framework["lateness"] = framework["lateness"] | {"late": "dropped"}
    if name == "psl":
        framework["server_schedule"] = draw(st.sampled_from(SCHEDULES))
        framework["client_sync"] = draw(st.sampled_from(SYNCS))
    link = {"uplink": "0.1 Mbit/s", "downlink": "0.2 Mbit/s", "latency": "4 ms"}
    slow = {"uplink": "0.02 Mbit/s", "downlink": "0.05 Mbit/s", "latency": "9 ms"}
    return {
        "name": "hazards",
        "seed": draw(st.integers(0, 99)),
        "data": {"kind": "synthetic", "n_train": 200, "n_test": 40},
        "model": {"kind": "mlp", "hidden": [8, 8], "cut": 1},
        "framework": framework,
        **({"shape": yaml.safe_load(SHAPES[name])} if name in SHAPES else {}),
        "training": {"batch_size": 10, "client": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9}},
        "server": {"device": "jetson-orin-nx"},
        "clients": [
            {"count": 2, "device": "jetson-nano", "link": link, "availability": draw(AVAILABILITY)},
            {"count": 2, "device": "raspberry-pi-4b", "link": slow, "availability": draw(AVAILABILITY)},
        ],
        "network": {"kind": "star"},
        "faults": [f for f in draw(FAULTS) if name not in SHAPES or f["kind"] != "server_crash"],
        # Clients that are there for a minute a day, beside others that come and go five times a second, take a million
        # spans otherwise.
        "stop": {"rounds": 6, "simulated_time": "10 min"},
    }


def run(scenario: dict[str, Any], **more: Any) -> Results:
    """A run that keeps what every run keeps."""
    results = simulate(load_dict(scenario), **more)
    summary, spans = results.summary, results.spans
    status, now_s = str(summary["status"]), summary["simulated_time_s"]
    assert status == "completed" or status.startswith("stalled: at ")
    assert (spans["energy_j"] >= -1e-9).all()
    assert summary["warnings"] == []  # phases sum to the elapsed time
    for client in range(4):
        own = spans[spans["client"] == client]
        works = own[~own["phase"].isin(IDLE)]
        absences = results.presence[results.presence["client"] == client]
        # Absences follow one another: the last that began before a work's end must be over when the work begins.
        left_s, back_s = absences["left_s"].to_numpy(), absences["back_s"].fillna(now_s).to_numpy()
        last = np.searchsorted(left_s, works["end_s"].to_numpy() - 1e-9) - 1
        assert (np.diff(left_s) > 0).all()
        meanwhile = (last >= 0) & (np.append(back_s, np.inf)[last] > works["start_s"].to_numpy() + 1e-9)
        assert not meanwhile.any(), works[meanwhile]
        # What a link carried has arrived, or was cancelled, lost or damaged; of what was cancelled whole bytes count.
        for way, phases in (("up", ("uplink", "handover_out")), ("down", ("downlink", "handover_in"))):
            load = results.links[results.links["link"] == f"client-{client}/{way}"]
            carried_bit = (load["rate_bit_per_s"] * (load["end_s"] - load["start_s"])).sum()
            moved = works[works["phase"].str.endswith(phases)]
            slack_bit = 8 * moved["phase"].str.startswith("cancelled_").sum() + 1e-6 * carried_bit
            assert 8 * moved["size_bytes"].sum() == pytest.approx(carried_bit, abs=slack_bit + 1e-3)
    return results


HYPOTHESIS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def test_every_framework_is_tried() -> None:
    presets = {name for name in frameworks if frameworks[name].__module__.startswith("gapslsim.")}
    shown = {*SYNCHRONOUS, *FREE}
    ablations = {
        "fixed_ratio",
        "fixed_threshold",
        "non_gda",
        "non_lgi",
        "parallel",
        "rand_gda",
        "rand_lgi",
        "single_client",
    }
    assert presets == shown | ablations  # the ablations are the protocol of `psl` with other rules


@HYPOTHESIS
@given(scenario=scenarios())
def test_a_dry_run_ends_or_says_why_it_cannot_and_is_the_same_again(scenario: dict[str, Any]) -> None:
    one, other = run(scenario, dry=True), run(scenario, dry=True)
    assert one.summary["timeline_sha256"] == other.summary["timeline_sha256"]
    for name in ("attendance", "presence", "staleness"):
        assert getattr(one, name).equals(getattr(other, name))


@settings(HYPOTHESIS, max_examples=max(6, EXAMPLES // 10))
@given(scenario=scenarios())
def test_a_real_run_has_the_timeline_of_the_dry_one_and_is_replayed_from_its_journal(
    tmp_path_factory: pytest.TempPathFactory, scenario: dict[str, Any]
) -> None:
    folder: Path = tmp_path_factory.mktemp("journal")
    dry, real = run(scenario, dry=True), run(scenario, journal=folder)
    assert dry.summary["timeline_sha256"] == real.summary["timeline_sha256"]
    again = run(scenario, journal=folder)
    for what in ("timeline_sha256", "learning_sha256"):
        assert again.summary[what] == real.summary[what]
    assert again.summary["journal"]["computed"] == 0
    assert np.isfinite(real.evaluations["loss"]).all()
