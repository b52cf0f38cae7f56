"""Asynchronous SplitFed: a server step per arrival, client-side models averaged as they come."""

from __future__ import annotations

from typing import Literal

from gapslsim.frameworks._merged import MergedSplitLearning
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["AsyncSplitFed"]


@frameworks.register
@component
class AsyncSplitFed(MergedSplitLearning):
    """Asynchronous SplitFed: asynchronous SL whose client-side models are averaged as in FedBuff (arXiv 2106.06639)."""

    kind: Literal["async_sfl"] = "async_sfl"
