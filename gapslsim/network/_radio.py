"""Formulas of 3GPP TR 38.901 (V16.1.0) for path loss, line of sight and shadowing, and the Shannon rate.

Frequencies in Hz, distances in m, losses in dB. Heights enter through the horizontal distance d2D and the slant
distance d3D = sqrt(d2D^2 + (h_BS - h_UT)^2). Below 10 m (outdoors) and 1 m (indoors) the formulas are not defined;
the distance is then taken as that bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["PLACES", "PlaceName", "los_probability", "noise_dbm", "path_loss_db", "shannon_bit_per_s"]

PlaceName = Literal["uma", "umi", "inh_mixed", "inh_open"]

_LIGHT_M_PER_S = 3.0e8
"""Velocity of light as the standard takes it (Table 7.4.1-1, note 1)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Figures of one scenario of the standard."""

    base_height_m: float
    """h_BS, Tables 7.2-1 and 7.2-2."""
    user_height_m: float
    """h_UT, the same tables."""
    shadowing_los_db: float
    """Standard deviation in line of sight, Table 7.4.1-1."""
    shadowing_nlos_db: float
    """The same without line of sight."""
    correlation_los_m: float
    """Distance over which shadowing decorrelates by 1/e, Table 7.5-6."""
    correlation_nlos_m: float
    """The same without line of sight."""
    correlation_state_m: float
    """Distance over which the line-of-sight state decorrelates, Table 7.6.3.1-2."""
    nearest_m: float
    """Smallest distance of the path-loss formulas."""


PLACES: dict[PlaceName, Place] = {
    "uma": Place(25.0, 1.5, 4.0, 6.0, 37.0, 50.0, 50.0, 10.0),
    "umi": Place(10.0, 1.5, 4.0, 7.82, 10.0, 13.0, 50.0, 10.0),
    "inh_mixed": Place(3.0, 1.0, 3.0, 8.03, 10.0, 6.0, 10.0, 1.0),
    "inh_open": Place(3.0, 1.0, 3.0, 8.03, 10.0, 6.0, 10.0, 1.0),
}
"""Urban macro, urban micro (street canyon), indoor hotspot (office, mixed or open)."""


def los_probability(place: PlaceName, distance_m: float, user_height_m: float = 1.5) -> float:
    """Probability of line of sight at a horizontal distance, Table 7.4.2-1 (outdoor users)."""
    d = distance_m
    if place == "inh_mixed":
        if d <= 1.2:
            return 1.0
        return math.exp(-(d - 1.2) / 4.7) if d < 6.5 else 0.32 * math.exp(-(d - 6.5) / 32.6)
    if place == "inh_open":
        if d <= 5:
            return 1.0
        return math.exp(-(d - 5) / 70.8) if d <= 49 else 0.54 * math.exp(-(d - 49) / 211.7)
    if d <= 18:
        return 1.0
    scale = 36.0 if place == "umi" else 63.0
    near = 18 / d + math.exp(-d / scale) * (1 - 18 / d)
    if place == "umi":
        return near
    height = min(max(user_height_m - 13, 0.0), 10.0)
    return near * (1.0 + math.pow(height / 10, 1.5) * 1.25 * (d / 100) ** 3 * math.exp(-d / 150))


def path_loss_db(
    place: PlaceName,
    distance_m: float,
    carrier_hz: float,
    line_of_sight: bool,
    base_height_m: float,
    user_height_m: float,
) -> float:
    """Path loss without shadowing, Table 7.4.1-1.

    Args:
        place: UMa, UMi street canyon or InH office.
        distance_m: horizontal distance.
        carrier_hz: 0.5 to 100 GHz.
        line_of_sight: whether there is line of sight.
        base_height_m: h_BS.
        user_height_m: h_UT; for UMa below 13 m, where the effective environment height is 1 m (note 1).
    """
    d2 = max(distance_m, PLACES[place].nearest_m)
    rise = base_height_m - user_height_m
    d3 = math.hypot(d2, rise)
    ghz = carrier_hz / 1e9
    frequency = 20 * math.log10(ghz)
    if place in ("inh_mixed", "inh_open"):
        los = 32.4 + 17.3 * math.log10(d3) + frequency
        return los if line_of_sight else max(los, 38.3 * math.log10(d3) + 17.30 + 24.9 * math.log10(ghz))
    break_m = 4 * (base_height_m - 1.0) * (user_height_m - 1.0) * carrier_hz / _LIGHT_M_PER_S
    urban = place == "uma"
    if d2 <= break_m:
        los = (28.0 + 22.0 * math.log10(d3) if urban else 32.4 + 21.0 * math.log10(d3)) + frequency
    else:
        bend = math.log10(break_m**2 + rise**2)
        los = (28.0 if urban else 32.4) + 40.0 * math.log10(d3) + frequency - (9.0 if urban else 9.5) * bend
    if line_of_sight:
        return los
    if urban:
        nlos = 13.54 + 39.08 * math.log10(d3) + frequency - 0.6 * (user_height_m - 1.5)
    else:
        nlos = 35.3 * math.log10(d3) + 22.4 + 21.3 * math.log10(ghz) - 0.3 * (user_height_m - 1.5)
    return max(los, nlos)


def noise_dbm(bandwidth_hz: float, figure_db: float) -> float:
    """Thermal noise power at 290 K (-174 dBm/Hz) in a bandwidth, plus the receiver's noise figure."""
    return -174.0 + 10 * math.log10(bandwidth_hz) + figure_db


def shannon_bit_per_s(bandwidth_hz: float, snr: float, attenuation: float, most_bit_per_s_hz: float) -> float:
    """Attenuated and truncated Shannon bound, 3GPP TR 36.942 Annex A.1: B min(alpha log2(1 + SNR), S_max)."""
    return bandwidth_hz * min(attenuation * math.log2(1 + snr), most_bit_per_s_hz)
