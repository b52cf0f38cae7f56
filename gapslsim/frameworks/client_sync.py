"""The slot of parallel split learning that synchronises the client-side models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import Family

if TYPE_CHECKING:
    from gapslsim.learning.operation import SentWeights

__all__ = ["ClientSync", "client_syncs", "send_model"]


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


def send_model(w: Stage, client: int) -> Process[SentWeights]:
    """A client's model, as it is now, to the parameter server."""
    return (yield from w.client(client).send(w.learner.weights(client), w.parameter_server, "model_uplink"))


client_syncs: Family[ClientSync] = Family("client_sync", "gapslsim.frameworks.rules.client_sync")
