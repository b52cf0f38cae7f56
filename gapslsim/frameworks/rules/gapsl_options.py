"""What can be chosen in GAPSL; shared by the rules `gapsl` and `leader` and by the frameworks built on them."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from gapslsim.learning.rules import Compared
from gapslsim.registry import component

__all__ = ["GapslOptions", "LeaderOptions"]

Share = Annotated[float, Field(gt=0, le=1)]


@component
class LeaderOptions:
    """How the leader gradient is found: LGI, Section III-B of [lin2026gapsl], or one of its ablations."""

    leader: Literal["lgi", "mean", "random", "fixed_ratio", "single"] = "lgi"
    """`lgi`: the clients with the lowest consistency scores. `mean`: all clients (Non-LGI). `random`: a random subset
    of the size that LGI would take (Rand-LGI). `fixed_ratio`: as LGI, with the share `leader_ratio` in every round
    (Fig. 8). `single`: one client, `leader_client` (Fig. 5)."""
    k_min: Share = 0.2
    """K_min of Eq. (2), the least share of the clients in the leader set."""
    k_max: Share = 0.8
    """K_max of Eq. (2), the largest share."""
    leader_ratio: Share | None = None
    """Share of the clients in the leader set; for `leader: fixed_ratio` only, which needs it."""
    leader_client: NonNegativeInt | None = None
    """Index of the client that leads, 0 if not given; for `leader: single` only. In a round without it, the next
    participant by index leads (cyclically)."""
    planned_rounds: PositiveInt | None = None
    """T of Eq. (2); taken from the stop condition if not given."""
    compare: Compared = "shared"
    """What is compared where client groups are cut unlike. `shared`: the gradients of those of the server's blocks that
    all clients go through there; its other blocks get the mean over the admitted clients that have them there. `own`:
    the gradients of all its blocks, with zeros where a client has a block itself."""

    def options(self) -> dict[str, Any]:
        """The options as keyword arguments: `server_updates["gapsl"](**self.options())`."""
        owner = next(cls for cls in type(self).__mro__ if cls in (GapslOptions, LeaderOptions))
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(owner)}

    @property
    def compares(self) -> Compared:
        """As chosen."""
        return self.compare

    @property
    def needs_planned_rounds(self) -> bool:
        """Whether T enters: where the size of the leader set follows Eq. (2)."""
        return self.leader in ("lgi", "random")

    def leader_problems(self, n_clients: int) -> list[str]:
        """What keeps the options from working with so many clients, in words; empty if nothing."""
        if self.leader_client is None or self.leader_client < n_clients:
            return []
        return [
            f"leader_client is {self.leader_client}, but there are {n_clients} clients; "
            f"choose from 0 to {n_clients - 1}"
        ]

    @model_validator(mode="after")
    def _check_leader(self) -> Self:
        if self.k_min > self.k_max:
            raise ValueError(
                f"k_min must not be above k_max; found k_min {self.k_min} and k_max {self.k_max}. "
                "Swap them or set both to the same share."
            )
        _given_only_with(self, "leader_ratio", "leader", "fixed_ratio", needed="for instance 0.33")
        _given_only_with(self, "leader_client", "leader", "single")
        return self


@component
class GapslOptions(LeaderOptions):
    """How GAPSL leads and admits: LGI and GDA, Sections III-B and III-C of [lin2026gapsl], with our readings."""

    eta: Annotated[float, Field(ge=-1000, le=1000)] = 0.1
    """eta of Eq. (6): standard deviations that the threshold lies below the mean angle; below 0, above it, so that more
    clients are admitted. The source gives no value and no sign."""
    lambda_: NonNegativeFloat = Field(
        default=5e-4, validation_alias=AliasChoices("lambda", "lambda_"), serialization_alias="lambda"
    )
    """lambda of Eq. (7), the weight of the alignment penalty. The source: 5e-4 for VGG-16, 3e-5 for ViT-Base."""
    gradient: Literal["detached", "exact", "steer"] = "detached"
    """How Eq. (7) is differentiated. `detached`: gradients are constants in the penalty, so it only enters the reported
    loss (footnote 6). `exact`: double backpropagation with the leader gradient constant. `steer`: turns each admitted
    gradient towards the leader, first order, server only."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over admitted clients. `sum` is Eq. (8) as printed; `mean` keeps the step size of the baselines."""
    length: Literal["own", "mean"] = "own"
    """Length of the update. `own`: as the reduction gives it. `mean`: that of the mean gradient of all clients, so that
    GAPSL differs from PSL in direction alone."""
    on_empty: Literal["nearest", "skip"] = "nearest"
    """When nobody is admitted: admit the client closest to the leader, or leave the server as it is in this round."""
    excluded: Literal["freeze", "zero", "train"] = "freeze"
    """What a client that is not admitted does. `freeze`: it gets no cut gradient and is not updated at all. `zero`:
    Eq. (8) literally, a zero cut gradient goes through its optimizer, so momentum and weight decay go on. `train`: it
    still trains with its own cut gradient."""
    admission: Literal["adaptive", "all", "random", "fixed_threshold"] = "adaptive"
    """`adaptive`: Eq. (6). `all`: everyone. `random`: a random subset of the size that Eq. (6) would admit (Rand-GDA).
    `fixed_threshold`: angles up to `threshold_rad` (Fig. 13)."""
    threshold_rad: Annotated[float, Field(ge=0, le=math.pi)] | None = None
    """Largest angle to the leader [rad]; for `admission: fixed_threshold` only, which needs it."""

    @model_validator(mode="after")
    def _check_admission(self) -> Self:
        _given_only_with(self, "threshold_rad", "admission", "fixed_threshold", needed="for instance 0.36")
        if self.length == "mean" and self.reduction == "sum":
            raise ValueError("'reduction: sum' has no effect with 'length: mean'. Leave one of them out.")
        return self


def _given_only_with(owner: object, name: str, selector: str, choice: str, needed: str | None = None) -> None:
    """Refuses an option that has no effect, or (with an example in `needed`) one that is missing."""
    given, chosen = getattr(owner, name) is not None, getattr(owner, selector)
    if given and chosen != choice:
        raise ValueError(
            f"{name} has no effect with '{selector}: {chosen}'. Remove it or set '{selector}: {choice}'."
        )
    if needed and not given and chosen == choice:
        raise ValueError(f"'{selector}: {choice}' needs {name}; add it, {needed}.")
