"""A Dask cluster, by its scheduler's address, or one that is started on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, Self

from gapslsim.errors import ComponentError, optional
from gapslsim.studies._execute import Job, Outcome, SharedDisk, carry_out
from gapslsim.studies.side_by_side import Lost, SideBySide

__all__ = ["Dask"]

CONNECT_S: Final = 20.0
_LOOK_S: Final = 2.0


class Dask(SideBySide):
    """One task per run; gapslsim must be installed on every machine of the cluster."""

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        super().__init__(address, n_jobs)
        self._distributed = optional("distributed", "The backend 'dask'", "Dask", "dask")
        self._client: Any = None
        self._workers: set[str] = set()

    def __enter__(self) -> Self:
        options: dict[str, Any] = {"address": self.address, "timeout": CONNECT_S}
        if not self.address:
            options = {"n_workers": self.n_jobs or os.cpu_count() or 1, "threads_per_worker": 1}
            options |= {"dashboard_address": None, "silence_logs": "ERROR"}
        where = f"at {self.address!r}" if self.address else "on this machine"
        try:
            self._client = self._distributed.Client(**options)
        except (OSError, ValueError, RuntimeError) as error:
            raise ComponentError(
                f"no Dask scheduler answers {where}: {error}; check --address (tcp://HOST:8786 as `dask scheduler` "
                "prints it), and that the port is open from here"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            self._client.close()
            raise ComponentError(
                f"the Dask scheduler {where} has no workers; start some: dask worker {self.address} --nthreads 1"
            ) from error
        self._workers = self._there()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        super().__exit__()

    def _there(self) -> set[str]:
        return set(self._client.nthreads())

    def without(self, disk: SharedDisk) -> list[str]:
        """Workers that do not see a journal."""
        found = self._client.run(SharedDisk.blind, disk, on_error="ignore")
        return sorted({machine for machine in found.values() if machine})

    def room(self) -> int:
        """A thread each."""
        return self.n_jobs or max(1, sum(self._client.nthreads().values()))

    def start(self, job: Job) -> Any:
        """A task."""
        # Not pure: a run that was lost is carried out again, not taken from a cache.
        return self._client.submit(carry_out, job, pure=False)

    def ended(self, under_way: Sequence[Any]) -> tuple[Any, Outcome | Lost]:
        """Of the first task that ends; workers that go meanwhile are told."""
        while True:
            self._look()
            try:
                done = self._distributed.wait(under_way, timeout=_LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue
            self._look()
            future = next(future for future in under_way if future in done)
            if future.status == "finished":
                return future, future.result()
            return future, Lost(f"Dask lost it ({future.exception()!r})")

    def _look(self) -> None:
        there = self._there()
        for gone in sorted(self._workers - there):
            self.say(
                f"the Dask worker {gone} was lost; its runs go on elsewhere, from their last checkpoints"
            )
        self._workers = there
