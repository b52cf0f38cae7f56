"""Runs in which nobody can go on: they end as `stalled`, with everything so far and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapslsim import Results, load, load_dict, simulate
from gapslsim.cli.main import main
from gapslsim.errors import NetworkError, ScenarioError, StalledError
from gapslsim.network import _progress
from gapslsim.network.channel import Channel
from gapslsim.network.channels.constant import Constant
from gapslsim.registry import component
from gapslsim.results.store import StoredRun
from tests.fresh import forget_components

BASE: dict[str, Any] = {
    "name": "stalled",
    "data": {"kind": "synthetic", "n_train": 120, "n_test": 30},
    "model": {"kind": "mlp", "hidden": [8, 8], "cut": 1},
    "framework": "psl",
    "training": {"batch_size": 10, "client": {"optimizer": "sgd", "lr": 0.1}},
    "server": {"device": "jetson-orin-nx"},
    "network": "star",
    "stop": {"rounds": 400},
}
DEAD = """
from collections.abc import Iterator
from typing import Literal

import numpy as np
from gapslsim import FAMILIES, Channel, component


@FAMILIES["channel"].register
@component
class Dying(Channel):
    kind: Literal["dying"] = "dying"
    how: str

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        yield 0.0, 1e6
        time_s, length_s = 0.05, 0.1
        while True:
            if self.how == "nan" and time_s > 0.3:
                yield time_s, float("nan")
            elif self.how == "falls" and time_s > 0.3:
                yield time_s - 0.2, 1e6
            elif self.how == "infinite":
                yield time_s, float("inf")
            elif self.how == "ends":
                yield time_s, 0.0
                return
            else:  # zeros for ever, or in tiny steps
                yield time_s, 0.0
            time_s += length_s if self.how != "tiny" else 1e-9
"""


def scenario(uplink: Any, downlink: Any = "10 Mbit/s", **more: Any) -> dict[str, Any]:
    link = {"uplink": uplink, "downlink": downlink, "latency": "1 ms"}
    fine = {"uplink": "10 Mbit/s", "downlink": "10 Mbit/s", "latency": "1 ms"}
    clients = [{"device": "jetson-nano", "link": link}, {"device": "jetson-nano", "link": fine}]
    return {**BASE, "clients": clients, **more}


def ended(given: dict[str, Any], **more: Any) -> Results:
    return simulate(load_dict(given), dry=True, **more)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """10 Mbit/s for two seconds, then nothing."""
    file = tmp_path / "dying.txt"
    file.write_text("0 10\n2 0\n")
    return file


@pytest.fixture
def dying(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "dying.py"
    file.write_text(DEAD)
    yield file
    forget_components()


def test_a_trace_that_ends_at_zero_stalls_with_who_waits_for_whom(trace: Path) -> None:
    channel = {"kind": "trace", "file": str(trace), "format": "cooked", "loop": False}
    results = ended(scenario(channel))
    status = str(results.summary["status"])
    assert status.startswith("stalled: at 2")
    assert "server waits for client-0, which waits for " in status
    assert "over client-0/up, rate 0 for ever, since " in status
    assert len(results.rounds) > 10
    assert results.summary["warnings"] == []
    down = str(ended(scenario("10 Mbit/s", channel)).summary["status"])
    assert "client-0 waits for server, which waits for " in down
    assert "client-0/down" in down


def test_a_chain_that_stays_in_a_dead_state_stalls() -> None:
    chain = {
        "kind": "markov",
        "rates": ["10 Mbit/s", "0 bit/s"],
        "step": "1 s",
        "transitions": [[1, 0], [0, 1]],
    }
    statuses = {
        str(ended(scenario(chain, seed=seed, stop={"rounds": 5})).summary["status"])[:9] for seed in range(8)
    }
    assert statuses == {"completed", "stalled: "}  # where it stays is drawn at the beginning


@pytest.mark.parametrize("framework", ["psl", "sfl", "epsl", "sl", "fedavg", "async_sl", "pipelined_psl"])
def test_every_framework_stalls_at_a_dead_link(framework: str, trace: Path) -> None:
    channel = {"kind": "trace", "file": str(trace), "format": "cooked", "loop": False}
    status = str(ended(scenario(channel, framework=framework, stop={"rounds": 3000})).summary["status"])
    # Where nobody waits for client 0 the others go on.
    assert status == "completed" if framework == "async_sl" else "over client-0/up" in status


def test_a_deadline_goes_on_without_the_dead(trace: Path) -> None:
    channel = {"kind": "trace", "file": str(trace), "format": "cooked", "loop": False}
    framework = {"kind": "psl", "lateness": {"kind": "deadline", "after": "100 ms"}}
    assert ended(scenario(channel, framework=framework, stop={"rounds": 60})).summary["status"] == "completed"


def test_an_asynchronous_run_in_which_no_message_ever_arrives_in_time_stalls() -> None:
    framework = {"kind": "async_sl", "lateness": {"kind": "wait", "retry": {"timeout": "1 us", "times": 0}}}
    results = ended(scenario("10 Mbit/s", framework=framework))
    assert "the framework waits for something that can never happen" in str(results.summary["status"])
    assert len(results.spans[results.spans["phase"] == "cancelled_uplink"]) == 2 * 1000


@pytest.mark.parametrize(
    ("how", "told"),
    [("ends", "over client-0/up, rate 0 for ever"), ("tiny", "time hardly goes on")],
)
def test_an_own_channel_that_dies_stalls(how: str, told: str, dying: Path) -> None:
    results = ended(scenario({"kind": "dying", "how": how}, components=[str(dying)]))
    assert told in str(results.summary["status"])


def test_a_channel_of_zeros_for_ever_stalls_after_many_steps(
    dying: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_progress, "IN_VAIN", 1000)
    results = ended(scenario({"kind": "dying", "how": "zeros"}, components=[str(dying)]))
    assert "client-0/up have changed 1000 times and nothing has moved" in str(results.summary["status"])


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("nan", "has the rate nan bit/s"),
        ("infinite", "has the rate inf bit/s"),
        ("falls", "times must be finite and grow"),
    ],
)
def test_wrong_steps_of_an_own_channel_are_told_where_the_engine_takes_them(
    how: str, told: str, dying: Path
) -> None:
    with pytest.raises(NetworkError, match=r"client-0/up: step \d+ of its channel") as caught:
        ended(scenario({"kind": "dying", "how": how}, components=[str(dying)]))
    assert told in str(caught.value)
    left = caught.value.results
    assert str(left.summary["status"]).startswith("failed: client-0/up")
    assert len(left.spans)


def test_the_command_leaves_a_run_directory_and_its_own_exit_code(
    tmp_path: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "dying.yaml", tmp_path / "out"
    file.write_text(
        "name: dying\ndata: {kind: synthetic, n_train: 120, n_test: 30}\nmodel: {kind: mlp, hidden: [8, 8], cut: 1}\n"
        "framework: psl\ntraining: {batch_size: 10, client: {optimizer: sgd, lr: 0.1}}\n"
        "server: {device: jetson-orin-nx}\n"
        "clients:\n  - device: jetson-nano\n    availability: {kind: leave, at: 500 ms}\n"
        "    link: {uplink: 10 Mbit/s, downlink: 10 Mbit/s}\n"
        "network: star\nstop: {rounds: 400}\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--out", str(out)])
    assert end.value.code == StalledError.exit_code == 3
    assert "client-0 is away for ever, since 0.5 s" in capsys.readouterr().err
    left = StoredRun(out)
    assert str(left.summary["status"]).startswith("stalled: at 0.50")
    n_rounds = len(left.table("rounds"))
    assert n_rounds > 0
    for command in (["compare", str(out), str(out)], ["report", str(out), "-o", str(tmp_path / "x.html")]):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert not end.value.code
    # What it has trained is in its journal: with the client there it is not computed again.
    again = simulate(load(file, set=["clients.0.availability=always"]), journal=out / "journal")
    assert again.summary["journal"]["replayed"] >= n_rounds


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "trace", "loop": False}, "clients.0.link.uplink: the last rate of .* is 0 and holds for ever"),
        (
            {"kind": "markov", "rates": ["1 Mbit/s", "0 bit/s"], "step": "1 s", "transitions": [[0.5, 0.5], [0, 1]]},
            "from state 1 on the rate is 0 for ever",
        ),
        ({"kind": "wireless", "distance": "1000000000 km"}, "less than a bit per second"),
    ],
)  # fmt: skip
def test_validate_finds_what_will_die(change: dict[str, Any], told: str, trace: Path) -> None:
    if change["kind"] == "trace":
        change = {**change, "file": str(trace), "format": "cooked"}
    with pytest.raises(ScenarioError, match=told):
        load_dict(scenario(change), deep=True)


@pytest.mark.parametrize(
    "channel",
    [
        {"kind": "outage", "channel": "1 Mbit/s", "mean_up": "1 ns", "mean_down": "1 ns"},
        {
            "kind": "lognormal",
            "mean": "1 Mbit/s",
            "sigma": 0.1,
            "correlation_time": "1 s",
            "step": "1e-20 s",
        },
        {"kind": "gilbert_elliott", "good": "1 Mbit/s", "mean_good": "1 ns", "mean_bad": "1 ns"},
    ],
)
def test_steps_too_short_for_time_to_go_on_are_refused(channel: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="too little; the least is"):
        load_dict(scenario(channel))


@component
class Steps(Channel):
    """Rates at given times."""

    rates: tuple[float, ...]

    def steps(self, random: np.random.Generator) -> Iterator[tuple[float, float]]:
        return ((0.03 * place, rate) for place, rate in enumerate(self.rates))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    rates=st.lists(st.sampled_from([0.0, 1e5, 1e7]), min_size=1, max_size=6),
    framework=st.sampled_from(["psl", "epsl", "sl", "fedavg", "buffered_sl"]),
)
def test_random_rates_end_or_stall_with_a_reason(rates: list[float], framework: str) -> None:
    given = load_dict(
        scenario(
            "10 Mbit/s", framework={"kind": framework} | ({"buffer": 2} if "buffer" in framework else {})
        )
    )
    link = given.clients[0].link
    object.__setattr__(link, "uplink", Steps(rates=tuple(rates)))
    object.__setattr__(link, "downlink", Constant(rate=1e6))
    object.__setattr__(given.stop, "rounds", 15)
    results = simulate(given, dry=True)
    status = str(results.summary["status"])
    assert status == "completed" or "waits for" in status
    assert results.summary["warnings"] == []
    if rates[-1] > 0:
        assert status == "completed"
