
from __future__ import annotations

from typing import Literal

import numpy as np

from gapslsim.data.partition import Partition, partitions
from gapslsim.registry import component

SHARE = 0.5


@partitions.register
@component
class HalfToTheFirst(Partition):
    """Half of the samples to the first client."""

    kind: Literal["half_to_the_first"] = "half_to_the_first"
    share: float = SHARE