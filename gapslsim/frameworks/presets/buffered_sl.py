"""Buffered asynchronous split learning: a step of the server per buffer."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from gapslsim.frameworks.asynchronous import AsynchronousSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["BufferedSplitLearning"]


@frameworks.register
@component
class BufferedSplitLearning(AsynchronousSplitLearning):
    """Buffered asynchronous SL: a step for every K arrivals, as FedBuff does with models (arXiv 2106.06639)."""

    kind: Literal["buffered_sl"] = "buffered_sl"
    buffer: PositiveInt = 2
    """K: mini-batches of one step. With all clients, and equal ones, it is PSL."""

    @property
    def n_buffered(self) -> int:
        """K."""
        return self.buffer
