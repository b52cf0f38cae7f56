"""Asynchronous split learning: a step of the server per arrival."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks.asynchronous import AsynchronousSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["AsyncSplitLearning"]


@frameworks.register
@component
class AsyncSplitLearning(AsynchronousSplitLearning):
    """Asynchronous SL: the server steps at every arrival; weights of staleness as in FedAsync (arXiv 1903.03934)."""

    kind: Literal["async_sl"] = "async_sl"
