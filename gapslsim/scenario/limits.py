"""When a run is evaluated and when it stops."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, PositiveInt, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gapslsim.attacks.attack import Attack
from gapslsim.bounds import LARGEST
from gapslsim.learning.metric import Metric, metrics
from gapslsim.records import EvaluationRow
from gapslsim.registry import component
from gapslsim.units import Quantity, format_quantity, parse_quantity

__all__ = ["Evaluation", "Every", "Patience", "Stop", "Unit", "View"]

View = Literal["global", "clients", "ensemble", "local"]
"""Whose accuracy: the mean of the client-side models; each client's own on the whole test set; the mean of the
clients' probabilities; each client's own on its own label distribution."""
PositiveSeconds = Annotated[float, Quantity("s", positive=True)]
Accuracy = Annotated[float, Field(gt=0, le=1)]
AnyMetric = Annotated[Metric, metrics]
"""Named here: within `Evaluation` the name `metrics` is the field."""

Unit = Literal["rounds", "epochs", "s", "steps", "samples"]
"""In what an interval is counted: training rounds, passes over the data, simulated seconds, optimizer steps of the
server, training samples."""

_COUNTED = re.compile(
    r"^\s*(\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,2})?)\s*((rounds?|epochs?|samples?)|(?:server\s+)?steps?)\s*$"
)


@dataclass(frozen=True, slots=True)
class Every:
    """An interval: `10 rounds`, `2 epochs`, `50 steps` of the server, `1000 samples` or `30 s` of simulated time."""

    amount: float
    """How many; whole for rounds, steps and samples, seconds for time."""
    unit: Unit

    @classmethod
    def parse(cls, text: object) -> Every:
        """Reads `10 rounds`. Raises ValueError that names the fix."""
        fix = (
            "write a number of rounds, epochs, server steps or samples, or simulated time, for instance '10 rounds', "
            "'2 epochs', '50 steps', '1000 samples' or '30 s'"
        )
        match = _COUNTED.match(text) if isinstance(text, str) else None
        if match is not None:
            amount, unit = float(match[1]), (match[3] or "steps").removesuffix("s") + "s"
            whole = unit != "epochs"
            if amount > LARGEST["int"]:
                raise ValueError(f"found {text!r}; write at most {LARGEST['int']:g} {match[2]}")
            if amount <= 0 or (whole and not amount.is_integer()):
                rule = "a whole number, 1 or more" if whole else "more than 0"
                raise ValueError(f"found {text!r}; the number of {match[2]} must be {rule}")
            return cls(amount, cast("Unit", unit))
        try:
            seconds = parse_quantity(text, "s")
        except ValueError:
            raise ValueError(f"found {text!r}; {fix}") from None
        if seconds == 0:
            raise ValueError(f"found {text!r}; the interval must be more than 0, for instance '30 s'")
        return cls(seconds, "s")

    def passed(self, along: float) -> int:
        """How many whole intervals lie behind a place; what rounding errors keep from one by less than 1e-9 counts."""
        return int(along / self.amount + 1e-9)

    def __str__(self) -> str:
        if self.unit == "s":
            return format_quantity(self.amount, "s")
        number = repr(self.amount).removesuffix(".0")
        return f"{number} {self.unit.removesuffix('s') if self.amount == 1 else self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Text to interval and back."""

        def read(value: Any) -> Every:
            if isinstance(value, Every):
                return value
            try:
                return cls.parse(value)
            except ValueError as error:
                raise PydanticCustomError("quantity", "{reason}", {"reason": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A string with a pattern."""
        units = r"(rounds?|epochs?|(server\s+)?steps?|samples?|[num\u00b5]?s|min|h)"
        return {
            "type": "string",
            "pattern": rf"^\s*\d+(\.\d+)?([eE][-+]?\d+)?\s*{units}\s*$",
            "examples": ["10 rounds", "2 epochs", "50 steps", "1000 samples", "30 s"],
        }


@component
class Evaluation:
    """When accuracy is measured on the test set and in which views; it takes no simulated time."""

    every: Every = Every(10, "rounds")
    """Interval between evaluations: `10 rounds`, `2 epochs`, `50 steps` of the server, `1000 samples` or `30 s` of
    simulated time."""
    views: tuple[View, ...] = Field(default=get_args(View), min_length=1)
    """Whose accuracy is reported."""
    batch_size: PositiveInt = 256
    """Test samples per forward pass; changes speed and memory only."""
    targets: tuple[Accuracy, ...] = ()
    """Accuracies in (0, 1] for which the simulated time to reach them is reported."""
    near_targets: Every | None = None
    """Interval between further evaluations while a target is near, for instance `1 round`: no further than ten points,
    or than the last rise, and before the first evaluation that is due. They tell more finely when a target was reached,
    and change neither training nor the end."""
    geometry: Every | Literal["never"] | None = None
    """Interval between rounds whose gradients are measured (tables `gradients`, `updates`, `pairwise`), the first round
    included, for instance `10 rounds`; or `never`. Unless given: every round where the server's rule sees each client's
    gradient, else none. Takes no simulated time and changes no result."""
    metrics: tuple[AnyMetric, ...] = ()
    """What models are judged by besides accuracy and loss, for instance `[f1, balanced_accuracy]`: columns of
    `evaluations`."""
    per_class: bool = False
    """Whether the tables `confusion` and `per_class` are kept: what is said of the samples of each class."""
    predictions: bool = False
    """Whether the table `predictions` is kept: what each model says of each test sample at the last evaluation."""
    leakage: Attack | None = None
    """What is tried to find out from smashed data when the run ends, `{}` for the usual: tables `leakage` and
    `reconstructions`; nothing unless given."""
    target_view: View = "global"
    """The view in which `targets` and `stop.target_accuracy` are judged."""

    def geometry_interval(self, sees_client_gradients: bool) -> Every | None:
        """Interval between measured rounds; None for none.

        Args:
            sees_client_gradients: whether the server's rule needs each client's gradient.
        """
        if self.geometry is None:
            return Every(1, "rounds") if sees_client_gradients else None
        return self.geometry if isinstance(self.geometry, Every) else None

    @model_validator(mode="after")
    def _target_is_a_view(self) -> Evaluation:
        if self.target_view not in self.views:
            raise ValueError(
                f"target_view {self.target_view!r} is not among views ({', '.join(self.views)}); "
                "add it to views or choose another target_view"
            )
        return self

    @model_validator(mode="after")
    def _near_targets_has_some(self) -> Evaluation:
        near = self.near_targets
        if near is not None and not self.targets:
            raise ValueError("near_targets: there are no targets to be near to; add targets or leave it out")
        if near is not None and near.unit == self.every.unit and near.amount >= self.every.amount:
            raise ValueError(
                f"near_targets ({near}) must be less than every ({self.every}); write less or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _metrics_have_columns(self) -> Evaluation:
        kinds = [metric.kind for metric in self.metrics]
        for kind in kinds:
            if kind in EvaluationRow._fields:
                raise ValueError(f"metrics: {kind!r} is a column of evaluations already; rename the metric")
            if kinds.count(kind) > 1:
                raise ValueError(
                    f"metrics: {kind!r} is given twice; keep one, or register yours as another kind"
                )
        return self


@component
class Patience:
    """For how long a run goes on without getting better."""

    evaluations: PositiveInt
    """So many evaluations in a row that are no better than the best before them end the run."""
    of: str = "accuracy"
    """What shall get better: `accuracy`, `loss` or one of `evaluation.metrics`."""
    view: View = "global"
    """In which view; the mean over its clients where it has a model for each."""
    by: Annotated[float, Field(ge=0)] = 0.0
    """What is better by no more than this counts as no better."""

    def __str__(self) -> str:
        return f"{self.evaluations} evaluations without a better {self.of} in the {self.view} view"


@component
class Stop:
    """When a run ends: the first of these that holds; at least one is needed.

    Where a protocol has no barrier between rounds they are looked at after every update of the server, and simulated
    time ends the run at that very instant.
    """

    rounds: PositiveInt | None = None
    """After so many training rounds."""
    epochs: Annotated[float, Field(gt=0)] | None = None
    """After so many passes over the training data."""
    server_steps: PositiveInt | None = None
    """At the end of the round in which the server-side model, or a global one, was updated so many times."""
    samples: PositiveInt | None = None
    """At the end of the round in which so many training samples have been processed."""
    simulated_time: PositiveSeconds | None = None
    """At the end of the round in which the simulated clock passes this."""
    target_accuracy: Accuracy | None = None
    """At the first evaluation that reaches this accuracy in the target view."""
    patience: Patience | None = None
    """At the last of so many evaluations in a row that are no better, for instance `{evaluations: 5, of: loss}`."""

    @model_validator(mode="after")
    def _at_least_one(self) -> Stop:
        unplanned = (self.simulated_time, self.target_accuracy, self.patience)
        if not self.is_planned and all(limit is None for limit in unplanned):
            raise ValueError(
                "nothing says when to stop; give one of rounds, epochs, server_steps, samples, simulated_time, "
                "target_accuracy or patience, for instance 'rounds: 200'"
            )
        return self

    @property
    def is_planned(self) -> bool:
        """Whether the number of rounds is known beforehand: something else than time or accuracy ends the run."""
        return not self.rounds is self.epochs is self.server_steps is self.samples is None

    def planned_rounds(
        self,
        rounds_per_epoch: float,
        samples_per_round: float | None = None,
        steps_per_round: float | None = None,
    ) -> int | None:
        """T: how many rounds there will be at most; None if only time or accuracy ends the run.

        Args:
            rounds_per_epoch: training samples over samples per round.
            samples_per_round: training samples that a round is expected to process; without it `samples` plans nothing.
            steps_per_round: optimizer steps of the server in a round; without it `server_steps` plans nothing.
        """
        limits = [float(self.rounds)] if self.rounds is not None else []
        if self.epochs is not None:
            limits.append(self.epochs * rounds_per_epoch)
        if self.samples is not None and samples_per_round:
            limits.append(self.samples / samples_per_round)
        if self.server_steps is not None and steps_per_round:
            limits.append(self.server_steps / steps_per_round)
        # A whole number of rounds that rounding errors lift by less than 1e-9 stays what it is.
        return max(1, math.ceil(min(limits) - 1e-9)) if limits else None
