"""What messages pay on their way: latencies, drawn where they vary, and what losses cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gapslsim.errors import NetworkError
from gapslsim.network._routes import LinkSpec
from gapslsim.network.latency import Delays
from gapslsim.network.link_loss import PacketLoss
from gapslsim.rng import stream

__all__ = ["Toll", "Weather", "is_steady", "steady_toll"]


class Toll(NamedTuple):
    """What one message pays."""

    latency_s: float
    """Of its way."""
    round_trip_s: float
    """That, and the mean latency of the way back."""
    delay_s: float = 0.0
    """Beside latency, before its bits move."""
    cap_bit_per_s: float = math.inf
    """The most bits of payload that pass in a second."""


def is_steady(links: Iterable[LinkSpec]) -> bool:
    """Whether all messages pay the same."""
    return all(link.varying is None and link.loss is None for link in links)


def steady_toll(path: Sequence[LinkSpec], latency_s: float) -> Toll:
    """What each message pays where nothing is drawn.

    Args:
        path: its links.
        latency_s: sum of their latencies.
    """
    back_s = latency_s
    if any(link.back_s not in (None, link.latency_s) for link in path):
        back_s = sum(map(_back_s, path))
    return Toll(latency_s, latency_s + back_s)


class Weather:
    """Draws for each message; every link and direction has streams of its own, so that one moves no other.

    Args:
        seed: of the scenario: `stream(seed, "latency", link name)`, `stream(seed, "loss", link name)`; a half-duplex
            link's way back is `NAME/back`.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._delays: dict[LinkSpec, Delays] = {}
        self._randoms: dict[LinkSpec, np.random.Generator] = {}

    def latencies(self, links: Iterable[LinkSpec], now_s: float) -> dict[LinkSpec, float]:
        """What a message that is submitted now pays on each link [s]; one draw for each that varies."""
        return {link: link.latency_s if link.varying is None else self._drawn(link, now_s) for link in links}

    def toll(
        self,
        path: Sequence[LinkSpec],
        latencies: Mapping[LinkSpec, float],
        size_bytes: float,
        own: Sequence[LinkSpec] | None = None,
    ) -> Toll:
        """What a message pays, with its losses: delays add up, the smallest cap holds.

        Args:
            path: its links.
            latencies: what it pays on each [s].
            size_bytes: its size.
            own: those on which it can lose packets; all unless given.
        """
        steady = steady_toll(path, sum(link.latency_s for link in path))
        latency_s = sum(latencies[link] for link in path)
        trip_s = latency_s + steady.round_trip_s - steady.latency_s
        delay_s, cap = 0.0, math.inf
        lossy = [(link, link.loss) for link in (path if own is None else own) if link.loss is not None]
        whole = [(link, loss) for link, loss in lossy if loss.end_to_end]
        prices = [
            self._price(link, loss, loss.probability, size_bytes, latencies[link] + _back_s(link))
            for link, loss in lossy
            if not loss.end_to_end
        ]
        if whole:  # A packet comes through if no link loses it.
            probability = 1 - math.prod(1 - loss.probability for _, loss in whole)
            prices.append(self._price(*whole[0], probability, size_bytes, trip_s))
        for price_s, price_cap in prices:
            delay_s, cap = delay_s + price_s, min(cap, price_cap)
        return Toll(latency_s, trip_s, delay_s, cap)

    def _price(
        self, link: LinkSpec, loss: PacketLoss, probability: float, size_bytes: float, trip_s: float
    ) -> tuple[float, float]:
        random = self._randoms.get(link)
        if random is None:
            random = self._randoms[link] = stream(self._seed, "loss", _name(link))
        return loss.price(probability, size_bytes, trip_s, random)

    def _drawn(self, link: LinkSpec, now_s: float) -> float:
        delays = self._delays.get(link)
        if delays is None:
            assert link.varying is not None
            delays = self._delays[link] = link.varying.delays(stream(self._seed, "latency", _name(link)))
        delay_s = delays(now_s)
        if not 0 <= delay_s < math.inf:
            raise NetworkError(
                f"{link.name}: its latency drew {delay_s!r} s; it must be finite and 0 or more."
            )
        return delay_s


def _back_s(link: LinkSpec) -> float:
    return link.latency_s if link.back_s is None else link.back_s


def _name(link: LinkSpec) -> str:
    return link.name if link.medium is None else f"{link.name}/back"
