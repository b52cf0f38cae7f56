"""The main flow: from a table to a profile with errors on rows that the fit did not see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PureWindowsPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gapslsim.calibration._fits import LEAST_SAMPLES, CalibrationError, Provenance, fit, fits_of
from gapslsim.calibration._prediction import errors_by_group, predict, time_weighted
from gapslsim.calibration.overheads import overheads_of
from gapslsim.calibration.rest import call_figure, jitter_of, memory_of, power_of
from gapslsim.calibration.samples import Samples, samples_of
from gapslsim.calibration.table import MeasurementTable
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.profile import Calibration, FittedRange, HeldOutError, Profile
from gapslsim.hardware.terms import COST_COLUMNS, Array
from gapslsim.kernels import Precision
from gapslsim.results.words import listed

__all__ = ["Calibrated", "calibrate", "check", "cross_validation"]

_FOLDS = 5
_WORTH = 0.99
_CAP = 5000
"""Samples used in cross-validation."""


@dataclass(frozen=True)
class Calibrated:
    """A profile and what it was made from."""

    profile: Profile
    samples: Samples
    predicted: Array
    """Times of the samples when held out, shape (n,) [s]; NaN where a sample was not in the cross-validation."""
    headline: dict[str, float]
    """Error by time in cross-validation, mean over the phases of a step, of every model that was tried."""
    notes: tuple[str, ...] = ()

    def with_errors(self, errors: tuple[HeldOutError, ...]) -> Calibrated:
        """The same with further held-out errors in the profile."""
        known = self.profile.calibration
        assert known is not None
        more = replace(known, held_out=known.held_out + errors)
        return replace(self, profile=replace(self.profile, calibration=more))


def calibrate(
    table: MeasurementTable, model: str = "auto", name: str | None = None, like: Profile | None = None
) -> Calibrated:
    """Fits a profile to the rows of one device.

    Args:
        table: rows of one device (`select_rows`).
        model: `linear`, `roofline`, `lookup`, or `auto`: the one with the least error weighted by time in
            five-fold cross-validation, where a richer one must be better by 2 %.
        name: of the profile, made a slug; the device's unless given.
        like: profile whose memory and power stand in where the table has none.

    Raises:
        CalibrationError: on too few measurements, or a model that they do not allow.
    """
    samples = samples_of(table.compute)
    # A table of links alone has no computations to name the device; the error below needs the name.
    device = str((table.compute if len(table.compute) else table.links).device.iloc[0])
    if len(samples) < LEAST_SAMPLES:
        raise CalibrationError(
            f"{table.source}: {len(samples)} measured computations of {device} are too few to fit a cost model: at "
            f"least {LEAST_SAMPLES} are needed, with sizes and batch sizes that differ. Measure more of them."
            + (f" {_too_short(samples)}" if samples.below else "")
        )
    file = PureWindowsPath(table.source).name
    source = f"fitted by gapslsim calibrate to {len(samples)} measured computations of {file}"
    about = Provenance(source, call_figure(table))
    tried = fits_of(samples) if model == "auto" else [model]
    chosen, errors, predicted = cross_validation(tried, samples, about)
    used = _for_validation(samples)
    # The final fit sees every row; only the errors are those of fits that did not.
    cost_model = fit(chosen, samples, about)
    first = table.compute.iloc[0]
    how = ", ".join(str(part) for part in (first.runtime, first.power_mode) if part)
    profile = Profile(
        name=slug(name or device),
        description=f"{device}{f' ({how})' if how else ''}: fitted to {len(samples)} measured computations.",
        precision=_precision(str(first.runtime)),
        memory=memory_of(like),
        cost_model=cost_model,
        jitter=jitter_of(samples, like),
        power=power_of(table, like),
        overheads=overheads_of(table, like),
        calibration=Calibration(
            data=f"{file}, device {device}{f', {how}' if how else ''}",
            n_points=len(samples),
            held_out=errors_by_group("5-fold cross-validation", predicted[used], samples.take(used)),
            fitted_range=_ranges(samples),
        ),
    )
    return Calibrated(profile, samples, predicted, errors, _notes(table, samples))


def _precision(runtime: str) -> Precision | None:
    """Of the passes that were measured; None for float32, and for tables of others, which do not say."""
    last = runtime.rpartition(" ")[2]
    return next((known for known in ("tf32", "bfloat16") if known == last), None)


def check(model: CostModel, table: MeasurementTable) -> tuple[Samples, Array, tuple[HeldOutError, ...]]:
    """Errors of a cost model on other rows: the samples, their predicted times, and errors over all and by group.

    Raises:
        CalibrationError: if the table has no computations.
    """
    samples = samples_of(table.compute)
    if not len(samples):
        raise CalibrationError(f"{table.source} has no computations to check a profile on.")
    predicted = predict(model, samples)
    return samples, predicted, errors_by_group(f"rows of {table.source}", predicted, samples)


def slug(text: str) -> str:
    """A name for a profile: lower-case words joined by hyphens; what is one already (points too) stays."""
    if re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", text):
        return text
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("+", "-plus")).strip("-") or "device"


def cross_validation(
    models: Sequence[str], samples: Samples, about: Provenance
) -> tuple[str, dict[str, float], Array]:
    """Five-fold cross-validation of cost models, plainest first.

    Returns:
        The chosen one; the error by time of each, mean over phases; the held-out predictions of the chosen one.
    """
    used = _for_validation(samples)
    fold = np.random.default_rng(0).permutation(len(used)) % _FOLDS
    held = {one: np.full(len(samples), np.nan) for one in models}
    for model, predicted in held.items():
        for number in range(_FOLDS):
            rest, out = used[fold != number], used[fold == number]
            predicted[out] = predict(fit(model, samples.take(rest), about), samples.take(out))
    errors = {one: _headline(made[used], samples.take(used)) for one, made in held.items()}
    chosen = models[0]
    # Plainest first: a richer model must be clearly better, or it has only followed the noise.
    for one in models[1:]:
        if errors[one] < _WORTH * errors[chosen]:
            chosen = one
    return chosen, errors, held[chosen]


def _headline(predicted: Array, samples: Samples) -> float:
    """Errors weighted by time, so that a few tiny computations do not decide, in the mean over the phases of a step."""
    phases = samples.phases
    # What a server does beside (Gram matrix, averages) and copies of memory may take longest, and are no layers.
    step = [phase for phase in dict.fromkeys(phases) if phase != "other"] or ["other"]
    off = [time_weighted(predicted[phases == phase], samples.seconds[phases == phase]) for phase in step]
    return float(np.mean(off))


def _for_validation(samples: Samples) -> NDArray[np.int64]:
    # A fixed seed: the same table gives the same profile.
    order = np.random.default_rng(0).permutation(len(samples))[:_CAP]
    return np.sort(order)


def _ranges(samples: Samples) -> tuple[FittedRange, ...]:
    """Range of each field of the cost, by phase and kind of layer; then by phase, for kinds that were not measured."""
    # A copy of memory is no layer that a scenario could have.
    layers = samples.layers[~samples.layers.kind.isin(["copy"])]
    return tuple(
        FittedRange(
            quantity=quantity,  # type: ignore[arg-type]
            low=float(rows[quantity].min()),
            high=float(rows[quantity].max()),
            phase=phase,
            layer_kind=kind,
        )
        for all_rows in (layers, layers.assign(kind=""))
        for (phase, kind), rows in all_rows.groupby(["phase", "kind"], sort=False)
        for quantity in COST_COLUMNS
    )


def _too_short(samples: Samples) -> str:
    names = samples.below[:5] + ((f"{len(samples.below) - 5} more",) if len(samples.below) > 5 else ())
    return f"Below the timer's resolution (time 0), left out: {listed(names)}. Time many executions at once and divide."


def _notes(table: MeasurementTable, samples: Samples) -> tuple[str, ...]:
    notes = []
    if table.dropped:
        notes.append(f"{len({problem.line for problem in table.dropped})} bad rows were left out.")
    if samples.below:
        notes.append(_too_short(samples))
    if not samples.n_repeated:
        notes.append("No computation was repeated: jitter is not measured.")
    if samples.single:
        counts = pd.Series(samples.labels).value_counts(sort=False)
        few = [f"{label} ({n})" for label, n in counts.items() if n < LEAST_SAMPLES]
        if few:
            notes.append(
                f"Extrapolation, for fewer than {LEAST_SAMPLES} different computations: {listed(few)}. Measure "
                "more of them."
            )
    if samples.single and len(set(samples.layers.batch_size)) == 1:
        notes.append("All rows have one batch size: predictions at others are extrapolated.")
    return tuple(notes)
