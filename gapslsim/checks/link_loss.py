"""Invariants of losses: they delay and slow down, they lose nothing for good."""

from __future__ import annotations

from gapslsim.checks.check import require
from gapslsim.network.latency import Direction
from gapslsim.network.link_loss import LinkLoss, PacketLoss, Price
from gapslsim.rng import stream

_N_MESSAGES = 300
_SIZES = (1.0, 16_500.0, 1e7)
_WAYS: tuple[Direction, Direction] = ("up", "down")


def _losses(loss: LinkLoss) -> list[PacketLoss]:
    return [one for way in _WAYS if (one := loss.of(way)) is not None]


def _prices(loss: PacketLoss, trip_s: float) -> list[Price]:
    random = stream(1, "loss", "client-0/up")
    return [loss.price(loss.probability, size, trip_s, random) for size in _SIZES for _ in range(_N_MESSAGES)]


def messages_arrive(loss: LinkLoss) -> None:
    """A message is delayed by a finite time and moves at a rate above zero, also without latency.

    What is lost for the protocol of training is a `fault`.
    """
    for one in _losses(loss):
        require(
            0 < one.carried_share <= 1,
            f"carried_share is {one.carried_share!r}; it must be above 0, at most 1",
        )
        for trip_s in (0.0, 0.1):
            for price in _prices(one, trip_s):
                holds = 0 <= price.delay_s < float("inf") and price.cap_bit_per_s > 0
                require(holds, f"a message at a round trip of {trip_s:g} s pays {price!r}")


def prices_come_from_the_stream(loss: LinkLoss) -> None:
    """The same stream gives the same prices.

    Draw from `random` alone.
    """
    for one in _losses(loss):
        require(_prices(one, 0.1) == _prices(one, 0.1), "messages pay otherwise when asked again")
