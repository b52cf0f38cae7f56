"""Search: settings that a study draws from ranges instead of having them listed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Discriminator, Field, PositiveInt, Tag, model_validator

from gapslsim.registry import Family, component
from gapslsim.results.measure import MeasureList
from gapslsim.results.measures.accuracy import Accuracy

__all__ = ["Point", "Range", "Search", "Told", "searches"]

Point = tuple[float, ...]
"""A number per path of the space; of a list, the place in it."""
Told = Sequence[tuple[float, ...] | None]
"""Of every point so far in order: what each objective was, or None if a run of it failed or gave no number."""

_DIGITS = 4


@component
class Range:
    """Numbers from one to another."""

    from_: Annotated[float, Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")]
    """The least."""
    to: float
    """The greatest."""
    scale: Literal["linear", "log"] = "linear"
    """Whether differences count alike, or factors."""
    whole: bool = False
    """Whether only whole numbers are meant."""

    @model_validator(mode="after")
    def _is_one(self) -> Range:
        if not self.from_ < self.to:
            raise ValueError(f"from ({self.from_:g}) must be less than to ({self.to:g}); exchange them")
        if self.scale == "log" and self.from_ <= 0:
            raise ValueError(
                f"on a scale of factors, from must be more than 0 (found {self.from_:g}); raise it"
            )
        if self.whole and not (self.from_.is_integer() and self.to.is_integer()):
            raise ValueError(f"whole numbers lie between whole ends (found {self.from_:g} and {self.to:g})")
        return self

    def at(self, share: float) -> float:
        """The number at a share of the way, in [0, 1)."""
        widen = 0.5 if self.whole else 0.0
        ends = self.from_ - widen, self.to + widen
        if self.scale == "log":
            return self.tidy(math.exp(math.log(ends[0]) + share * math.log(ends[1] / ends[0])))
        return self.tidy(ends[0] + share * (ends[1] - ends[0]))

    def tidy(self, number: float) -> float:
        """The number as it is run and labelled: whole, or with four digits."""
        number = float(round(number)) if self.whole else float(f"{number:.{_DIGITS}g}")
        return min(self.to, max(self.from_, number))


def _form(value: Any) -> str:
    return "list" if isinstance(value, list) else "range"


Entry = Annotated[
    Annotated[Range, Tag("range")] | Annotated[list[Any], Field(min_length=2), Tag("list")],
    Discriminator(_form),
]


@component
class Search(ABC):
    """Settings of a search; a pydantic component."""

    kind: str
    """Name in study files; each fixes its own."""
    space: Annotated[
        dict[str, Entry], Field(min_length=1, examples=[{"training.client.lr": {"from": 0.001, "to": 1}}])
    ]
    """Path to a range, `{from: 0.001, to: 1, scale: log}`, or to a list of values of which one is taken."""
    trials: Annotated[PositiveInt, Field(le=10_000)]
    """How many settings are tried; each with every seed. The same ones are tried once."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Of what is drawn; not of the runs."""
    learns: ClassVar[bool] = False
    """Whether what is tried next follows from what was measured."""
    objective: MeasureList = (Accuracy(),)
    """What is best is told by this: a measure of figures, or several; then by all settings that none beats in all."""

    def __init_subclass__(cls) -> None:
        # Else each dataclass gets a hash of all its settings, and `space`, a mapping, has none.
        if "__hash__" not in vars(cls):
            cls.__hash__ = Search.__hash__  # type: ignore[method-assign]

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.space), self.trials, self.seed))

    @abstractmethod
    def ask(self, told: Told) -> list[Point]:
        """The next points; none if there are as many as there shall be.

        Args:
            told: of all that were asked for before.
        """

    def points(self, shares: Sequence[Sequence[float]]) -> list[Point]:
        """From places in the unit cube to points."""
        return [
            tuple(self._at(entry, x) for entry, x in zip(self.space.values(), row, strict=True))
            for row in shares
        ]

    def _at(self, entry: Entry, share: float) -> float:
        return entry.at(share) if isinstance(entry, Range) else float(int(share * len(entry)))


searches: Family[Search] = Family("search", "gapslsim.studies.searches")
