"""Threads that carry out independent tensor operations side by side.

PyTorch lets go of Python's lock inside its kernels, so operations of some size run at the same time. Each worker has
as many threads inside an operation as the caller, one by default: many small operations side by side beat few
operations split up. What is computed does not depend on the number of workers, only when.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gapslsim.models.cost import SplitCost

if TYPE_CHECKING:
    import torch

__all__ = [
    "WORTH_FLOP",
    "Together",
    "Workers",
    "choose_workers",
    "intra_op_threads",
    "one_by_one",
    "passes_flop",
]

T = TypeVar("T")


Together = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Carries out calls that do not depend on one another and gives their results in order."""


def one_by_one(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Calls one after the other, in the caller's thread."""
    return [call() for call in calls]


WORTH_FLOP = 2e7
"""Least work of a client's forward pass, of its part of the server's pass and of its backward pass together [FLOP] for
which `auto` uses more than one worker: about a millisecond. Smaller ones spend it on Python, which takes turns."""


class Workers:
    """A pool of threads that is made when first needed.

    Args:
        n: how many operations run at once; 1: in the caller's thread.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise ValueError(f"workers must be 1 or more, found {n}.")
        self.n = n
        self._pool: ThreadPoolExecutor | None = None
        self._here = threading.local()

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Results of calls that do not depend on one another, in order; the first error in order is raised.

        A call that itself asks for calls to be made together makes them one after the other.
        """
        if self.n == 1 or len(calls) < 2 or getattr(self._here, "is_worker", False):
            return one_by_one(calls)
        if self._pool is None:
            import torch

            self._pool = ThreadPoolExecutor(self.n, "gapslsim", self._begin, (torch.get_num_threads(),))
        # At the first error in order, `map` cancels what has not begun.
        return list(self._pool.map(operator.call, calls))

    def _begin(self, n_threads: int) -> None:
        import torch

        self._here.is_worker = True
        torch.set_num_threads(n_threads)


def choose_workers(wanted: int | str, device: torch.device, costs: SplitCost) -> int:
    """Number of workers for a model.

    Args:
        wanted: a number, or `auto`: one per CPU that this process may use, but 1 where the operations are tiny
            (`WORTH_FLOP`) or the device is not the CPU.
        device: where tensors are.
        costs: of one client's mini-batch.
    """
    if wanted != "auto":
        return int(wanted)
    if device.type != "cpu" or passes_flop(costs) < WORTH_FLOP:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def passes_flop(costs: SplitCost) -> float:
    """Work of one client's passes on both sides [FLOP]."""
    return sum(side.forward.work_flop + side.backward.work_flop for side in (costs.client, costs.server))


@contextmanager
def intra_op_threads(n: int) -> Iterator[None]:
    """Torch with `n` threads inside each operation on the CPU, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
