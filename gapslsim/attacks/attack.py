"""What is tried on the smashed data of a run when it ends: settings."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from gapslsim.registry import component

__all__ = ["MOST_SAMPLES", "Attack"]

MOST_SAMPLES: Final = 2000
"""That are attacked: distance correlation compares all pairs, 32 MB a matrix."""


@component
class Attack:
    """What smashed data gives away: distance correlation, and a decoder trained on auxiliary data, see
    docs/howto/leakage.md. It takes no simulated time and changes no other result.
    """

    samples: Annotated[int, Field(ge=4, le=MOST_SAMPLES)] = 256
    """Test inputs that are attacked; no more than half of the test set where the auxiliary data come from it, too."""
    auxiliary: Annotated[int, Field(ge=8, le=100_000)] = 1000
    """Inputs that the attacker knows and has smashed data of, as many of them as there are: the decoder learns from
    them."""
    auxiliary_from: Literal["test", "train", "client"] = "test"
    """Where they come from: test inputs that are not attacked; training inputs of all clients; or those of client 0
    alone, which then helps the attacker."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    """Passes of the decoder's training over them."""
    clients: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Whose client-side models are looked at beside their mean; the first of each group unless given."""
