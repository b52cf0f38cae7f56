"""Runs of a study on the GPUs of this machine, packed by the memory that each is forecast to take."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gapslsim.errors import GapslsimError
from gapslsim.hardware.memory import readable
from gapslsim.studies._execute import Job, Outcome, carry_out
from gapslsim.studies._processes import own_process
from gapslsim.studies.backend import Backend
from gapslsim.studies.gpus import Gpu

__all__ = ["Launch", "OnGpus", "Started", "memory_on", "side_by_side"]

_PROCESS_BYTES: Final = 0.7e9
"""Of a process that uses a GPU, beside its tensors: CUDA's context and PyTorch's kernels."""
_USABLE: Final = 0.9
"""Of what is free: fragments of PyTorch's allocator and workspaces of kernels take the rest."""
_MORE: Final = 2.0
"""How many times as much a run is given that did not get along with what it was."""

_SLACK: Final = 1.05
"""On a forecast: nvidia-smi and CUDA differ a little in what a GPU has in all."""


class Started(NamedTuple):
    """A run under way."""

    outcome: Future[Outcome]
    stop: Callable[[], None]


Launch = Callable[[Job, str], Started]
"""Starts a run in a process that sees this GPU alone; empty for none."""
Forecasting = Callable[[Job, Gpu], float]
"""Bytes of tensors that a run will take on a GPU; 0 if it does not use one."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    factor: float = 1.0
    """On its forecast; more after it ran out of memory."""


@dataclass(slots=True)
class _Placed:
    wanted: _Waiting
    gpu: Gpu | None
    claim_bytes: float
    stop: Callable[[], None] = lambda: None


class OnGpus(Backend):
    """Runs in processes of this machine, several to a GPU as far as their forecasts fit side by side.

    A run that runs out of memory beside others is made again with twice the room, so with fewer beside it; it goes on
    from its last checkpoint. It fails only where it had a GPU for itself.

    Args:
        gpus: that runs may use.
        n_jobs: runs at a time, at most; None for as many as there are cores.
        launch: starts a run.
        forecast: of its memory.
    """

    def __init__(
        self,
        gpus: Sequence[Gpu],
        n_jobs: int | None = None,
        launch: Launch | None = None,
        forecast: Forecasting | None = None,
    ) -> None:
        super().__init__("", n_jobs)
        self.gpus = tuple(gpus)
        self._launch = launch or _in_a_process
        self._forecast = forecast or memory_on

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes as they come."""
        waiting = [_Waiting(job) for job in jobs]
        running: dict[Future[Outcome], _Placed] = {}
        try:
            while waiting or running:
                yield from self._begin(waiting, running)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    ended = running.pop(future)
                    outcome = _outcome(future, ended)
                    if outcome.out_of_memory and ended.gpu and ended.claim_bytes < _usable(ended.gpu):
                        # Behind the others: what ran beside it may be there again at once.
                        waiting.append(_Waiting(ended.wanted.job, ended.wanted.factor * _MORE))
                    else:
                        yield outcome
        finally:
            for placed in running.values():
                placed.stop()

    def _begin(
        self, waiting: list[_Waiting], running: dict[Future[Outcome], _Placed]
    ) -> Generator[Outcome, None, None]:
        """Starts what has room; outcomes are of those that have it nowhere."""
        most = self.n_jobs or os.cpu_count() or 1
        for wanted in list(waiting):
            if len(running) >= most:
                return
            try:
                placed = self._place(wanted, running.values())
            except GapslsimError as error:
                waiting.remove(wanted)
                yield Outcome(wanted.job.label, None, str(error), 0.0)
                continue
            if placed is not None:
                waiting.remove(wanted)
                may_take = placed.claim_bytes - _PROCESS_BYTES if placed.gpu else None
                job = dataclasses.replace(wanted.job, memory_bytes=may_take)
                future, placed.stop = self._launch(job, placed.gpu.name if placed.gpu else "")
                running[future] = placed

    def _place(self, wanted: _Waiting, running: Iterable[_Placed]) -> _Placed | None:
        """Where a run can begin now; None for nowhere yet.

        Raises:
            GapslsimError: if it fits no GPU even alone.
        """
        free = {gpu: _usable(gpu) for gpu in self.gpus}
        for placed in running:
            if placed.gpu:
                free[placed.gpu] -= placed.claim_bytes
        errors = []
        # The emptiest first, so that runs are spread.
        for gpu in sorted(self.gpus, key=lambda gpu: -free[gpu]):
            try:
                tensors = self._forecast(wanted.job, gpu)
            except GapslsimError as error:
                errors.append(error)
                continue
            if not tensors:
                return _Placed(wanted, None, 0.0)
            # Never more than all of it, so that its turn comes once the others are done.
            claim = min(_claim(tensors) * wanted.factor, _usable(gpu))
            if claim <= free[gpu]:
                return _Placed(wanted, gpu, claim)
        if len(errors) == len(self.gpus):
            raise errors[0]
        return None

    def shares_cpus(self, n_runs: int) -> bool:
        """Not if there is one run at a time."""
        return min(self.n_jobs or n_runs, n_runs) > 1


def side_by_side(gpus: Sequence[Gpu], tensors: float) -> int:
    """How many runs that take so many bytes of tensors are on the GPUs at a time."""
    return sum(int(_usable(gpu) // _claim(tensors)) for gpu in gpus)


def _claim(tensors: float) -> float:
    return _SLACK * tensors + _PROCESS_BYTES


def memory_on(job: Job, gpu: Gpu) -> float:
    """Forecast of a run on a GPU; 0 for one that computes on the CPU."""
    from gapslsim.assembly import memory_forecast
    from gapslsim.scenario.loading import loads

    scenario = loads(job.scenario_yaml, file=job.label)
    if scenario.training.device == "cpu":
        return 0.0
    made = memory_forecast(scenario, gpu.total_bytes)
    # Where there is no forecast it has a GPU for itself.
    return gpu.total_bytes if made.unknown else float(made.peak_bytes)


def _usable(gpu: Gpu) -> float:
    return _USABLE * gpu.free_bytes


def _outcome(future: Future[Outcome], of: _Placed) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        room = f" with {readable(of.claim_bytes)} of GPU {of.gpu.name}" if of.gpu else ""
        fix = "run fewer at a time (--jobs), or a smaller model"
        text = f"its process died{room}, most likely for want of memory; {fix}"
        # Of the host, as a rule; fewer beside it help there too.
        return Outcome(of.wanted.job.label, None, text, 0.0, out_of_memory=True)


def _in_a_process(job: Job, gpu: str) -> Started:
    """A process of its own: CUDA looks at the environment once, and who dies takes nobody along."""
    pool: Any = own_process({"CUDA_VISIBLE_DEVICES": gpu})
    future: Future[Outcome] = pool.submit(carry_out, job)
    # It ends with its run.
    future.add_done_callback(lambda _: pool.shutdown(wait=False))
    return Started(future, lambda: pool.shutdown(kill_workers=True))
