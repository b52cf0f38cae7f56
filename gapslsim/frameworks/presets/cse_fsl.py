"""CSE-FSL: local losses, smashed data sent now and then, one server-side model."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from gapslsim.frameworks._local_losses import LocalLosses
from gapslsim.frameworks.framework import frameworks
from gapslsim.registry import component

__all__ = ["CseFsl"]


@frameworks.register
@component
class CseFsl(LocalLosses):
    """CSE-FSL: communication and storage efficient federated split learning (Mu and Shen, arXiv 2302.05599).

    Clients train their part and an auxiliary network on a local loss, send the smashed data of every h-th mini-batch,
    and get no gradient; the server has one model for all and steps on what arrives in the order of arrival. Client-side
    models and auxiliary networks are averaged once per local epoch. Departures: the source's server may wait for all
    smashed data of an averaging period, and its C epochs between averagings are one epoch, or rounds of one mini-batch
    (`client_sync.every`).
    """

    kind: Literal["cse_fsl"] = "cse_fsl"
    upload_every: PositiveInt = 5
    """h: of so many mini-batches of a client the first one is sent; counted anew in each local epoch."""
