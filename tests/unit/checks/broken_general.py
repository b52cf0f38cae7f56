"""Components whose settings break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from gapslsim.checks import settings as claims
from gapslsim.data.partition import partitions
from gapslsim.data.partitions.iid import Iid
from gapslsim.registry import component


def registered(cls: type[Any], **settings: Any) -> Any:
    """Makes it a partition when the case is looked at; the test takes it out again."""
    return lambda: partitions.register(cls)(**settings)


@component
class Hashed(Iid):
    """Has a list."""

    kind: Literal["hashed"] = "hashed"  # type: ignore[assignment]
    shares: list[float]
    """Of each client."""


@component
class Doubled(Iid):
    """Writes something else than it reads."""

    kind: Literal["doubled"] = "doubled"  # type: ignore[assignment]
    share: float = 1.0
    """Of the first client."""

    @field_validator("share")
    @classmethod
    def _double(cls, share: float) -> float:
        return 2 * share


@component
class Refused(Iid):
    """Refuses what it writes."""

    kind: Literal["refused"] = "refused"  # type: ignore[assignment]
    share: float = 1.0
    """Of the first client."""

    @field_validator("share")
    @classmethod
    def _percent(cls, share: float) -> float:
        if share < 1:
            raise ValueError("give per cent")
        return share / 100


@component
class Opaque(Iid):
    """Holds what is no setting."""

    kind: Literal["opaque"] = "opaque"  # type: ignore[assignment]
    share: Any = None
    """Of the first client."""


@component
class Bare(Iid):
    kind: Literal["bare"] = "bare"  # type: ignore[assignment]


@component
class Unexplained(Iid):
    """Has a setting that nobody knows."""

    kind: Literal["unexplained"] = "unexplained"  # type: ignore[assignment]
    share: float = 1.0


CASES: list[tuple[Any, Any, str]] = [
    (
        claims.settings_come_back,
        registered(Doubled, share=1.0),
        "is not Doubled(sizes=None, label_noise=0.0, kind='doubled', share=2.0)",
    ),
    (
        claims.settings_come_back,
        registered(Refused, share=50.0),
        "refused when they are read: share: Value error",
    ),
    (claims.settings_come_back, registered(Opaque, share=object()), "cannot be written as JSON"),
    (claims.settings_are_keys, registered(Hashed, shares=[1.0]), "Hashed cannot be hashed"),
    (claims.meanings_are_told, registered(Bare), "class Bare has no docstring"),
    (claims.meanings_are_told, registered(Unexplained), "the setting 'share' has no meaning"),
    (claims.meanings_are_told, lambda: Bare(), "Bare is registered in no family"),
]
NOTES: list[tuple[Any, Any, str]] = []
