"""A Dask cluster, by its scheduler's address, or one that is started on this machine."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import Any

from gapslsim.errors import ComponentError, optional
from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies.backend import Backend

__all__ = ["Dask"]


class Dask(Backend):
    """One task per run; gapslsim must be installed on every machine of the cluster."""

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        super().__init__(address, n_jobs)
        self._distributed = optional("distributed", "The backend 'dask'", "Dask", "dask")

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        distributed = self._distributed
        options: dict[str, Any] = {"address": self.address}
        if not self.address:
            n_workers = min(self.n_jobs or os.cpu_count() or 1, max(1, len(jobs)))
            options = {"n_workers": n_workers, "threads_per_worker": 1}
            options |= {"dashboard_address": None, "silence_logs": "ERROR"}
        try:
            opened = distributed.Client(**options)
        except (OSError, ValueError, RuntimeError) as error:
            where = f"at {self.address!r}" if self.address else "on this machine"
            raise ComponentError(f"no Dask scheduler answers {where}: {error}; check --address") from error
        with opened as client:
            # Handed out a few at a time: a closed iterator then leaves nothing in the cluster's queue.
            limit = self.n_jobs or max(1, sum(client.nthreads().values()))
            waiting = list(jobs)
            under_way: dict[Any, Job] = {}
            finished = distributed.as_completed()
            while waiting or under_way:
                while waiting and len(under_way) < limit:
                    job = waiting.pop(0)
                    # Not pure: a run that was lost is carried out again, not taken from a cache.
                    future = client.submit(carry_out, job, pure=False)
                    under_way[future] = job
                    finished.add(future)
                done = next(finished)
                job = under_way.pop(done)
                yield _outcome(done, job)


def _outcome(done: Any, job: Job) -> Outcome:
    if done.status == "finished":
        outcome: Outcome = done.result()
        return outcome
    return Outcome(job.label, None, f"Dask lost it: {done.exception()!r}", 0.0)
