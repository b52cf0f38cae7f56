"""Losses of links: they delay messages and slow them down; nothing is lost for good."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import simpy

from gapslsim.checks._examples import read
from gapslsim.network._delays import Weather
from gapslsim.network._routes import LinkSpec
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.link_loss import LinkLoss, PacketLoss, Price
from gapslsim.network.topologies.star import Star
from gapslsim.rng import stream


def losing(settings: Any) -> PacketLoss:
    made = read("link_loss", settings)
    assert isinstance(made, PacketLoss)
    return made


def took_s(loss: Any, size_bytes: float, rate: float = 8e6, latency_s: float = 0.05, seed: int = 1) -> float:
    env = simpy.Environment()
    link = AccessLink(
        "client-0", Constant(rate=rate), Constant(rate=rate), latency_s, None, read("link_loss", loss)
    )
    transfer = Star(protocol=None).build(env, Fleet((link,)), seed).send("client-0", "server", size_bytes)
    env.run()
    assert transfer.finished_s is not None
    return transfer.finished_s


def test_as_a_rate_loss_takes_its_share_of_the_capacity() -> None:
    assert took_s({"kind": "rate", "probability": 0.2}, 1e6) == pytest.approx(0.05 + 1.0 / 0.8)


def test_a_rate_that_changes_loses_its_share_too() -> None:
    env = simpy.Environment()
    uplink = read(
        "channel", {"kind": "outage", "channel": "8 Mbit/s", "mean_up": "1000 h", "mean_down": "1 us"}
    )
    loss = read("link_loss", {"kind": "rate", "probability": 0.2})
    network = Star().build(env, Fleet((AccessLink("client-0", uplink, uplink, 0.0, None, loss),)), 1)
    transfer = network.send("client-0", "server", 1e6)
    env.run(10)
    assert transfer.finished_s == pytest.approx(1.0 / 0.8)


def test_packets_that_are_sent_again_take_as_many_goes_as_the_unluckiest() -> None:
    loss, random = (
        losing({"kind": "resend", "probability": 0.1, "packet_bytes": 1000}),
        stream(1, "loss", "x"),
    )
    goes = [1 + round(loss.price(0.1, 12_000, 1.0, random).delay_s) for _ in range(20_000)]
    for k in (1, 2, 3):  # 12 packets, each through after k goes with 1 - 0.1^k
        assert np.mean(np.array(goes) <= k) == pytest.approx((1 - 0.1**k) ** 12, abs=0.012)


def test_the_rate_of_tcp_is_that_of_the_published_formulas() -> None:
    # b = 1: sqrt(3/2) segments per round trip over sqrt(p): 1.2247 * 1448 B / 0.1 s / 0.1
    mathis: Any = losing({"kind": "tcp", "probability": 0.01, "formula": "mathis", "acknowledged": 1})
    assert mathis.steady_bit_per_s(0.01, 0.1) == pytest.approx(8 * 1448 * math.sqrt(1.5) / 0.1 / 0.1)
    # PFTK by hand at p = 0.02, R = 0.2, b = 2, T0 = 0.4: R sqrt(2bp/3) = 0.032660,
    # T0 min(1, 3 sqrt(3bp/8)) p (1 + 32 p^2) = 0.4 * 0.367423 * 0.02 * 1.0128 = 0.0029770;
    # 1 / 0.0356370 = 28.061 segments/s
    pftk: Any = losing({"kind": "tcp", "probability": 0.02})
    assert pftk.steady_bit_per_s(0.02, 0.2) == pytest.approx(8 * 1448 * 28.061, rel=1e-4)


def test_a_long_transfer_moves_at_the_rate_of_the_steady_state() -> None:
    loss: Any = losing("1 %")
    rate = loss.steady_bit_per_s(0.01, 0.1)
    assert took_s("1 %", 1e8, rate=1e9) == pytest.approx(8e8 / rate, rel=0.01)


def test_most_short_messages_lose_nothing_and_pay_nothing() -> None:
    loss, random = losing("1 %"), stream(3, "loss", "x")
    prices = [loss.price(0.01, 12 * 1448, 0.1, random) for _ in range(20_000)]
    unhurt = [price for price in prices if price.delay_s == 0]
    assert len(unhurt) / len(prices) == pytest.approx(0.99**12, abs=0.01)
    assert all(price.cap_bit_per_s == math.inf for price in unhurt)
    assert all(price.delay_s == 0.1 for price in prices if price not in unhurt[:1] and price.delay_s)


def test_losses_of_a_path_add_up_for_tcp() -> None:
    loss, seen = losing("10 %"), []

    def noting(probability: float, *rest: Any) -> Price:
        seen.append(probability)
        return Price()

    object.__setattr__(loss, "price", noting)
    path = [LinkSpec(name, None, 0.1, loss=loss) for name in "ab"]
    Weather(1).toll(path, dict.fromkeys(path, 0.1), 1e3)
    assert seen == [pytest.approx(1 - 0.9 * 0.9)]


def test_each_direction_may_lose_otherwise() -> None:
    loss: LinkLoss = read("link_loss", {"up": "1 %"})
    up, down = loss.of("up"), loss.of("down")
    assert up is not None
    assert (up.probability, down) == (0.01, None)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (0.01, "write a share of packets with its sign"),
        ("0.01", "write a share of packets with its sign"),
        ("120 %", "less than 1"),
        ({"kind": "tpc", "probability": 0.01}, "Did you mean 'tcp'"),
        ({"kind": "tcp", "probability": 0}, "greater than 0"),
    ],
)
def test_mistakes_are_told(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read("link_loss", written)
