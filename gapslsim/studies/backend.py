"""Where runs are carried out: processes of this machine, its GPUs, Ray or Dask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Self

from gapslsim.errors import ComponentError, unknown
from gapslsim.studies._execute import Job, Outcome, SharedDisk
from gapslsim.studies.gpus import find_gpus

__all__ = ["Backend", "make_backend"]


class Backend(ABC):
    """Carries jobs out side by side.

    Args:
        address: of a cluster; one is started on this machine if it is empty.
        n_jobs: runs at the same time; None for as many as there are cores.
    """

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        self.address = address
        self.n_jobs = n_jobs

        self.say: Callable[[str], None] = _nobody_hears
        """Tells what goes on beside the runs, such as a worker that died."""

    def __enter__(self) -> Self:
        """Connects. Raises ComponentError if there is no such cluster, or it has no workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go of the cluster; ends one that was started here."""
        self.say = _nobody_hears

    def without(self, disk: SharedDisk) -> list[str]:
        """Machines that do not see a journal, as far as they can be asked before they are given work."""
        return []

    def shares_cpus(self, n_runs: int) -> bool:
        """Whether more than one run at a time uses the same CPUs."""
        return True

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Outcomes in the order in which runs end. Closing the iterator ends what is still running."""


def _nobody_hears(note: str) -> None: ...


BACKENDS = ("local", "ray", "dask")
"""Names of the files in `backends/`, each with the class of that name."""


def make_backend(name: str, address: str = "", n_jobs: int | None = None, gpus: str | None = None) -> Backend:
    """A backend by name.

    Args:
        name: one of `BACKENDS`.
        address: of a cluster.
        n_jobs: runs at a time.
        gpus: how many GPUs of this machine, or which; None for all that are here, if any.

    Raises:
        ComponentError: if there is none of that name, it takes no address, its package is not installed, or a GPU that
            is asked for is not here.
    """
    if name not in BACKENDS:
        raise ComponentError(unknown("backend", name, BACKENDS))
    if name == "local" and address:
        raise ComponentError(
            f"The backend 'local' takes no address (found {address!r}); add --backend ray or dask"
        )
    if name != "local" and gpus is not None:
        raise ComponentError(
            f"--gpus shares the GPUs of this machine, and {name} places runs itself; leave it out"
        )
    made: Backend
    if name == "local" and (found := find_gpus(gpus)):
        made = import_module("gapslsim.studies.backends.on_gpus").OnGpus(found, n_jobs)
        return made
    module = import_module(f"gapslsim.studies.backends.{name}")
    made = getattr(module, name.capitalize())(address, n_jobs)
    return made
