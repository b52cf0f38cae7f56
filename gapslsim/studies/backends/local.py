"""Processes of this machine: a run that brings its process down is noticed."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies._processes import own_process
from gapslsim.studies.side_by_side import DIED, Lost, SideBySide

__all__ = ["Local"]

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Local(SideBySide):
    """Runs in processes of this machine; with one job at a time in this process."""

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        super().__init__(address, n_jobs)
        self._n = 1
        self._idle: list[Any] = []
        self._busy: dict[Future[Outcome], Any] = {}

    def shares_cpus(self, n_runs: int) -> bool:
        """Not if there is one run at a time."""
        return self._n_processes(n_runs) > 1

    def _n_processes(self, n_runs: int) -> int:
        return min(self.n_jobs or os.cpu_count() or 1, max(1, n_runs))

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        self._n = self._n_processes(len(jobs))
        # In this process: errors and Ctrl-C come as they are, and torch is imported once.
        if self._n == 1:
            yield from map(carry_out, jobs)
            return
        try:
            yield from super().run(jobs)
        finally:
            for pool in (*self._idle, *self._busy.values()):
                pool.shutdown(wait=False, kill_workers=True)
            self._idle.clear()
            self._busy.clear()

    def room(self) -> int:
        """As many as there are processes."""
        return self._n

    def start(self, job: Job) -> Future[Outcome]:
        """In a process that is idle, or a new one."""
        share = str(max(1, (os.cpu_count() or 1) // self._n))
        env = {name: os.environ.get(name, share) for name in _THREADS}
        pool = self._idle.pop() if self._idle else own_process(env)
        future: Future[Outcome] = pool.submit(carry_out, job)
        self._busy[future] = pool
        return future

    def ended(self, under_way: Sequence[Any]) -> tuple[Future[Outcome], Outcome | Lost]:
        """Of the first that ends."""
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        future = next(future for future in under_way if future in done)
        pool = self._busy.pop(future)
        try:
            outcome = future.result()
        except BrokenProcessPool:
            pool.shutdown(wait=False, kill_workers=True)
            return future, Lost(DIED)
        self._idle.append(pool)
        return future, outcome
