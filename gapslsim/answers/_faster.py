"""Parts of a scenario made faster by a factor: rates go up, latencies, losses and computations go down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapslsim.hardware.corrected import Corrected
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads
from gapslsim.hardware.profiled_device import ProfiledDevice
from gapslsim.network.channel import Channel, Steps
from gapslsim.network.channels.constant import Constant as ConstantRate
from gapslsim.network.latencies.constant import Constant as ConstantDelay
from gapslsim.network.latency import Delays, Direction, Latency
from gapslsim.network.link_loss import PacketLoss
from gapslsim.network.losses.per_direction import PerDirection

__all__ = ["faster", "less_overhead", "with_computations"]

_PHASES = ("forward", "backward", "update", "other")


def faster(part: Any, factor: float) -> Any:
    """A channel, latency or loss of packets, better by a factor. What is random draws what it drew."""
    if isinstance(part, ConstantRate):
        return ConstantRate(rate=part.rate * factor)
    if isinstance(part, ConstantDelay):
        return ConstantDelay(delay=part.delay / factor)
    if isinstance(part, Channel):
        return _FasterChannel(part, factor)
    if isinstance(part, Latency):
        return _ShorterLatency(part, factor)
    if isinstance(part, PacketLoss):
        return dataclasses.replace(part, probability=part.probability / factor)
    if isinstance(part, PerDirection):
        return dataclasses.replace(part, up=faster(part.up, factor), down=faster(part.down, factor))
    return part


def with_computations(device: ProfiledDevice, factor: float) -> ProfiledDevice:
    """The device with every computation shorter by a factor; jitter, overheads and power stay."""
    model = Corrected(device.cost_model, dict.fromkeys(_PHASES, 1 / factor), 1 / factor)
    return dataclasses.replace(device, cost_model=model)


def less_overhead(device: ProfiledDevice, factor: float) -> ProfiledDevice:
    """The device with shorter times for messages, mini-batches and loading; caches and heat stay."""
    made = {
        field.name: _scaled(getattr(device.overheads, field.name), field.name, factor)
        for field in dataclasses.fields(Overheads)
    }
    return dataclasses.replace(device, overheads=dataclasses.replace(device.overheads, **made))


def _scaled(figure: Any, name: str, factor: float) -> Any:
    if not isinstance(figure, Figure) or name == "background_load":
        return figure
    return dataclasses.replace(figure, value=figure.value * (factor if name.endswith("rate") else 1 / factor))


@dataclass(frozen=True, eq=False)
class _FasterChannel(Channel):
    """Another channel with every rate multiplied."""

    told: Channel
    factor: float

    def steps(self, random: np.random.Generator) -> Steps:
        """Those of the channel."""
        return ((time_s, rate * self.factor) for time_s, rate in self.told.steps(random))

    @property
    def mean_bit_per_s(self) -> float | None:
        """Long-run mean."""
        mean = self.told.mean_bit_per_s
        return None if mean is None else mean * self.factor


@dataclass(frozen=True, eq=False)
class _ShorterLatency(Latency):
    """Another latency with every delay divided."""

    told: Latency
    factor: float

    def delays(self, random: np.random.Generator) -> Delays:
        """Those of the latency."""
        told = self.told.delays(random)
        return lambda now_s: told(now_s) / self.factor

    def of(self, direction: Direction) -> Latency:
        """Of one direction."""
        of_way: Latency = faster(self.told.of(direction), self.factor)
        return of_way

    @property
    def mean_s(self) -> float:
        """Mean over messages [s]."""
        return self.told.mean_s / self.factor

    @property
    def constant_s(self) -> float | None:
        """The delay, if it never changes [s]."""
        constant = self.told.constant_s
        return None if constant is None else constant / self.factor
