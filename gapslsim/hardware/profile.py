"""What a hardware profile holds: one YAML file per device, every number with its status and source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from gapslsim.hardware.corrected import Corrections
from gapslsim.hardware.cost_model import CostModel, cost_models
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Cold, Overheads, Throttling
from gapslsim.kernels import Precision
from gapslsim.registry import component
from gapslsim.units import Joules, Power, Quantity, Seconds

__all__ = [
    "Calibration", "Cold", "Evidence", "FittedRange", "HeldOutError", "Jitter", "Memory", "Mode", "Overheads",
    "PowerDraw", "Profile", "Tail", "Throttling", "Uncertainty", "profile_schema",
]  # fmt: skip

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([-.][a-z0-9]+)*$")]
"""Lower-case words joined by hyphens, as in a scenario: `jetson-nano`."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Bytes = Annotated[float, Quantity("B", positive=True)]
"""Amount of memory above zero [B]."""


@component
class Memory:
    """Memory of a device."""

    total: Figure[Bytes]
    """What is built in [B]."""
    usable: Figure[Bytes]
    """What a training process can have [B]."""

    @model_validator(mode="after")
    def _usable_is_there(self) -> Memory:
        if self.usable.value > self.total.value:
            raise ValueError(
                f"usable memory ({self.usable.value:g} B) is more than the total ({self.total.value:g} B); "
                "lower usable or raise total"
            )
        return self


@component
class Jitter:
    """Random factor on every duration, of mean 1."""

    distribution: Literal["lognormal"] = "lognormal"
    """exp(sigma z - sigma^2 / 2) with z standard normal."""
    sigma: Figure[Annotated[float, Field(ge=0, lt=1)]]
    """Standard deviation of the factor's logarithm; 0 for none."""
    correlation: Figure[Annotated[float, Field(ge=0, lt=1)]] | None = None
    """Of z from one computation to the next, AR(1): z' = c z + sqrt(1 - c^2) e; independent (0) unless given."""


@component
class Tail:
    """What a radio does when no more bits move: it stays awake, as LTE does until its inactivity timer ends."""

    power: Figure[Power]
    """Of the whole device meanwhile [W]."""
    duration: Figure[Seconds]
    """How long it stays awake [s]; the next transfer cuts it short."""


@component
class PowerDraw:
    """Power of the whole device in each state."""

    idle: Figure[Power]
    """Waiting [W]."""
    compute: Figure[Power]
    """Training at full load [W]."""
    loading: Figure[Power] | None = None
    """Waiting for samples that are being read and augmented [W]; as `compute` unless given."""
    send: Figure[Power]
    """While bits are sent [W]: at full rate; where `send_per_bit` is given, at rate 0."""
    receive: Figure[Power]
    """While bits are received [W]: at full rate; where `receive_per_bit` is given, at rate 0."""
    send_per_bit: Figure[Joules] | None = None
    """What each bit sent takes on top [J/bit], for radios: `76.68e-9 J` is 76.68 mW per Mbit/s; 0 by default."""
    receive_per_bit: Figure[Joules] | None = None
    """What each bit received takes on top [J/bit]; nothing unless given."""
    tail: Tail | None = None
    """What the radio takes after the last bit; nothing beyond idle power unless given."""

    @model_validator(mode="after")
    def _tail_is_awake(self) -> PowerDraw:
        if self.tail is not None and self.tail.power.value < self.idle.value:
            raise ValueError(
                f"the power of the tail ({self.tail.power.value:g} W) is below idle ({self.idle.value:g} W); it is of "
                "the whole device, so write idle power and what the radio takes on top"
            )
        return self


@component
class HeldOutError:
    """Error of a calibrated profile on measurements that were not used in its fit."""

    split: Text
    """How the measurements were split, for instance `5-fold cross-validation` or `leave one network out`."""
    group: str = ""
    """Which of them, for instance `forward conv2d`; empty for all."""
    n_points: int = Field(ge=1)
    """Measurements that were predicted."""
    mape: float = Field(ge=0)
    """Mean absolute error over the measured time, dimensionless: 0.12 is 12 %."""
    median: float = Field(ge=0)
    """Median of the same."""
    p95: float = Field(ge=0)
    """95th percentile of the same."""
    time_weighted: float | None = Field(default=None, ge=0)
    """Sum of absolute errors over the sum of measured times: long computations count as much as they take."""
    bias: float | None = Field(default=None, ge=-1)
    """Sum of predictions over the sum of measurements, less 1: errors of both signs cancel, as within a step."""


@component
class FittedRange:
    """The range of one quantity in the measurements of a fit; predictions outside are extrapolations."""

    quantity: Literal["work_flop", "moved_bytes", "n_parameters", "n_activations", "batch_size"]
    """Field of a layer's cost."""
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    phase: str = ""
    """Phase it holds for; empty for all."""
    layer_kind: str = ""
    """Kind of layer it holds for; empty for all."""

    @model_validator(mode="after")
    def _low_first(self) -> FittedRange:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g}); swap them")
        return self


@component
class Calibration:
    """Where a fitted profile comes from and how wrong it is."""

    data: Text
    """What was measured, with which runtime, and where the table is."""
    n_points: int = Field(ge=1)
    """Measurements used in the fit."""
    held_out: tuple[HeldOutError, ...]
    """Errors on measurements that were not used."""
    fitted_range: tuple[FittedRange, ...] = ()
    """Where the fit holds."""


@component
class Mode:
    """A power mode: sections in place of the profile's own. In a file, what a section leaves out is inherited."""

    description: Text
    """What the mode is."""
    precision: Precision | None = None
    """Of the products that its rates are for; the profile's unless given."""
    memory: Memory | None = None
    cost_model: Annotated[CostModel, cost_models] | None = None
    jitter: Jitter | None = None
    power: PowerDraw | None = None
    overheads: Overheads | None = None
    calibration: Calibration | None = None
    """For modes with a fit of their own: data, errors and range; the profile's hold where there is none."""
    uncertainty: Uncertainty | None = None
    """Likewise how sure it is; the profile's holds where there is none."""


@component
class Evidence:
    """What a profile rests on, in words, and how wrong the rules are by which its numbers were come by."""

    measured: Text
    """Numbers measured on this kind of device; `none` if there are none."""
    published: Text
    """Numbers given by the maker, a database or a tutorial."""
    fitted: Text
    """Numbers fitted to measurements of this kind of device."""
    assumed: Text
    """Numbers carried over from another device or made by a rule."""
    held_out: Text
    """What was measured on this device, not used, and predicted; or `none: ...` with the reason."""
    held_out_errors: tuple[HeldOutError, ...] = ()
    """Errors on it, for a profile that is not fitted (a fitted one has them in `calibration`)."""
    rule_errors: tuple[HeldOutError, ...] = ()
    """Errors of the rules that this profile uses, on devices for which the outcome was measured."""


Spread = Annotated[float, Field(ge=0, lt=3)]
"""Standard deviation of the logarithm of true over told, dimensionless: 0.1 is about 10 %, 0.69 a factor of 2."""


@component
class Uncertainty:
    """How sure a profile is of whole times and powers, as known from held-out errors of this device.

    Where it speaks of something, the ranges of single figures are parts of the same error and not drawn beside it.
    """

    source: Text
    """Which errors it comes from: of what, on which measurements."""
    forward: Spread | None = None
    """Of the time of forward passes."""
    backward: Spread | None = None
    """Of the time of backward passes."""
    update: Spread | None = None
    """Of the time of optimizer steps."""
    other: Spread | None = None
    """Of the time of anything else (Gram matrix, averaging)."""
    overheads: Spread | None = None
    """Of what is paid beside the layers: per pass, per iteration."""
    power: Spread | None = None
    """Of the power in every state."""


@component
class Profile:
    """A device as its YAML file describes it."""

    name: Slug
    """What a scenario calls it; the file's name without `.yaml`."""
    description: Text
    """What the device is, what runs on it, and what the figures stand for."""
    precision: Precision | None = None
    """Of the products that its rates are for; `float32` unless given. A mode may have another."""
    memory: Memory
    cost_model: Annotated[CostModel, cost_models]
    """How the cost of a computation becomes seconds."""
    jitter: Jitter
    power: PowerDraw
    overheads: Overheads | None = None
    """What it spends beside computing; nothing unless given."""
    corrections: Corrections | None = None
    """Factors on the durations that the cost model gives, in all modes: what `gapslsim check-testbed` fits."""
    modes: dict[Slug, Mode] = Field(default_factory=dict)
    """Power modes, chosen as `jetson-nano@5w`; without one the sections above hold."""
    calibration: Calibration | None = None
    """For fitted profiles: data, errors and range."""
    evidence: Evidence | None = None
    """For shipped profiles: what they rest on."""
    uncertainty: Uncertainty | None = None
    """How sure it is of whole times and powers; else each figure's own range tells."""


def profile_schema() -> TypeAdapter[Profile]:
    """The pydantic adapter of a profile; validate files with `context=STRICT_UNITS`."""
    return TypeAdapter(Profile)
