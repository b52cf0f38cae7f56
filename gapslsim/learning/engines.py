"""Which engine trains a set-up."""

from __future__ import annotations

from typing import Any

import torch

from gapslsim.learning.cuts_engine import CutsEngine
from gapslsim.learning.engine import Engine
from gapslsim.learning.segmented_engine import SegmentedEngine
from gapslsim.learning.setup import LearningSetup

__all__ = ["engine_for"]


def engine_for(setup: LearningSetup, device: torch.device, *given: Any, **how: Any) -> Engine:
    """The engine of a set-up, by who owns which blocks.

    Args:
        setup: data, model, optimizers, seed.
        device: torch device.
        given: see `Engine`.
        how: likewise.
    """
    if setup.segments is None:
        return Engine(setup, device, *given, **how)
    made = SegmentedEngine if setup.segments.clients_are_alike else CutsEngine
    return made(setup, device, *given, **how)
