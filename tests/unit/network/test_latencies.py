"""Latencies are drawn per message, link and direction; messages between two nodes keep their order."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy
from scipy.stats import norm

from gapslsim import load, simulate
from gapslsim.checks._examples import read
from gapslsim.errors import NetworkError, ScenarioError
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.latency import Latency
from gapslsim.network.messages import FluidNetwork
from gapslsim.network.topology import Topology, topologies
from gapslsim.rng import stream
from gapslsim.scenario.checks import check_deep
from gapslsim.scenario.loading import load_dict
from tests.worlds import small_scenario

FAST = Constant(rate=1e15)


def latency(settings: Any) -> Latency:
    made: Latency = read("latency", settings)
    return made


def network(
    settings: Any, n: int = 1, seed: int = 1, kind: str = "star", **more: Any
) -> tuple[Any, FluidNetwork]:
    env = simpy.Environment()
    links = tuple(AccessLink(f"client-{i}", FAST, FAST, latency(settings)) for i in range(n))
    topology: Topology = topologies[kind](**{"protocol": None, **more})
    return env, topology.build(env, Fleet(links), seed)


def drawn(settings: Any, n: int = 40_000, seed: int = 1) -> np.ndarray:
    delays = latency(settings).delays(stream(seed, "latency", "x"))
    return np.array([delays(float(i)) for i in range(n)])


SHARES = (np.arange(1_000_000) + 0.5) / 1_000_000
BELL = norm.ppf(SHARES)
TAIL = np.minimum(((1 - SHARES) ** (-1 / 3) - 1.5) / math.sqrt(0.75), 4.0)
"""Quantiles of netem's tables: normal, and Pareto of shape 3, moved and scaled."""
JITTER = {"mean": "100 ms", "jitter": "10 ms"}


@pytest.mark.parametrize(
    ("kind", "mean_s", "deviation_s", "low_s", "high_s"),
    [
        ("normal", 0.1, 0.01, 0.06, 0.14),
        ("uniform", 0.1, 0.01 / math.sqrt(3), 0.09, 0.11),
        ("pareto", 0.1 + 0.01 * TAIL.mean(), 0.01 * TAIL.std(), 0.1 - 0.01 * 0.5 / math.sqrt(0.75), 0.14),
        ("paretonormal", 0.1 + 0.0075 * TAIL.mean(), 0.01 * (0.75 * TAIL + 0.25 * BELL).std(), 0.05, 0.15),
    ],
)
def test_jitter_has_the_moments_of_its_distribution(
    kind: str, mean_s: float, deviation_s: float, low_s: float, high_s: float
) -> None:
    found = drawn({"kind": kind, **JITTER})
    assert found.mean() == pytest.approx(mean_s, abs=3e-4)
    assert found.std() == pytest.approx(deviation_s, rel=0.03)
    assert low_s - 1e-9 <= found.min()
    assert found.max() <= high_s + 1e-9


def test_lognormal_has_its_mean_and_never_less_than_the_least() -> None:
    found = drawn({"kind": "lognormal", "mean": "30 ms", "sigma": 0.5, "least": "20 ms"})
    assert found.mean() == pytest.approx(0.03, rel=0.01)
    assert found.min() >= 0.02
    assert np.log(found - 0.02).std() == pytest.approx(0.5, rel=0.02)


def test_correlation_is_from_message_to_message_and_leaves_the_distribution() -> None:
    found = drawn({"kind": "normal", **JITTER, "correlation": 0.6})
    assert np.corrcoef(found[:-1], found[1:])[0, 1] == pytest.approx(0.6, abs=0.02)
    assert found.std() == pytest.approx(0.01, rel=0.03)


def test_a_bare_latency_is_constant_and_draws_nothing() -> None:
    made = latency("4 ms")
    assert (made.constant_s, made.mean_s, made.of("down")) == (0.004, 0.004, made)


def test_each_direction_has_its_latency() -> None:
    env, net = network({"up": "30 ms", "down": "5 ms"})
    up, down = net.send("client-0", "server", 0), net.send("server", "client-0", 0)
    env.run()
    assert (up.finished_s, down.finished_s) == (0.03, 0.005)


def test_a_trace_gives_what_holds_at_submission(tmp_path: Path) -> None:
    (tmp_path / "ping.csv").write_text("time_s,latency_ms\n10,20\n11,60\n13,40\n")
    env, net = network({"kind": "trace", "file": str(tmp_path / "ping.csv"), "round_trip": True})
    found = []

    def go() -> Any:
        for wait_s in (0.5, 1.0, 1.0, 1.0, 2.2):  # at 0.5, 1.5, 2.5, 3.5 and, one lap of 5 s later, at 5.7 s
            yield env.timeout(wait_s)
            transfer = net.send("client-0", "server", 0)
            env.process(note(transfer))
        yield env.timeout(1.0)

    def note(transfer: Any) -> Any:
        yield transfer.done
        found.append(transfer.finished_s - transfer.submitted_s)

    env.process(go())
    env.run()
    assert found == pytest.approx([0.01, 0.03, 0.03, 0.02, 0.01])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,latency_ms\n0,5\n1,-2\n", r"ping.csv:3 .*the latency is -0.002 s"),
        ("time_s,latency_ms\n5,5\n1,2\n", r"ping.csv:3 .*times must not fall"),
        ("time_s,rtt_ms\n0,5\n", r"no column 'latency_ms' in its first line"),
        ("time_s,latency_ms\n", r"it is empty"),
    ],
)
def test_a_trace_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ping.csv").write_text(text)
    with pytest.raises(NetworkError, match=said):
        latency({"kind": "trace", "file": str(tmp_path / "ping.csv")}).mean_s  # noqa: B018


def test_a_missing_trace_is_told_by_validate_at_its_place() -> None:
    link = {"uplink": "4 Mbit/s", "downlink": "4 Mbit/s", "latency": {"kind": "trace", "file": "nowhere.csv"}}
    data = small_scenario(clients=[{"count": 4, "device": "jetson-nano", "link": link}])
    places = [path for path, text in check_deep(load_dict(data)) if "nowhere.csv" in text]
    assert places[0] == ("clients", 0, "link", "latency")


def test_messages_between_two_nodes_keep_their_order_and_others_may_overtake() -> None:
    jitter = {"kind": "uniform", "mean": "100 ms", "jitter": "100 ms"}
    env, net = network(jitter, n=2)
    arrived: dict[str, list[int]] = {"client-0": [], "client-1": []}

    def go() -> Any:
        for serial in range(200):
            for client in arrived:
                transfer = net.send(client, "server", 0)
                transfer.done.callbacks.append(lambda _, c=client, s=serial: arrived[c].append(s))
            yield env.timeout(0.001)

    env.process(go())
    env.run()
    assert arrived["client-0"] == arrived["client-1"] == list(range(200))
    assert len(arrived["client-0"]) == 200


def test_a_message_without_one_before_it_pays_what_it_draws() -> None:
    jitter = {"kind": "normal", **JITTER}
    env, net = network(jitter, seed=5)
    transfer = net.send("client-0", "server", 0)
    env.run()
    expected = latency(jitter).delays(stream(5, "latency", "client-0/up"))(0.0)
    assert transfer.finished_s == expected
    assert expected != 0.1


def test_a_synchronous_round_waits_for_the_largest_of_ten_draws() -> None:
    # E[max of 10 standard normal] = integral of x d(Phi(x)^10) = 1.5388
    x = np.linspace(-8, 8, 200_001)
    largest = np.trapezoid(x * 10 * norm.pdf(x) * norm.cdf(x) ** 9, x)
    assert largest == pytest.approx(1.53875, abs=1e-4)
    env, net = network({"kind": "normal", **JITTER}, n=10)
    rounds: list[float] = []

    def go() -> Any:
        for _ in range(1500):
            start_s = env.now
            yield simpy.AllOf(env, [net.send(f"client-{i}", "server", 0).done for i in range(10)])
            rounds.append(env.now - start_s)

    env.process(go())
    env.run()
    # the largest has a standard deviation of 0.587 jitters
    assert np.mean(rounds) == pytest.approx(0.1 + 0.01 * largest, abs=4 * 0.587 * 0.01 / math.sqrt(1500))


def test_a_broadcast_draws_once_per_link_and_each_target_its_own() -> None:
    jitter = {"kind": "uniform", "mean": "100 ms", "jitter": "50 ms"}
    env, net = network(jitter, n=3, backhaul=FAST, backhaul_latency=latency(jitter))
    transfers = net.broadcast("server", [f"client-{i}" for i in range(3)], 0)
    env.run()

    def first(link: str) -> float:
        return latency(jitter).delays(stream(1, "latency", link))(0.0)

    trunk = first("backhaul/down")
    assert [t.finished_s for t in transfers] == pytest.approx(
        [trunk + first(f"client-{i}/down") for i in range(3)]
    )


def test_a_latency_that_varies_moves_no_other_random_number() -> None:
    def uplinks(jitter: Any) -> np.ndarray:
        link = {"uplink": {"kind": "lognormal", "mean": "4 Mbit/s", "sigma": 0.3, "correlation_time": "1 s"}}
        link |= {"downlink": "4 Mbit/s", "latency": "0 s"}
        clients = [{"device": "jetson-nano", "link": dict(link)} for _ in range(2)]
        clients[1]["link"] = link | {"latency": jitter}
        spans = simulate(load_dict(small_scenario(clients=clients, network={"kind": "star", "backhaul": "1 Gbit/s"},
                                                  stop={"rounds": 1})), dry=True).spans  # fmt: skip
        one = spans[(spans.client == 0) & (spans.phase.isin(["client_forward", "uplink"]))]
        return one[["start_s", "end_s"]].to_numpy()

    assert np.array_equal(uplinks("0 s"), uplinks({"kind": "normal", "mean": "50 ms", "jitter": "10 ms"}))


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("star", {"backhaul_latency": 0.01}),
        ("shared_ap", {"medium": FAST, "medium_latency": 0.01}),
        ("relay", {"hop": FAST, "hops": 1, "hop_latency": 0.01}),
        ("two_tier", {"edge_latency": 0.01}),
        ("graph", {"links": [{"between": ["a", "server"], "latency": 0.01}], "gateways": ["a"]}),
    ],
)
def test_every_topology_takes_a_latency_per_direction(kind: str, more: dict[str, Any]) -> None:
    def replaced(value: Any) -> Any:
        if value == 0.01:
            return latency({"up": "10 ms", "down": "2 ms"})
        if isinstance(value, list) and isinstance(value[0], dict):
            return [{k: replaced(v) for k, v in item.items()} for item in value]
        return value

    env, net = network(
        {"up": "30 ms", "down": "5 ms"}, kind=kind, **{k: replaced(v) for k, v in more.items()}
    )
    up, down = net.send("client-0", "server", 0), net.send("server", "client-0", 0)
    env.run()
    assert (up.finished_s, down.finished_s) == pytest.approx((0.04, 0.007))


def test_both_directions_of_a_half_duplex_link_share_its_rate_whatever_their_latencies() -> None:
    slow = Constant(rate=8e6)
    env, net = network(
        "0 s", kind="shared_ap", medium=slow, medium_latency=latency({"up": "10 ms", "down": "20 ms"})
    )
    up, down = net.send("client-0", "server", 1e6), net.send("server", "client-0", 1e6)
    env.run()
    # alone from 10 to 20 ms, then half of the rate each until the first ends
    assert up.finished_s == pytest.approx(0.01 + 0.01 + 2 * (1.0 - 0.01))
    assert down.finished_s == pytest.approx(0.01 + 2.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"up": "4 ms", "donw": "2 ms"}, "donw: unknown key. Did you mean 'down'"),
        ({"kind": "normal", "mean": "4 ms", "jitter": 2}, "has no unit"),
        ({"kind": "lognorml", "mean": "4 ms"}, "Did you mean 'lognormal'"),
        ({"kind": "lognormal", "mean": "4 ms", "sigma": 0.5, "least": "5 ms"}, "least"),
        ("4 mss", "Did you mean"),
        ({"up": {"up": "1 ms", "down": "1 ms"}, "down": "1 ms"}, "is one direction"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, settings: Any, said: str) -> None:
    import yaml

    data = small_scenario()
    data["clients"][0]["link"] = {"uplink": "4 Mbit/s", "downlink": "4 Mbit/s", "latency": settings}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "a.yaml")
    assert said in str(caught.value)
    assert all(problem.line for problem in caught.value.problems)
