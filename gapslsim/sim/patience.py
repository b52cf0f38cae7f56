"""What senders do about messages that do not arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeInt

from gapslsim.registry import component
from gapslsim.units import Quantity

__all__ = ["Patience", "Retry"]


@component
class Retry:
    """Time-outs of messages, with repetitions that wait ever longer."""

    timeout: Annotated[float, Quantity("s", positive=True)]
    """Time within which a message must have arrived; one that has not is given up, and sent again."""
    times: NonNegativeInt = 3
    """How often it is sent again before it is lost for good."""
    backoff: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Factor on the time-out from one repetition to the next."""

    def limit_s(self, n_lost: int) -> float:
        """The time-out after so many that did not arrive [s]."""
        return self.timeout * self.backoff**n_lost


@dataclass
class Patience:
    """What senders do about messages that do not arrive; set by the framework that is played."""

    retry: Retry | None = None
