"""How long light takes from node to node: latencies from coordinates and lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from gapslsim.registry import component
from gapslsim.units import Seconds

__all__ = ["FIBRE_M_PER_S", "Coordinates"]

FIBRE_M_PER_S: Final = 299_792_458 / 1.4682
"""Speed of light in standard fibre: group index 1.4682 at 1550 nm (Corning SMF-28 data sheet) [m/s]."""
_EARTH_M: Final = 6_371_008.8
"""Mean radius (IUGG)."""


@component
class Coordinates:
    """Where the nodes of a graph file are; links without a latency get that of light in a straight fibre."""

    x: str = "Longitude"
    """Attribute of the nodes: the longitude (east), or x in a plane. Parts of lists are `pos.0`, `pos.1`."""
    y: str = "Latitude"
    """Attribute of the nodes: the latitude (north), or y in a plane."""
    unit: Literal["degrees", "m", "km"] = "degrees"
    """`degrees`: on the globe, along great circles."""
    detour: Annotated[float, Field(ge=1)] = 1.0
    """Length of the cable over the straight way."""

    otherwise: Seconds | None = None
    """Latency of links of which a node has no coordinates; by default such a file is refused."""

    def distance_m(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
        """Length of a cable between two nodes, from their attributes [m].

        Raises:
            ValueError: if a node is nowhere; says what is missing.
        """
        (x1, y1), (x2, y2) = self._place(a), self._place(b)
        if self.unit != "degrees":
            return self.detour * math.hypot(x2 - x1, y2 - y1) * (1e3 if self.unit == "km" else 1.0)
        # The haversine formula, which is exact for near nodes too.
        angles = [math.radians(angle) for angle in (y1, y2, y2 - y1, x2 - x1)]
        square = (
            math.sin(angles[2] / 2) ** 2
            + math.cos(angles[0]) * math.cos(angles[1]) * math.sin(angles[3] / 2) ** 2
        )
        return self.detour * 2 * _EARTH_M * math.asin(math.sqrt(min(square, 1.0)))

    def _place(self, node: Mapping[str, Any]) -> tuple[float, float]:
        found = []
        for name in (self.x, self.y):
            if name not in node:
                raise ValueError(f"has no {name!r}; it has {', '.join(node) or 'no attributes'}")
            value = float(node[name])
            found.append(value)
        if self.unit == "degrees" and not (abs(found[0]) <= 180 and abs(found[1]) <= 90):
            raise ValueError(
                f"is at {self.x} {found[0]:g}, {self.y} {found[1]:g}, which is no place in degrees"
            )
        return found[0], found[1]
