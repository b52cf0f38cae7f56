"""Links from measured transfers and round trips: a line through the durations, and a scenario's `link` section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from gapslsim.calibration._figures import six
from gapslsim.calibration.table import MeasurementTable
from gapslsim.units import format_quantity

__all__ = ["LinkFit", "link_of", "link_section"]


@dataclass(frozen=True)
class LinkFit:
    """A link in one direction: duration = latency + size / rate."""

    direction: str
    rate_bit_per_s: float
    latency_s: float
    n_points: int
    error: float
    """Median of |line / duration - 1| over the transfers."""

    def __str__(self) -> str:
        return (
            f"Link {self.direction}: {format_quantity(six(self.rate_bit_per_s), 'bit/s')}, latency "
            f"{format_quantity(six(self.latency_s), 's')}, from {self.n_points} transfers; median error of the line "
            f"{100 * self.error:.1f} %."
        )


def link_of(table: MeasurementTable) -> list[LinkFit]:
    """Rate and latency of each direction: Theil-Sen line through durations, half of the median round trip."""
    made = []
    trips = table.links.round_trip_s.dropna()
    for direction, rows in table.links.groupby("direction"):
        # A duration of 0 is below the timer's resolution: that transfer says nothing of the rate.
        timed = rows[(rows.duration_s > 0) & (rows.size_bytes > 0)]
        size, duration = timed.size_bytes.to_numpy(np.float64), timed.duration_s.to_numpy(np.float64)
        if len(timed) == 0:
            continue
        # Theil-Sen: one stalled transfer would tilt a least-squares line. Where all sizes are alike, or hardly
        # differ so that noise turns the slope round, the mean rate is the better guess.
        slope = float(theilslopes(duration, size).slope) if len(set(size)) > 1 else 0.0
        slope = slope if slope > 0 else float(np.median(duration / size))
        # Noise may put the start of the line below 0, which no latency is.
        start = float(np.median(duration - slope * size))
        latency = float(np.median(trips)) / 2 if len(trips) else max(start, 0.0)
        error = float(np.median(np.abs((latency + slope * size) / duration - 1)))
        made.append(LinkFit(str(direction), 8.0 / slope, latency, len(timed), error))
    return made


def link_section(fits: Sequence[LinkFit]) -> str:
    """The `link` of a client in a scenario; a direction that was not measured is taken to be like the other."""
    by = {fit.direction: fit for fit in fits}
    up, down = by.get("up", fits[0]), by.get("down", fits[0])
    rates = [format_quantity(six(fit.rate_bit_per_s), "bit/s") for fit in (up, down)]
    latency = format_quantity(six((up.latency_s + down.latency_s) / 2), "s")
    missing = [f"  # {name}link not measured: as the other" for name in ("up", "down") if name not in by]
    return f"link: {{uplink: {rates[0]}, downlink: {rates[1]}, latency: {latency}}}{''.join(missing)}"
