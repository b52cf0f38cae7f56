"""How often a run is timed again within what uncertain figures leave open."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gapslsim.registry import component

__all__ = ["Draws"]


@component
class Draws:
    """Monte Carlo over the figures of devices and links; nothing is trained again."""

    draws: Annotated[int, Field(ge=20, le=100_000)] = 200
    """How many; intervals of 20 are rough, those of 200 good to a tenth of their width."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the draws that an interval holds."""
    links: Annotated[float, Field(ge=0, lt=3)] = 0.0
    """Spread of the constant rates of links: standard deviation of the logarithm of true over given, 0.1 is about 10 %;
    0 takes them to be what they are said to be."""
    decided: Annotated[float, Field(gt=0.5, le=1)] = 0.95
    """Share of the draws from which an order of two runs counts as decided."""
