"""Python's garbage collector, told that a run keeps nearly all that it makes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["rare_collections"]

_YOUNG, _MIDDLE, _OLD = 200_000, 10, 1_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Looks for reference cycles seldom, and hardly ever among old objects; as before afterwards.

    A run makes some objects per event and keeps its records to the end. With Python's own thresholds the collector
    looks at all of them again and again: a third of the time of a run without tensors. Cycles are short-lived here
    (ended processes of the event loop), so that looking at young objects finds them.

    At the end what was made counts as old, without being looked at: the first collection of the caller would otherwise
    go through all records of the run, which it keeps.
    """
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # Somebody else's frozen objects stay so.
            gc.freeze()
            gc.unfreeze()
        gc.set_threshold(*before)
