"""Lines of tc-netem(8) are read as tc means them; what has no meaning here is refused in words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gapslsim import load
from gapslsim.errors import ScenarioError
from gapslsim.network.fleet import Fleet
from gapslsim.network.netem import parse_netem
from gapslsim.scenario.dumping import dump
from gapslsim.scenario.loading import load_dict, loads
from tests.worlds import small_scenario


@pytest.mark.parametrize(
    ("line", "latency_s"),
    [("delay 100ms", 0.1), ("delay 0.25s", 0.25), ("delay 1500us", 0.0015), ("latency 3msecs", 0.003)],
)
def test_times_have_the_units_of_tc(line: str, latency_s: float) -> None:
    assert float(parse_netem(line)["latency"].split()[0]) == pytest.approx(latency_s)


@pytest.mark.parametrize(
    ("rate", "bit_per_s"),
    [
        ("10mbit", 1e7), ("256kbit", 256e3), ("1gbit", 1e9), ("9600bit", 9600), ("1mbps", 8e6), ("100kbps", 8e5),
        ("64kibit", 65536), ("1mibps", 8 * 2**20), ("10Mbit", 1e7),
    ],
)  # fmt: skip
def test_bps_are_bytes_per_second_as_in_tc(rate: str, bit_per_s: float) -> None:
    assert parse_netem(f"rate {rate}")["rate"] == f"{float(bit_per_s)!r} bit/s"


def test_jitter_correlation_and_distribution_are_those_of_the_line() -> None:
    line = "delay 100ms 20ms 25% distribution normal loss 1% rate 10mbit"
    latency = {"kind": "normal", "mean": "0.1 s", "jitter": "0.02 s", "correlation": 0.25}
    loss = {"kind": "tcp", "probability": 0.01}
    expected = {"latency": latency, "loss": loss, "rate": "10000000.0 bit/s"}
    assert parse_netem(line) == expected
    assert parse_netem(f"tc qdisc add dev eth0 root netem {line}") == expected


def test_without_a_distribution_jitter_is_uniform_as_the_kernel_draws_it() -> None:
    assert parse_netem("delay 100ms 20ms")["latency"]["kind"] == "uniform"
    assert parse_netem("delay 100ms 0ms")["latency"] == "0.1 s"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("delay 100", "tc would read delay of 100 us"),
        ("delay 100ms 20", "tc would read jitter of 20 us"),
        ("delay", "its value is missing"),
        ("delay 10 ms", "has no unit"),
        ("delay 10ms 5ms 25% 3", "one number too many"),
        ("delay 10ms delay 20ms", "given twice"),
        ("dealy 10ms", "Did you mean 'delay'"),
        ("rate 10", "tc would read 10 bit/s"),
        ("rate 10Mbit/s", "none of tc's quantities"),
        ("rate 0kbit", "nothing would ever pass"),
        ("rate 10mbit 20", "one number too many"),
        ("delay 10ms 5ms distribution norml", "Did you mean 'normal'"),
        ("delay 10ms distribution normal", "needs a jitter"),
        ("delay 10ms 5ms 100%", "no percentage below 100"),
        ("loss 1% 25%", "leave the correlation out"),
        ("loss gemodel 1% 10%", "their share in the long run"),
        ("loss 1kbit", "no percentage"),
        ("limit 1000", "no queues"),
        ("duplicate 1%", "nothing arrives twice"),
        ("delay 10ms reorder 25% 50%", "keep their order"),
        ("corrupt 0.1%", "faults: "),
        ("slot 20ms", "leave it out"),
        ("", "says nothing"),
    ],
)
def test_what_is_no_netem_or_has_no_meaning_is_refused_with_the_fix(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_netem(line)
    assert said in str(caught.value)


def fleet(link: dict[str, Any]) -> Fleet:
    return load_dict(small_scenario(clients=[{"count": 4, "device": "jetson-nano", "link": link}])).fleet


def test_one_line_is_that_of_both_directions() -> None:
    client = fleet({"netem": "delay 100ms 20ms loss 1% rate 10mbit"}).clients[0]
    assert (client.uplink.constant_bit_per_s, client.downlink.constant_bit_per_s) == (1e7, 1e7)
    assert not isinstance(client.latency, float)
    assert client.latency.mean_s == 0.1
    assert client.loss is not None
    assert client.loss.of("up") == client.loss.of("down")


def test_each_direction_may_have_a_line_beside_what_the_link_says() -> None:
    client = fleet(
        {"uplink": "3 Mbit/s", "netem": {"up": "delay 30ms", "down": "rate 1mbps loss 2%"}}
    ).clients[0]
    assert (client.uplink.constant_bit_per_s, client.downlink.constant_bit_per_s) == (3e6, 8e6)
    assert not isinstance(client.latency, float)
    assert (client.latency.of("up").mean_s, client.latency.of("down").mean_s) == (0.03, 0.0)
    assert client.loss is not None
    assert client.loss.of("up") is None


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"netem": "delay 100"}, "has no unit"),
        ({"netem": "rate 1mbit", "uplink": "1 Mbit/s"}, "'uplink' is given too"),
        ({"netem": "rate 1mbit delay 1ms", "latency": "2 ms"}, "'latency' is given too"),
        ({"netem": {"upp": "rate 1mbit"}}, "no direction"),
        ({"netem": 5}, "write 'delay 100ms"),
        ({"netm": "rate 1mbit", "uplink": "1 Mbit/s", "downlink": "1 Mbit/s"}, "Did you mean 'netem'"),
        ({"netem": "delay 3ms"}, "is missing"),
    ],
)
def test_mistakes_are_told_with_line_and_place(tmp_path: Any, link: dict[str, Any], said: str) -> None:
    (tmp_path / "a.yaml").write_text(
        yaml.safe_dump(small_scenario(clients=[{"count": 4, "device": "jetson-nano", "link": link}]))
    )
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "a.yaml")
    assert said in str(caught.value)
    for problem in caught.value.problems:
        assert problem.line
        assert problem.path.startswith("clients.0.link")


def test_a_resolved_scenario_says_what_netem_meant_and_reads_back() -> None:
    data = small_scenario(
        clients=[{"count": 4, "device": "jetson-nano", "link": {"netem": "rate 1mbit delay 3ms"}}]
    )
    scenario = load_dict(data)
    assert "netem" not in dump(scenario)
    assert loads(dump(scenario)) == scenario


@pytest.mark.parametrize("duplex", ["full", "half"])
def test_links_of_a_graph_take_netem_too(duplex: str) -> None:
    links = [{"between": ["a", "server"], "netem": "delay 40ms rate 2mbit", "duplex": duplex}]
    data = small_scenario(network={"kind": "graph", "links": links, "gateways": ["a"]})
    scenario = load_dict(data)
    route = scenario.network.router(scenario.fleet).route("server", "client-0")
    assert route.links[0].latency_s == 0.04
    assert route.links[0].channel is not None
    assert route.links[0].channel.constant_bit_per_s == 2e6
