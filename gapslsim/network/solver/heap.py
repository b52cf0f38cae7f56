"""A heap of things that change: an entry is void once its thing has a newer version, and is then passed over."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

__all__ = ["Heap"]

_FEW = 64
"""Entries that may always be kept."""


class _Versioned(Protocol):
    """What a heap can hold."""

    order: int
    """Decides between equal keys, so that equal runs take equal turns."""
    version: int
    """Grows whenever what the heaps know of the thing is no longer so."""


T = TypeVar("T", bound=_Versioned)


class Heap(list[tuple[float, int, int, T]], Generic[T]):
    """Entries (key, order, version, thing), the smallest key first."""

    _room = _FEW
    """Length at which void entries are looked for."""

    def push(self, key: float, thing: T) -> None:
        """Adds a thing as it is now."""
        heappush(self, (key, thing.order, thing.version, thing))
        # A void entry comes to the top only when its key does, which may be never: a flow that was cancelled would be
        # held as long as a longer one goes on. Doubling keeps the cost per entry constant.
        if len(self) > self._room:
            self[:] = [entry for entry in self if entry[2] == entry[3].version]
            heapify(self)
            self._room = _FEW + 2 * len(self)

    def top(self) -> T | None:
        """The thing with the smallest key, if there is one; its key is then `self[0][0]`."""
        while self:
            entry = self[0]
            if entry[2] == entry[3].version:
                return entry[3]
            heappop(self)
        return None
