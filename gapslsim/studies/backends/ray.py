"""A Ray cluster, by its address, or one that is started on this machine."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import Any

from gapslsim.errors import ComponentError, optional
from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies.backend import Backend

__all__ = ["Ray"]


class Ray(Backend):
    """One task per run, one core each; gapslsim must be installed on every machine of the cluster."""

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        super().__init__(address, n_jobs)
        self._ray = optional("ray", "The backend 'ray'", "Ray", "ray")

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        ray = self._ray
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            own = {"num_cpus": self.n_jobs or os.cpu_count(), "include_dashboard": False}
            ray.init(address=self.address or "local", **({} if self.address else own), **quiet)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            where = f"at {self.address!r}" if self.address else "on this machine"
            raise ComponentError(f"no Ray cluster answers {where}: {error}; check --address") from error
        try:
            # Once more if a worker is lost, which may be the machine's fault; an error of the run is no such
            # loss.
            task = ray.remote(num_cpus=1, max_retries=1)(carry_out)
            waiting = list(jobs)
            under_way: dict[Any, Job] = {}
            limit = self.n_jobs or max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting or under_way:
                while waiting and len(under_way) < limit:
                    job = waiting.pop(0)
                    under_way[task.remote(job)] = job
                (done, *_), _ = ray.wait(list(under_way), num_returns=1)
                job = under_way.pop(done)
                try:
                    yield ray.get(done)
                except ray.exceptions.RayError as error:
                    said = str(error).strip().splitlines()
                    yield Outcome(job.label, None, f"Ray lost it: {said[-1] if said else error!r}", 0.0)
        finally:
            ray.shutdown()
