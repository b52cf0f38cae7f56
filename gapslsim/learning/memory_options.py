"""How training keeps within the memory of its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["MemoryOptions", "Ways"]

Bytes = Annotated[float, Quantity("B", positive=True)]


@component
class MemoryOptions:
    """What training may take of its device's memory, and what it does about it; no result depends on it.

    `auto` takes the fastest way that fits by the forecast, and a run that does not fit in any way is refused.
    """

    limit: Bytes | None = None
    """Most bytes of tensors, for instance `8 GB`. Unless given: on a GPU what is free there when a run begins, on a CPU
    no limit."""
    passes: Literal["auto", "kept", "remade"] = "auto"
    """What a forward pass leaves for its backward pass: `kept` for every client at once, or `remade` client by client,
    which takes one more forward pass each and the memory of a single one. The same for graphs of `gradient: exact`."""
    gradients: Literal["auto", "device", "host"] = "auto"
    """Where the server keeps each client's gradient until it has decided: on its `device`, or in the `host`'s memory,
    from which they are read in blocks of columns."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What of `MemoryOptions` a training makes use of."""

    remakes_passes: bool = False
    rows_on_host: bool = False
