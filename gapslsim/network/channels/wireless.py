"""A radio link: path loss, shadowing and fading of 3GPP TR 38.901, and the Shannon rate of what is left."""

from __future__ import annotations

import math
from itertools import islice
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from gapslsim.network import _radio
from gapslsim.network.channel import Channel, Steps, channels
from gapslsim.registry import component
from gapslsim.rng import stream
from gapslsim.units import Decibel, DecibelMilliwatt, Distance, Quantity, Speed, StepLength

__all__ = ["Wireless"]

_LOOKED_AT = 100
"""Steps that tell whether anything passes."""


@channels.register
@component
class Wireless(Channel):
    """Rate of one client's radio link to its base station or access point.

    SNR = power + antenna_gain - path loss - shadowing - noise, times the fading gain; rate = Shannon, attenuated and
    capped. Where several clients share a cell, `access` says how: `ofdma` gives each a share of the band for itself
    (a user's power is spent in its share, so noise shrinks with it), `tdma` a share of the time in the whole band,
    `alone` everything. These shares are fixed; to let clients share a cell by demand, put them behind one medium
    with topology `shared_ap` and leave `access: alone`. Interference is not modelled; `noise_figure` may hold a margin.
    """

    kind: Literal["wireless"] = "wireless"
    place: _radio.PlaceName = "umi"
    """`uma`: urban macro; `umi`: urban micro, street canyon; `inh_mixed`, `inh_open`: indoor office."""
    carrier: Annotated[float, Quantity("Hz", positive=True)] = 3.5e9
    """Carrier frequency, 0.5 to 100 GHz."""
    bandwidth: Annotated[float, Quantity("Hz", positive=True)] = 20e6
    """Bandwidth of the cell."""
    power: DecibelMilliwatt = 23.0
    """Transmit power (23 dBm: a handset; a base station has about 44)."""
    antenna_gain: Decibel = 0.0
    """Gain of both antennas together."""
    noise_figure: Decibel = 5.0
    """Of the receiver (5 dB: a base station; a handset has about 9)."""
    distance: Distance | None = None
    """Horizontal distance to the base station; else drawn uniformly over the ring from `nearest` to `farthest`."""
    nearest: Distance = 10.0
    """Inner radius of the ring, for drawn and for moving clients."""
    farthest: Distance = 200.0
    """Outer radius of the ring."""
    speed: Speed = 0.0
    """Above zero, the client goes to and fro on a ray from `nearest` to `farthest`."""
    update: StepLength = 1.0
    """How often a moving client's distance, line of sight and shadowing are taken anew."""
    line_of_sight: Literal["draw", "always", "never"] = "draw"
    """`draw`: by the standard's probability at the distance."""
    shadowing: bool = True
    """Lognormal shadowing with the standard's deviations."""
    fading: Literal["none", "rayleigh", "rician"] = "none"
    """Block fading: a power gain of mean 1, drawn anew each `coherence_time`."""
    rician_k: Decibel = 9.0
    """Power of the direct path over that of the scattered ones (9 dB: mean of UMa and UMi, Table 7.5-6)."""
    coherence_time: StepLength = 0.05
    """Length of a fading block."""
    max_efficiency: Annotated[float, Field(gt=0)] = 5.5547
    """Largest spectral efficiency [bit/s/Hz]; 64QAM with code rate 948/1024, TS 38.214 Table 5.1.3.1-1, index 28."""
    attenuation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the Shannon bound that is reached (TR 36.942 suggests 0.6 down and 0.4 up for LTE)."""
    access: Literal["alone", "ofdma", "tdma"] = "alone"
    """How clients of one cell share it."""
    n_sharing: Annotated[int, Field(ge=1)] = 1
    """Clients of the cell; each has the share 1/n unless `share` says otherwise."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """This client's share of band or time: proportional instead of equal."""
    base_height: Distance | None = None
    """h_BS; by default the standard's for the place."""
    user_height: Distance | None = None
    """h_UT; by default the standard's for the place."""

    @model_validator(mode="after")
    def _sensible(self) -> Wireless:
        if not 0.5e9 <= self.carrier <= 100e9:
            raise ValueError("carrier must lie within 0.5 GHz and 100 GHz, the range of TR 38.901")
        if self.nearest >= self.farthest:
            raise ValueError("nearest must be below farthest")
        if self.speed and self.distance is not None and not self.nearest <= self.distance <= self.farthest:
            raise ValueError(
                "distance is where a moving client starts; it must lie within nearest and farthest"
            )
        if self.user_height is not None and not 1 <= self.user_height < 13:
            raise ValueError("user_height must be from 1 m to below 13 m")
        if self.user_height is not None and self.place in ("uma", "umi") and self.user_height <= 1:
            raise ValueError("user_height must be above 1 m outdoors: the effective height is h_UT - 1 m")
        return self

    def dies(self) -> str | None:
        """So far away that hardly a bit passes."""
        rates = [rate for _, rate in islice(self.steps(stream(0, "dies")), _LOOKED_AT)]
        if max(rates) >= 1:
            return None
        return f"so far away its rate is {max(rates):.2g} bit/s, less than a bit per second; move the client nearer"

    def rate_bit_per_s(
        self, distance_m: float, line_of_sight: bool, shadow_db: float = 0.0, gain: float = 1.0
    ) -> float:
        """Rate at a distance, given the state of the channel.

        Args:
            distance_m: horizontal distance.
            line_of_sight: whether there is line of sight.
            shadow_db: loss by shadowing (may be negative).
            gain: power gain of fading, of mean 1.
        """
        base, user = self._heights
        loss = (
            _radio.path_loss_db(self.place, distance_m, self.carrier, line_of_sight, base, user) + shadow_db
        )
        share = 1.0 if self.access == "alone" else (self.share or 1.0 / self.n_sharing)
        # In a share of the band there is less noise; in a share of the time there is not.
        band = self.bandwidth * (share if self.access == "ofdma" else 1.0)
        snr_db = self.power + self.antenna_gain - loss - _radio.noise_dbm(band, self.noise_figure)
        rate = _radio.shannon_bit_per_s(
            band, gain * 10 ** (snr_db / 10), self.attenuation, self.max_efficiency
        )
        return rate * (share if self.access == "tdma" else 1.0)

    def steps(self, random: np.random.Generator) -> Steps:
        """Rates at each fading block and each new place; one step only for a client at rest without fading."""
        place = _radio.PLACES[self.place]
        # Position and fading apart: switching fading on leaves the clients where they were.
        seeds = random.integers(0, 2**63, size=2)
        position, fade = (np.random.Generator(np.random.Philox(key=int(seed))) for seed in seeds)
        start_m = self._first_distance(position)
        # Drawn whether they are used or not, so that one setting does not move what others draw.
        latent, shadow = (float(x) for x in position.standard_normal(2))
        distance_m = start_m
        time_s, n_update, n_block = 0.0, 0, 0
        gain = self._gain(fade)
        while True:
            los = self._in_sight(distance_m, latent)
            deviation = place.shadowing_los_db if los else place.shadowing_nlos_db
            yield (
                time_s,
                self.rate_bit_per_s(distance_m, los, deviation * shadow if self.shadowing else 0.0, gain),
            )
            update_s = (n_update + 1) * self.update if self.speed else math.inf
            block_s = (n_block + 1) * self.coherence_time if self.fading != "none" else math.inf
            time_s = min(update_s, block_s)
            if time_s == math.inf:
                return
            if block_s <= time_s:
                n_block += 1
                gain = self._gain(fade)
            if update_s <= time_s:
                n_update += 1
                distance_m = self._moved(start_m, time_s)
                way_m = self.speed * self.update
                latent = _next(latent, math.exp(-way_m / place.correlation_state_m), position)
                # Of the state before the move; the standard gives one distance for each.
                reach_m = place.correlation_los_m if los else place.correlation_nlos_m
                shadow = _next(shadow, math.exp(-way_m / reach_m), position)

    @property
    def _heights(self) -> tuple[float, float]:
        place = _radio.PLACES[self.place]
        return (
            place.base_height_m if self.base_height is None else self.base_height,
            place.user_height_m if self.user_height is None else self.user_height,
        )

    def _first_distance(self, random: np.random.Generator) -> float:
        """Given, or uniform over the ring's area."""
        # Drawn even if a distance is given: what follows in the stream stays the same.
        area = random.random()
        if self.distance is not None:
            return self.distance
        return math.sqrt(self.nearest**2 + area * (self.farthest**2 - self.nearest**2))

    def _moved(self, start_m: float, time_s: float) -> float:
        """Distance after going outwards, back, and so on."""
        width = self.farthest - self.nearest
        way = (start_m - self.nearest + self.speed * time_s) % (2 * width)
        return self.nearest + (way if way <= width else 2 * width - way)

    def _in_sight(self, distance_m: float, latent: float) -> bool:
        """Whether a standard Gaussian that moves with the client lies below the probability of line of sight."""
        if self.line_of_sight != "draw":
            return self.line_of_sight == "always"
        # The normal distribution function: a correlated Gaussian becomes a correlated uniform.
        uniform = 0.5 * math.erfc(-latent / math.sqrt(2))
        return uniform < _radio.los_probability(self.place, distance_m, self._heights[1])

    def _gain(self, random: np.random.Generator) -> float:
        """Power gain of one block: Rayleigh is exponential; Rician has a direct path of K/(K+1)."""
        if self.fading == "none":
            return 1.0
        # Each of variance 1/2, so that the mean gain is 1.
        real, imaginary = (float(x) for x in random.standard_normal(2) / math.sqrt(2))
        if self.fading == "rayleigh":
            return real**2 + imaginary**2
        k = 10 ** (self.rician_k / 10)
        return float((math.sqrt(k) + real) ** 2 + imaginary**2) / (k + 1)


def _next(value: float, correlation: float, random: np.random.Generator) -> float:
    """The next value of a stationary Gaussian sequence, clause 7.4.4."""
    return correlation * value + math.sqrt(1 - correlation**2) * float(random.standard_normal())
