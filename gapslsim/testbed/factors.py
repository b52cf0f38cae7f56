"""Named factors that make a scenario agree with some cells of a testbed, so that the others can be predicted.

Per device: `compute` (all phases), or `forward`, `backward`, `update` apart; `memory`, on the rate of layers that are
bound by it; `fixed`, seconds per iteration on the client; `loading`, seconds per sample of reading and augmenting;
`serialise`, seconds per byte of making messages ready; `power`, on the power while computing. Per network: `rate`, on
the rates of its links.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gapslsim.errors import ComponentError, unknown
from gapslsim.hardware.corrected import Corrections
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.devices import load_profile, with_profiles
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads
from gapslsim.hardware.profile import Profile
from gapslsim.network.channels.constant import Constant
from gapslsim.results.results import Results
from gapslsim.scenario.schema import Scenario
from gapslsim.testbed.simulation import Setting, as_it_is

__all__ = ["FACTORS", "Factor", "Fitted", "wanted_factors"]


@dataclass(frozen=True, slots=True)
class FactorKind:
    """What is known of a factor before anything was measured."""

    usual: float
    """Where it begins, unless the profile knows better: 1 for factors, a small number of seconds for what is added."""
    spread: float
    """Standard deviation of its logarithm, unless the profile's `uncertainty` says it."""
    words: str
    phases: tuple[str, ...] = ()
    """Entries of `uncertainty` that speak of it."""
    overhead: str = ""
    """Field of the profile's overheads that it is."""


FACTORS: Final = {
    "compute": FactorKind(1.0, 0.5, "times all computation", ("forward", "backward")),
    "forward": FactorKind(1.0, 0.5, "times forward passes", ("forward",)),
    "backward": FactorKind(1.0, 0.5, "times backward passes", ("backward",)),
    "update": FactorKind(1.0, 0.5, "times optimizer steps", ("update",)),
    "memory": FactorKind(1.0, 0.5, "times the memory rate"),
    "rate": FactorKind(1.0, 0.1, "times the rates of links"),
    "fixed": FactorKind(1e-3, 1.5, "s per iteration", overhead="per_iteration"),
    "loading": FactorKind(5e-4, 2.0, "s per sample", overhead="loading_per_sample"),
    "serialise": FactorKind(2e-9, 1.5, "s per byte", overhead="serialise_rate"),
    "power": FactorKind(1.0, 0.3, "times the power while computing", ("power",)),
}
"""Every kind of factor, by name."""
_SOURCE: Final = "fitted to the rounds of a testbed by gapslsim check-testbed"


@dataclass(frozen=True, slots=True)
class Factor:
    """One number to fit."""

    kind: str
    of: str
    """The device, or the network's label; empty for all."""

    @property
    def name(self) -> str:
        """`compute of jetson-nano`."""
        return f"{self.kind} of {self.of}" if self.of else self.kind

    def prior(self) -> tuple[float, float]:
        """Where it begins, and the standard deviation of its logarithm: as the profile says, where it does."""
        kind = FACTORS[self.kind]
        if self.kind == "rate":
            return kind.usual, kind.spread
        profile = load_profile(self.of.partition("@")[0])
        known = profile.uncertainty
        of_phases = [getattr(known, phase) for phase in kind.phases]
        spread = float(np.mean(of_phases)) if known and of_phases and None not in of_phases else kind.spread
        figure = getattr(profile.overheads, kind.overhead, None) if kind.overhead else None
        if figure is None:
            return kind.usual, max(spread, 1e-3)
        if known is not None and known.overheads is not None:
            spread = known.overheads
        return (1 / figure.value if self.kind == "serialise" else figure.value), max(spread, 1e-3)

    def touches(self, setting: Setting, by: str) -> bool:
        """Whether a cell depends on it."""
        if self.kind == "rate":
            return self.of in ("", setting.cell[by])
        return any(group.device == self.of for group in setting.scenario.clients)


@dataclass(frozen=True)
class Fitted:
    """Factors with their values and how sure the cells make them."""

    factors: tuple[Factor, ...]
    values: tuple[float, ...]
    spreads: tuple[float, ...]
    """Standard deviation of the logarithm of each; as large as the prior's where the cells say nothing."""
    priors: tuple[float, ...]
    """The same before anything was measured."""
    by: str
    """The column whose values name networks."""

    def of(self, kind: str, name: str) -> float | None:
        """The value of a factor; None if it was not fitted."""
        for factor, value in zip(self.factors, self.values, strict=True):
            if factor.kind == kind and factor.of in ("", name):
                return value
        return None

    def profiles(self) -> dict[str, Profile]:
        """The profiles of the devices with what was fitted, by the name that scenarios use."""
        return {f.of: self._profile(f.of) for f in self.factors if f.kind != "rate"}

    def run(self, setting: Setting, draws: int = 0) -> Results:
        """As `as_it_is`, with what was fitted."""
        scenario = setting.scenario
        rate = self.of("rate", setting.cell[self.by])
        if rate is not None:
            scenario = _faster_links(scenario, rate)
        with with_profiles(self.profiles()):
            return as_it_is(dataclasses.replace(setting, scenario=scenario), draws)

    def _profile(self, name: str) -> Profile:
        profile = load_profile(name.partition("@")[0])
        compute = self.of("compute", name) or 1.0
        before = profile.corrections or Corrections()
        corrected: dict[str, Any] = {}
        overheads: dict[str, Any] = {}
        changed: dict[str, Any] = {}
        for phase in ("forward", "backward", "update", "other", "per_call"):
            factor = compute * (self.of(phase, name) or 1.0)
            old = getattr(before, phase)
            if factor != 1.0:
                corrected[phase] = _fitted(factor * (old.value if old is not None else 1.0))
        for kind in ("fixed", "loading", "serialise"):
            if (value := self.of(kind, name)) is not None:
                overheads[FACTORS[kind].overhead] = _fitted(1 / value if kind == "serialise" else value)
        if corrected:
            changed["corrections"] = dataclasses.replace(before, **corrected)
        if overheads:
            changed["overheads"] = dataclasses.replace(profile.overheads or Overheads(), **overheads)
        if (more := self.of("power", name)) is not None:
            changed["power"] = dataclasses.replace(
                profile.power, compute=_fitted(profile.power.compute.value * more)
            )
        if (faster := self.of("memory", name)) is not None:
            model = profile.cost_model
            if not isinstance(model, Roofline):
                raise ComponentError(
                    f"memory can be fitted to a roofline only; {name} has another cost model: leave it out of --fit."
                )
            rate = _fitted(model.memory_rate.value * faster)
            changed["cost_model"] = dataclasses.replace(model, memory_rate=rate)
        return dataclasses.replace(profile, **changed)


def _fitted(value: float) -> Figure[Any]:
    return Figure(value=float(f"{value:.9g}"), status="fitted", source=_SOURCE)


def _faster_links(scenario: Scenario, factor: float) -> Scenario:
    def faster(channel: Any) -> Constant:
        if not isinstance(channel, Constant):
            raise ComponentError(
                f"A rate can be fitted for constant links only, found kind {channel.kind!r}; leave rate out of --fit."
            )
        return Constant(rate=channel.rate * factor)

    groups = [
        dataclasses.replace(
            group,
            link=dataclasses.replace(
                group.link, uplink=faster(group.link.uplink), downlink=faster(group.link.downlink)
            ),
        )
        for group in scenario.clients
    ]
    return dataclasses.replace(scenario, clients=tuple(groups))


def wanted_factors(kinds: Sequence[str], settings: Sequence[Setting], by: str) -> tuple[Factor, ...]:
    """One factor per kind and device, or network, that occurs in the cells; power only where it was measured.

    Raises:
        ComponentError: on an unknown kind; lists those that there are.
    """
    made: dict[Factor, None] = {}
    for kind in kinds:
        if kind not in FACTORS:
            raise ComponentError(unknown("factor", kind, FACTORS))
        for setting in settings:
            if kind == "power" and not setting.cell.measured.keys() & {"power", "energy", "iteration_energy"}:
                continue
            if kind == "rate":
                made[Factor(kind, setting.cell[by] if by else "")] = None
            else:
                made |= dict.fromkeys(Factor(kind, group.device) for group in setting.scenario.clients)
    return tuple(made)
