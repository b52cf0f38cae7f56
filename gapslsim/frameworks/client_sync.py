"""The slot of parallel split learning that synchronises the client-side models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import Family

__all__ = ["ClientSync", "client_syncs"]


class ClientSync(ABC):
    """What happens to the client-side models at the end of a round."""

    needs_stations: ClassVar[bool] = False
    """Whether somebody has to be between clients and server."""

    @property
    def per_epoch(self) -> bool:
        """Whether it counts local epochs, so that a round must be one."""
        return False

    @abstractmethod
    def run(self, w: Stage) -> Process[None]:
        """The process; ends at once if nothing is due."""


client_syncs: Family[ClientSync] = Family("client_sync", "gapslsim.frameworks.rules.client_sync")
