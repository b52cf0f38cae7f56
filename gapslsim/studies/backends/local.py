"""Processes of this machine, by joblib's loky: a run that brings its process down is noticed."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies.backend import Backend

__all__ = ["Local"]


class Local(Backend):
    """Runs in processes of this machine; with one job at a time in this process."""

    def shares_cpus(self, n_runs: int) -> bool:
        """Not if there is one run at a time."""
        return self._n_processes(n_runs) > 1

    def _n_processes(self, n_runs: int) -> int:
        return min(self.n_jobs or os.cpu_count() or 1, max(1, n_runs))

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        n_jobs = self._n_processes(len(jobs))
        # In this process: errors and Ctrl-C come as they are, and torch is imported once.
        if n_jobs == 1:
            for job in jobs:
                yield carry_out(job)
            return
        yield from _in_processes(list(jobs), n_jobs)


def _in_processes(jobs: list[Job], n_jobs: int) -> Generator[Outcome, None, None]:
    """A process that dies, for want of memory for instance, breaks the pool; the runs that it cost are tried alone."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = {job.label: job for job in jobs}
    # One by one as workers get free: runs differ in length, and batches would leave cores idle.
    parallel = Parallel(n_jobs=n_jobs, backend="loky", return_as="generator_unordered", batch_size=1,
                        pre_dispatch="n_jobs")  # fmt: skip
    outcomes = parallel(delayed(carry_out)(job) for job in jobs)
    try:
        for outcome in outcomes:
            del left[outcome.label]
            yield outcome
        return
    except TerminatedWorkerError:
        pass
    for label, job in left.items():
        # Two, since joblib carries out a single job in this very process, which must survive.
        alone = Parallel(n_jobs=2, backend="loky", return_as="generator_unordered")
        try:
            yield from alone([delayed(carry_out)(job)])
        except TerminatedWorkerError:
            fix = "run fewer at a time (--jobs), or a smaller model"
            yield Outcome(label, None, f"its process died, most likely for want of memory; {fix}", 0.0)
