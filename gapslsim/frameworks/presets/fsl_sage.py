"""FSL-SAGE: auxiliary networks that estimate the server's gradients, and are aligned with them now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from gapslsim.frameworks._local_losses import Kept, LocalLosses
from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.stage import Activity, Process, Stage
from gapslsim.learning.auxiliary import Auxiliary
from gapslsim.learning.names import auxiliary_of
from gapslsim.registry import component

if TYPE_CHECKING:
    from gapslsim.learning.operation import SmashedData

__all__ = ["FslSage"]


@frameworks.register
@component
class FslSage(LocalLosses):
    """FSL-SAGE: smashed activation gradient estimation (Nair et al., arXiv 2505.23182; code srijith1996/FSL-SAGE).

    Clients follow the gradient of an auxiliary network's loss, which only the server trains: in every l-th round, when
    it has stepped on a client's first mini-batch, it makes the network's gradients at the cut like its own, on the
    smashed data that it has kept of this client, and sends the network down; the client waits for it. Client-side
    models are averaged once per local epoch, auxiliary networks are not, as in the public code. A client's gradient of
    its auxiliary network costs a whole backward pass here.
    """

    kind: Literal["fsl_sage"] = "fsl_sage"
    auxiliary: Auxiliary = Field(default_factory=lambda: Auxiliary(averaged=False))
    """The network with which clients estimate the server's gradients."""
    upload_every: PositiveInt = 5
    """h: of so many mini-batches of a client the first one is sent; counted anew in each local epoch."""
    align_every: PositiveInt = 10
    """l: rounds from one alignment to the next; the first round has one."""
    align_epochs: Annotated[int, Field(ge=1, le=1000)] = 5
    """Passes over what is kept in an alignment."""
    align_batch: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Samples of a step of an alignment."""
    kept_samples: Annotated[int, Field(ge=1, le=100_000_000)] = 1000
    """Samples whose smashed data the server keeps of each client, in whole mini-batches: the newest."""
    align_to: Literal["own", "all"] = "own"
    """The server's gradients are those of the mean loss over the samples of a step (`own`), as the network's are; or
    over all that are kept, which the public code does: they are smaller by as much as there are more."""

    def _sent(
        self, w: Stage, smashed: SmashedData, step: Activity[None], is_first: bool, kept: Kept
    ) -> Process[None]:
        """The server keeps what was sent; in a round of alignment the client waits for its network."""
        client = smashed.batch.client
        of_client = kept.setdefault(client, [])
        of_client.append(smashed)
        smashed.batch.is_kept = True
        while len(of_client) > 1 and sum(one.batch.size for one in of_client) > self.kept_samples:
            of_client.pop(0)
        if not is_first or (w.round - 1) % self.align_every:
            return
        yield from step
        model = self.server_schedule.model(client)
        align = w.learner.align_auxiliary(
            client, of_client, self.align_epochs, self.align_batch, self.align_to == "all", model
        )
        aligned = yield from w.server.compute(align, on_behalf_of=(client,))
        network = yield from w.server.send(w.learner.weights(aligned), w.client(client), "model_downlink")
        w.learner.install(auxiliary_of(client), network, "keep")

    @property
    def trains_auxiliary(self) -> bool:
        """No: the server does."""
        return False
