"""Named factors that make a scenario agree with some cells of a testbed, so that the others can be predicted.

Per device: `compute` (all phases), or `forward`, `backward`, `update` apart; `fixed`, seconds per iteration on the
client; `loading`, seconds per sample of reading and augmenting; `serialise`, seconds per byte of making messages ready;
`power`, on the power while computing. Per network: `rate`, on the rates of its links. Fitted by least squares on the
logarithms of medians, with a prior that keeps what the cells do not tell near to what the profiles say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import least_squares

from gapslsim.errors import ComponentError, unknown
from gapslsim.hardware.corrected import Corrections
from gapslsim.hardware.devices import load_profile, with_profiles
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.overheads import Overheads
from gapslsim.hardware.profile import Profile
from gapslsim.network.channels.constant import Constant
from gapslsim.results.results import Results
from gapslsim.run import simulate
from gapslsim.scenario.schema import Scenario
from gapslsim.testbed.measures import Measure
from gapslsim.testbed.simulation import Setting, times_of

__all__ = ["FACTORS", "Factor", "Fitted", "fit_factors", "wanted_factors"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of a factor before anything was measured."""

    usual: float
    """Where it begins: 1 for factors, a small number of seconds for what is added."""
    spread: float
    """Standard deviation of its logarithm."""
    words: str


FACTORS: Final = {
    "compute": _Kind(1.0, 0.5, "times all computation"),
    "forward": _Kind(1.0, 0.5, "times forward passes"),
    "backward": _Kind(1.0, 0.5, "times backward passes"),
    "update": _Kind(1.0, 0.5, "times optimizer steps"),
    "rate": _Kind(1.0, 0.2, "times the rates of links"),
    "fixed": _Kind(5e-3, 1.5, "s per iteration"),
    "loading": _Kind(2e-4, 1.5, "s per sample"),
    "serialise": _Kind(1e-8, 1.5, "s per byte"),
    "power": _Kind(1.0, 0.3, "times the power while computing"),
}
"""Every kind of factor, by name."""
_MEASURED_WITHIN: Final = 0.02
"""To what share medians are trusted [logarithm]."""
_MOST_PER_GROUP: Final = 6
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


@dataclass(frozen=True)
class Fitted:
    """Factors with their values and how sure the cells make them."""

    factors: tuple[Factor, ...]
    values: tuple[float, ...]
    spreads: tuple[float, ...]
    """Standard deviation of the logarithm of each; as large as the prior's where the cells say nothing."""
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

    def run(self, setting: Setting) -> Results:
        """A dry run of a cell with what was fitted."""
        scenario = setting.scenario
        rate = self.of("rate", setting.cell[self.by])
        if rate is not None:
            scenario = _faster_links(scenario, rate)
        with with_profiles(self.profiles()):
            return simulate(scenario, dry=True)

    def _profile(self, name: str) -> Profile:
        base, _, _ = name.partition("@")
        profile = load_profile(base)
        compute = self.of("compute", name) or 1.0
        before = profile.corrections or Corrections()
        changed: dict[str, Any] = {}
        for phase in ("forward", "backward", "update", "other", "per_call"):
            factor = compute * (self.of(phase, name) or 1.0)
            old = getattr(before, phase)
            if factor != 1.0:
                changed[phase] = _fitted(factor * (old.value if old is not None else 1.0))
        added: dict[str, Any] = {}
        for kind, field in (("fixed", "per_iteration"), ("loading", "loading_per_sample")):
            if (value := self.of(kind, name)) is not None:
                added[field] = _fitted(value)
        if (per_byte := self.of("serialise", name)) is not None:
            added["serialise_rate"] = _fitted(1 / per_byte)
        power = profile.power
        if (more := self.of("power", name)) is not None:
            power = dataclasses.replace(power, compute=_fitted(power.compute.value * more))
        if added:
            added = {"overheads": dataclasses.replace(profile.overheads or Overheads(), **added)}
        if changed:
            added["corrections"] = dataclasses.replace(before, **changed)
        return dataclasses.replace(profile, power=power, **added)


def _fitted(value: float) -> Figure[Any]:
    return Figure(value=float(f"{value:.9g}"), status="fitted", source=_SOURCE)


def _faster_links(scenario: Scenario, factor: float) -> Scenario:
    def faster(channel: Any) -> Constant:
        if not isinstance(channel, Constant):
            raise ComponentError(
                f"A rate can be fitted for constant links only, found kind {channel.kind!r}; leave `rate` out of --fit."
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
    """One factor per kind and device, or network, that occurs in the cells.

    Raises:
        ComponentError: on an unknown kind; lists those that there are.
    """
    made: dict[Factor, None] = {}
    for kind in kinds:
        if kind not in FACTORS:
            raise ComponentError(unknown("factor", kind, FACTORS))
        for setting in settings:
            if kind == "rate":
                made[Factor(kind, setting.cell[by] if by else "")] = None
            else:
                made |= dict.fromkeys(Factor(kind, group.device) for group in setting.scenario.clients)
    return tuple(made)


def fit_factors(
    factors: Sequence[Factor], settings: Sequence[Setting], measures: Sequence[Measure], by: str
) -> Fitted:
    """Values of factors with which the medians of these cells come out as measured, as far as they can.

    Args:
        factors: what to fit.
        settings: cells to fit to.
        measures: what the table holds.
        by: column whose values name networks; empty if all links share one factor.
    """
    chosen = _thinned(settings)
    usual = np.array([FACTORS[factor.kind].usual for factor in factors])
    prior = np.array([FACTORS[factor.kind].spread for factor in factors])
    wanted = [
        (n, name, math.log(float(np.median(values))))
        for n, setting in enumerate(chosen)
        for name, values in setting.cell.measured.items()
    ]

    def made(x: np.ndarray) -> Fitted:
        # From 1 on, since the steps of the differences are relative.
        values = usual * np.exp((x - 1) * prior)
        return Fitted(tuple(factors), tuple(map(float, values)), tuple(prior), by)

    def misses(x: np.ndarray) -> np.ndarray:
        fitted = made(x)
        times = times_of(chosen, measures, fitted.run)
        off = [
            (math.log(float(np.median(times[n][name]))) - log) / _MEASURED_WITHIN for n, name, log in wanted
        ]
        return np.concatenate([off, x - 1])

    # What loading ahead hides has no gradient, so that it is also begun where it is not hidden.
    starts = [np.ones(len(factors))]
    if any(factor.kind == "loading" for factor in factors):
        starts.append(np.array([3.0 if factor.kind == "loading" else 1.0 for factor in factors]))
    fits = [least_squares(misses, x, diff_step=1e-3, xtol=1e-4, ftol=1e-5, max_nfev=30) for x in starts]
    found = min(fits, key=lambda fit: fit.cost)
    spread = prior * np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    best = made(found.x)
    return dataclasses.replace(best, spreads=tuple(map(float, spread)))


def _thinned(settings: Sequence[Setting]) -> list[Setting]:
    """Some of the cells that differ in quantities alone, since each costs a dry run in every step of the fit."""
    groups: dict[tuple[Any, ...], list[Setting]] = {}
    for setting in settings:
        key = tuple((path, text) for path, text in setting.cell.settings if " " not in text)
        groups.setdefault((key, setting.cell.labels), []).append(setting)
    kept = []
    for members in groups.values():
        step = max(1, math.ceil(len(members) / _MOST_PER_GROUP))
        kept += members[::step]
    return kept
