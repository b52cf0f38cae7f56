"""Fits each cost model to samples: `linear`, `roofline`, `lookup`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapslsim.calibration._figures import figure_of
from gapslsim.calibration._points import LEAST_POINTS, fit_interpolations
from gapslsim.calibration._pooled import Part, PooledFit, fit_pooled
from gapslsim.calibration._trends import TrendFit, choose_trend, fit_trend, leading_trend, line_beyond
from gapslsim.calibration.samples import Samples
from gapslsim.errors import GapslsimError, unknown
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.cost_models.linear import Linear
from gapslsim.hardware.cost_models.lookup import Lookup, LookupGroup
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import Trend
from gapslsim.hardware.terms import term

__all__ = ["LEAST_SAMPLES", "CalibrationError", "Provenance", "fit", "fits_of"]

LEAST_SAMPLES = 10
"""A profile of fewer timed computations is not made."""
_LEAST_IN_FIT = 8
"""A fit to fewer is not made: four fifths of those of a profile, in cross-validation."""
_LEAST_GROUP, _LEAST_PHASE = 3, 5
"""A kind of layer, or a phase, with fewer samples has no group of its own."""
_FEW = 10
"""With fewer, a group has a constant, FLOP and bytes alone."""


class CalibrationError(GapslsimError):
    """A calibration that cannot be done; says what is missing."""

    exit_code = 2


@dataclass(frozen=True)
class Provenance:
    """What the figures say of where they come from."""

    source: str
    """For fitted figures."""
    call: Figure[float]
    """Overhead per call."""


def fits_of(samples: Samples) -> list[str]:
    """Models that can be fitted to these samples, plainest first."""
    models = ["linear", *(["roofline"] if not _lacks(samples) else [])]
    if samples.single and len(samples) >= LEAST_POINTS:
        models.append("lookup")
    return models


def fit(model: str, samples: Samples, about: Provenance) -> CostModel:
    """Fits a cost model by name.

    Raises:
        CalibrationError: on fewer than eight samples, or a lookup of computations that were not timed one by one.
    """
    if len(samples) < _LEAST_IN_FIT:
        raise CalibrationError(
            f"{len(samples)} measured computations are too few to fit a cost model: at least {_LEAST_IN_FIT} are "
            "needed, with sizes and batch sizes that differ. Measure more of them (gapslsim measure)."
        )
    if model not in _FITS:
        raise CalibrationError(unknown("cost model", model, [*_FITS, "auto"]))
    if model == "roofline" and (lacking := _lacks(samples)):
        raise CalibrationError(
            f"a roofline weighs computing against memory, and no measured computation has {lacking} above 0. Fill the "
            "column in, or take --model linear."
        )
    if model == "lookup" and model not in fits_of(samples):
        raise CalibrationError(
            f"a lookup needs {LEAST_POINTS} layers timed one by one; these samples hold several layers or are too "
            "few. Take --model linear or roofline."
        )
    return _FITS[model](samples, about)


def _lacks(samples: Samples) -> str:
    """The column of which a roofline has nothing to fit a rate to; empty if it has."""
    return next((name for name in ("work_flop", "moved_bytes") if not (samples.layers[name] > 0).any()), "")


def _linear(samples: Samples, about: Provenance) -> Linear:
    if not samples.single:
        return _pooled_linear(samples, about)
    groups = [
        Trend(phase=phase, layer_kind=kind, **_trend(kind, part).settings(about.source))
        for phase, kind, part in _groups(samples)
    ]
    return Linear(groups=tuple(groups), overhead_per_call=about.call)


def _lookup(samples: Samples, about: Provenance) -> Lookup:
    groups = []
    for phase, kind, part in _groups(samples):
        interpolated = bool(kind) and len(part) >= LEAST_POINTS
        trend = leading_trend(part) if interpolated else _trend(kind, part)
        settings = trend.settings(about.source)
        if interpolated:
            line = line_beyond(part)
            settings["beyond"] = line and Trend(**line.settings(about.source))
            settings |= fit_interpolations(part, LookupGroup(phase=phase, layer_kind=kind, **settings))
        groups.append(LookupGroup(phase=phase, layer_kind=kind, **settings))
    return Lookup(groups=tuple(groups), overhead_per_call=about.call)


def _trend(kind: str, part: Samples) -> TrendFit:
    """Terms by cross-validation for a kind; the plain ones for all kinds together; the least for few samples."""
    if len(part) < _FEW:
        return fit_trend(part, ("constant", "flop", "byte"))
    return choose_trend(part) if kind else fit_trend(part)


def _groups(samples: Samples) -> list[tuple[Any, str, Samples]]:
    """Phase, kind and samples of each group; the kind '' stands for all kinds of a phase."""
    groups: list[tuple[Any, str, Samples]] = []
    for phase, of_phase in samples.layers.groupby("phase", sort=False):
        for kind, rows in of_phase.groupby("kind", sort=False):
            if len(rows) >= _LEAST_GROUP:
                groups.append((phase, str(kind), samples.take(rows["sample"].to_numpy())))
        if len(of_phase) >= _LEAST_PHASE:
            groups.append((phase, "", samples.take(of_phase["sample"].to_numpy())))
    return groups or [("", "", samples)]


_POOLED = ("flop", "byte", "parameter")
"""Terms that are told apart by kind where layers were timed together."""


def _pooled_linear(samples: Samples, about: Provenance) -> Linear:
    columns, labels = samples.columns(), samples.labels
    parts = [Part(name, term(name, columns), samples.layers.phase, labels) for name in _POOLED]
    fitted = fit_pooled(samples, parts)
    groups = []
    for phase, rows in samples.layers.groupby("phase", sort=False):
        for kind in [*rows.kind.unique(), ""]:
            label = f"{phase} {kind}"
            # A term that no layer of the kind has says nothing; all kinds together have what any layer has.
            chosen = (labels == label) | (kind == "")
            terms = {
                part.name: figure_of(*fitted.value(part.name, str(phase), label), about.source)
                for part in parts
                if (part.amount[chosen] > 0).any()
            }
            groups.append(Trend(phase=phase, layer_kind=kind, terms=terms))  # type: ignore[arg-type]
    return Linear(groups=tuple(groups), overhead_per_call=about.call)


def _roofline(samples: Samples, about: Provenance) -> Roofline:
    columns, phases = samples.columns(), samples.layers.phase
    kinds = samples.labels if len(set(samples.labels)) > 1 else None
    passes = np.where(phases == "training", 3.0, 1.0)
    everywhere = [""] * len(phases)
    parts = [
        Part("layer", passes, everywhere, None),
        Part("flop", columns["work_flop"], phases, kinds, bound=True),
        Part("byte", passes * columns["moved_bytes"], everywhere, kinds, bound=True),
    ]
    fitted = fit_pooled(samples, parts)
    rates = {phase: _rate(fitted, "flop", phase, about) for phase in dict.fromkeys(phases)}
    anything = rates.get("forward") or rates.get("training") or next(iter(rates.values()))
    # A deviation of a training step holds for the passes that it is made of.
    factors = {
        part: {kind.removeprefix("training "): figure_of(1 / value, error / value**2, about.source)
               for (name, kind), (value, error) in sorted(fitted.factors.items()) if name == part}
        for part in ("flop", "byte")
    }  # fmt: skip
    return Roofline(
        forward_rate=anything,
        backward_rate=rates.get("backward") or anything,
        update_rate=rates.get("update") or (anything if "training" in rates else None),
        other_rate=rates.get("other"),
        memory_rate=_rate(fitted, "byte", "", about),
        overhead_per_layer=figure_of(*fitted.common["layer", ""], about.source),
        overhead_per_call=about.call,
        efficiency=factors["flop"],
        memory_efficiency=factors["byte"],
    )


def _rate(fitted: PooledFit, part: str, label: str, about: Provenance) -> Figure[float]:
    seconds, error = fitted.common[part, label]
    return figure_of(1 / seconds, error / seconds**2, about.source)


_FITS: dict[str, Callable[[Samples, Provenance], CostModel]] = {
    "linear": _linear,
    "roofline": _roofline,
    "lookup": _lookup,
}
"""What fits each cost model."""
