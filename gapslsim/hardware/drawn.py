"""A device as it may be: the figures of its profile moved by a draw."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast

from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.figure import Figure, Status
from gapslsim.hardware.grouped import GroupedModel
from gapslsim.hardware.profile import Calibration, Uncertainty
from gapslsim.hardware.profiled_device import ProfiledDevice, device_of
from gapslsim.hardware.spread import SPREAD_OF_POWER, SPREAD_OF_TIME, factor_of
from gapslsim.work import LayerCost, Phase

__all__ = ["Cause", "causes_of", "drawn"]

Cause = Literal["rates", "memory", "efficiencies", "overheads", "power"]
"""What figures of one profile are wrong together: they come from the same measurements or by the same rule."""

T = TypeVar("T")
Path = tuple[str, ...]
_PHASES: Final[tuple[Phase, ...]] = ("forward", "backward", "update", "other")
_NOT_DRAWN: Final = (
    "name",
    "description",
    "memory",
    "jitter",
    "modes",
    "calibration",
    "evidence",
    "uncertainty",
)
"""Memory decides whether a run is possible, not how long it takes; jitter is of each computation."""
_STATUSES: Final[tuple[Status, ...]] = ("measured", "fitted", "published", "assumed")
"""From the surest on."""
_SPREAD_OF_MEAN_ERROR: Final = math.sqrt(math.pi / 2)
"""Standard deviation over mean absolute value of a normal variable."""
_LEAST: Final = 0.02
"""Spread of a fit that misses nothing: the same board on another day, another board of the kind."""


def causes_of(device: ProfiledDevice) -> dict[Cause, str]:
    """What draws of a device depend on, and what each rests on: the weakest status among its figures."""
    known = _known(device)
    found: dict[Cause, str] = {}
    for path, figure in _figures(device):
        cause = _cause(path)
        at = _STATUSES.index(figure.status)
        found[cause] = _STATUSES[max(at, _STATUSES.index(found.get(cause, "measured")))]
    spreads = _phase_spreads(device)
    if spreads:
        found["rates"] = "held-out errors" if known or _calibration(device) else found.get("rates", "fitted")
    if known and known.overheads is not None:
        found["overheads"] = "held-out errors"
    if known and known.power is not None:
        found["power"] = "held-out errors"
    if spreads.keys() >= set(_PHASES):  # Then no figure of a layer is drawn by itself.
        found.pop("memory", None)
        found.pop("efficiencies", None)
    return found


def drawn(device: ProfiledDevice, z: Callable[[Cause], float]) -> ProfiledDevice:
    """The device with every figure where a draw puts it, in the same power mode.

    Where the profile knows its errors of whole phases or of power (`uncertainty`, or the held-out errors of a fit),
    those are drawn, and the figures that they are made of stay as told. Median of every factor: 1.

    Args:
        device: as its profile tells.
        z: a standard normal number for each cause, the same whenever it is asked for in one draw. Above 0: higher rates
            (shorter times), longer overheads, more power.
    """
    known = _known(device)

    def moved(path: Path, figure: Figure[Any]) -> float:
        cause = _cause(path)
        own = -z(cause) if cause == "overheads" and path[-1].endswith("rate") else z(cause)
        whole = None if known is None else {"overheads": known.overheads, "power": known.power}.get(cause)
        if whole is not None:
            return math.exp(whole * own)
        return factor_of(figure, own, SPREAD_OF_POWER if cause == "power" else SPREAD_OF_TIME)

    profile = _with_factors(device.profile, moved, (), _NOT_DRAWN)
    mode = device.name.partition("@")[2] or None
    if device.mode is not None and mode is not None:
        change = _with_factors(device.mode, moved, (), _NOT_DRAWN)
        object.__setattr__(profile, "modes", {mode: change})
    made = device_of(profile, mode)
    spreads = _phase_spreads(device)
    if not spreads:
        return made
    # Above 0 is faster, as for the rates.
    factors = {phase: math.exp(-spread * z("rates")) for phase, spread in spreads.items()}
    return dataclasses.replace(made, cost_model=_ByPhase(device.cost_model, made.cost_model, factors))


@dataclass(frozen=True, eq=False)
class _ByPhase(CostModel):
    """A cost model whose times of whole phases are moved; `moved` answers for the rest."""

    told: CostModel
    moved: CostModel
    factors: Mapping[str, float]

    def layer_s(self, layer: LayerCost) -> float:
        """Seconds of one layer."""
        factor = self.factors.get(layer.phase)
        return self.moved.layer_s(layer) if factor is None else factor * self.told.layer_s(layer)

    @property
    def call_s(self) -> float:
        """Seconds added per call."""
        return self.moved.call_s


def _known(device: ProfiledDevice) -> Uncertainty | None:
    return (device.mode and device.mode.uncertainty) or device.profile.uncertainty


def _calibration(device: ProfiledDevice) -> Calibration | None:
    return (device.mode and device.mode.calibration) or device.profile.calibration


def _phase_spreads(device: ProfiledDevice) -> dict[str, float]:
    """Spread of the time of those phases that are drawn as a whole."""
    known = _known(device)
    spreads = {phase: getattr(known, phase, None) for phase in _PHASES}
    fit = _calibration(device)
    # Coefficients of one fit make up for one another; drawn apart or together they would say nothing.
    is_fit = isinstance(device.cost_model, GroupedModel) or (
        fit is not None and any(error.time_weighted is not None for error in fit.held_out)
    )
    if is_fit:
        of_fit = {phase: _spread_of_fit(fit, phase) for phase in _PHASES}
        spreads = {phase: of_fit[phase] if spread is None else spread for phase, spread in spreads.items()}
    return {phase: spread for phase, spread in spreads.items() if spread is not None}


def _spread_of_fit(fit: Calibration | None, phase: str) -> float:
    """From the held-out error of a phase, of whole steps where those were timed, else of all times."""
    errors = {} if fit is None else {error.group: error for error in reversed(fit.held_out)}
    for group in (phase, "training", ""):
        if group in errors:
            error = errors[group]
            mean = error.mape if error.time_weighted is None else error.time_weighted
            return min(max(_SPREAD_OF_MEAN_ERROR * mean, _LEAST), 1.0)
    return SPREAD_OF_TIME["fitted"]


def _cause(path: Path) -> Cause:
    if path[0] == "power":
        return "power"
    if path[0] != "cost_model" or any("overhead" in part for part in path):
        return "overheads"
    if any("efficiency" in part for part in path):
        return "efficiencies"
    return "memory" if path[1].startswith("memory") else "rates"


def _figures(device: ProfiledDevice) -> Iterator[tuple[Path, Figure[Any]]]:
    """The figures in effect that are drawn one by one."""
    found: list[tuple[Path, Figure[Any]]] = []

    def note(path: Path, figure: Figure[Any]) -> float:
        found.append((path, figure))
        return 1.0

    _with_factors(device.profile, note, (), _NOT_DRAWN)
    if device.mode is not None:
        found = [one for one in found if getattr(device.mode, one[0][0], None) is None]
        _with_factors(device.mode, note, (), _NOT_DRAWN)
    return iter(found)


def _times(name: str, told: float, factor: float) -> float:
    """A figure moved by a factor, and still one that can be: a slowing is 1 or more, a share below 1."""
    if name == "factor":
        return 1 + (told - 1) * factor
    return min(told * factor, (1 + told) / 2) if name == "background_load" else told * factor


def _with_factors(
    value: T, factor: Callable[[Path, Figure[Any]], float], path: Path, left: tuple[str, ...]
) -> T:
    """A copy in which every figure is multiplied; the groups of a fitted model stay as they are."""
    if isinstance(value, Figure):
        changed: Any = copy.copy(value)
        # Past the checks of the class: half a millisecond for each of thousands of draws.
        object.__setattr__(changed, "value", _times(path[-1], value.value, factor(path, value)))
        return cast("T", changed)
    if isinstance(value, dict):
        return type(value)((k, _with_factors(v, factor, (*path, str(k)), ())) for k, v in value.items())
    if not dataclasses.is_dataclass(value):
        return value
    made: Any = copy.copy(value)
    for name in (field.name for field in dataclasses.fields(value)):
        if name not in left and not (name == "groups" and isinstance(value, GroupedModel)):
            inner = getattr(value, name)
            if isinstance(inner, (dict, Figure)) or dataclasses.is_dataclass(inner):
                object.__setattr__(made, name, _with_factors(inner, factor, (*path, name), ()))
    return cast("T", made)
