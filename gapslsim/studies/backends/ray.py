"""A Ray cluster, by its address, or one that is started on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final, Self

from gapslsim.errors import ComponentError, optional
from gapslsim.studies._execute import Job, Outcome, SharedDisk, carry_out
from gapslsim.studies.side_by_side import Lost, SideBySide
from gapslsim.units import whole_number

__all__ = ["Ray"]

CONNECT_S: Final = 60.0
_ASK_S: Final = 60.0
_QUIET: Final[dict[str, Any]] = {"log_to_driver": False, "logging_level": "ERROR"}
_TRY: Final = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


class Ray(SideBySide):
    """One task per run, one core each; gapslsim must be installed on every machine of the cluster."""

    def __init__(self, address: str = "", n_jobs: int | None = None) -> None:
        super().__init__(address, n_jobs)
        self._ray = optional("ray", "The backend 'ray'", "Ray", "ray")
        self._task: Any = None

    def __enter__(self) -> Self:
        ray = self._ray
        try:
            if self.address:
                self._try()
                ray.init(address=self.address, **_QUIET)
            else:
                ray.init(
                    address="local", num_cpus=self.n_jobs or os.cpu_count(), include_dashboard=False, **_QUIET
                )
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            where = f"at {self.address!r}" if self.address else "on this machine"
            raise ComponentError(
                f"no Ray cluster answers {where}: {error}; check --address (HEAD:6379 as `ray start --head` prints "
                "it), that the port is open from here, and that Ray and Python have the same versions everywhere"
            ) from error
        # Who is lost is begun again by us, who say so.
        self._task = ray.remote(num_cpus=1, max_retries=0)(carry_out)
        return self

    def _try(self) -> None:
        """Connects in another process: in this one Ray waits for minutes, and then may end it."""
        host, _, port = self.address.removeprefix("ray://").rpartition(":")
        if host and (number := whole_number(port)) is not None:
            # Whether anything listens there is known at once.
            socket.create_connection((host, number), timeout=CONNECT_S / 6).close()
        words = [sys.executable, "-c", _TRY, self.address]
        try:
            found = subprocess.run(words, capture_output=True, text=True, timeout=CONNECT_S, check=False)
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"nothing was heard for {CONNECT_S:.0f} s") from None
        if found.returncode:
            lines = [line.strip() for line in found.stderr.splitlines() if "Error" in line or "rror:" in line]
            raise ConnectionError(lines[-1][:300] if lines else "Ray could not connect")

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()
        super().__exit__()

    def without(self, disk: SharedDisk) -> list[str]:
        """Nodes that do not see a journal."""
        ray = self._ray
        at = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        asked = [
            ray.remote(num_cpus=0, scheduling_strategy=at(node["NodeID"], soft=False))(
                SharedDisk.blind
            ).remote(disk)
            for node in ray.nodes()
            if node["Alive"]
        ]
        # A node that is busy or on its way is found out by its first run.
        done, _ = ray.wait(asked, num_returns=len(asked), timeout=_ASK_S)
        return sorted(filter(None, ray.get(done)))

    def room(self) -> int:
        """A core each."""
        return self.n_jobs or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def start(self, job: Job) -> Any:
        """A task."""
        return self._task.remote(job)

    def ended(self, under_way: Sequence[Any]) -> tuple[Any, Outcome | Lost]:
        """Of the first task that ends."""
        ray = self._ray
        (done, *_), _ = ray.wait(list(under_way), num_returns=1)
        try:
            return done, ray.get(done)
        except ray.exceptions.RayError as error:
            # The last line of a traceback, such as that of a package which a machine lacks.
            said = [str(error).strip().splitlines()[-1]] if str(error).strip() else []
            return done, Lost(": ".join([f"its Ray worker was lost ({type(error).__name__})", *said]))
