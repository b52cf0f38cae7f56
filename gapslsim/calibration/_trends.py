"""Fits linear trends to single layers: which terms, which jumps, with what coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.calibration._figures import figure_of
from gapslsim.calibration._prediction import time_weighted
from gapslsim.calibration._robust import Fit, fit_nonnegative, fit_relative
from gapslsim.calibration.samples import Samples
from gapslsim.hardware.grouped import Jump
from gapslsim.hardware.terms import Array, TermName, term

__all__ = ["TrendFit", "choose_trend", "fit_trend", "leading_trend", "line_beyond"]

_PLAIN: tuple[TermName, ...] = ("constant", "flop", "byte", "parameter", "activation")
_RECURRENT: tuple[TermName, ...] = (*_PLAIN, "other_byte", "sample_flop", "reuse")
"""For layers that use their weights once per step of a sequence."""
_BEYOND: tuple[TermName, ...] = ("constant", "flop", "parameter", "activation", "sample_byte")
"""For sizes beyond the measurements."""
_JUMPED: tuple[TermName, ...] = ("activation", "parameter")
_PARTS: tuple[TermName, ...] = ("constant", "parameter", "activation")
_FOLDS = 5
_WORTH = 0.98
"""A richer trend must bring the error of cross-validation below this share of the plainer one's."""
_MUCH = 0.9
"""Share of the error by time that is left by what is much better."""
_DENSE = 3.0
"""FLOP per byte below which a kind of layer is bound by the memory, on any device."""
_SHARE = 0.08
"""Least share of the measurements on either side of a jump."""
_LEAST_SEARCH = 60
"""Fewer measurements cannot tell which terms are there; they get the plain ones."""
_MAX_SEARCH = 600
"""Measurements used to look for jumps."""


Threshold = tuple[TermName, float]
"""Where a jump is: above which amount of which term."""


@dataclass(frozen=True)
class TrendFit:
    """A fitted trend."""

    terms: tuple[TermName, ...]
    thresholds: tuple[Threshold, ...]
    fit: Fit

    def settings(self, source: str) -> dict[str, Any]:
        """`terms` and `jumps` of a profile's group; coefficients that are 0 are left out."""
        values = list(zip(self.fit.coefficients, self.fit.standard_errors, strict=True))
        figures = [figure_of(value, error, source) if value > 0 else None for value, error in values]
        n = len(self.terms)
        terms = {name: made for name, made in zip(self.terms, figures[:n], strict=True) if made is not None}
        jumps = []
        for i, (quantity, above) in enumerate(self.thresholds):
            constant, parameter, activation = figures[n + 3 * i : n + 3 * i + 3]
            jumps.append(
                Jump(quantity=quantity, above=above, constant=constant,
                     per_parameter=parameter, per_activation=activation)
            )  # fmt: skip
        return {"terms": terms, "jumps": tuple(jumps)}


def fit_trend(
    samples: Samples,
    terms: tuple[TermName, ...] = _PLAIN,
    thresholds: tuple[Threshold, ...] = (),
    relative: bool = False,
) -> TrendFit:
    """Fits the coefficients of given terms and jumps; `relative` as for `choose_trend`."""
    design = _design(samples, terms, thresholds)
    fit = fit_relative if relative else fit_nonnegative
    return TrendFit(terms, thresholds, fit(design, samples.seconds))


def choose_trend(samples: Samples, relative: bool = False) -> TrendFit:
    """Fits a trend whose terms and jumps are chosen by five-fold cross-validation.

    Plain terms are kept unless those for recurrent layers are better; then up to two jumps are added while each is
    worth it. Thresholds are the powers of two within the measurements.

    Args:
        samples: single layers.
        relative: whether errors are relative to the measurements (`fit_relative`), for trends that are corrected by
            interpolation; relative to the prediction otherwise.
    """
    fit = fit_relative if relative else fit_nonnegative
    # Jumps are looked for in a part: each of some forty candidates takes five fits. The final fit takes all.
    search = samples
    if len(samples) > _MAX_SEARCH:
        drawn = np.random.default_rng(0).permutation(len(samples))[:_MAX_SEARCH]
        search = samples.take(np.sort(drawn))
    if len(samples) < _LEAST_SEARCH:
        return fit_trend(samples, relative=relative)
    terms, best = _PLAIN, _error(search, _PLAIN, (), fit)
    richer = _error(search, _RECURRENT, (), fit)
    if richer < _WORTH * best:
        terms, best = _RECURRENT, richer
    thresholds: tuple[Threshold, ...] = ()
    for _ in range(2):
        # The index stands before the threshold, so that equal errors never compare two thresholds.
        tried = [(_error(search, terms, (*thresholds, at), fit), i, at) for i, at in enumerate(_candidates(search))
                 if at not in thresholds]  # fmt: skip
        if not tried or min(tried)[0] >= _WORTH * best:
            break
        best, _, at = min(tried)
        thresholds = (*thresholds, at)
    return fit_trend(samples, terms, thresholds, relative)


def leading_trend(samples: Samples) -> TrendFit:
    """The trend of a lookup: errors are relative to the measurements, to the prediction where that is much better.

    Interpolation corrects it between the points; what is asked of it is to lead on beyond them.
    """
    relative, robust = choose_trend(samples, relative=True), choose_trend(samples)
    off = [
        time_weighted(_held_out(samples, made.terms, made.thresholds, fit), samples.seconds)
        for made, fit in ((relative, fit_relative), (robust, fit_nonnegative))
    ]
    return robust if off[1] < _MUCH * off[0] else relative


def line_beyond(samples: Samples) -> TrendFit | None:
    """The line for sizes beyond the measurements of a kind bound by the memory; None for one bound by arithmetic.

    What is measured where data fit into a cache does not hold beyond, so neither jumps nor corrections go on. The
    rate of arithmetic on large matrices stays.
    """
    columns = samples.columns()
    if np.median(columns["work_flop"] / np.maximum(columns["moved_bytes"], 1.0)) >= _DENSE:
        return None
    told = any(columns[name].any() for name in ("n_parameters", "n_activations"))
    return fit_trend(samples, _BEYOND if told else _PLAIN, relative=True)


def _candidates(samples: Samples) -> list[Threshold]:
    found: list[Threshold] = []
    columns = samples.columns()
    for quantity in _JUMPED:
        amount = term(quantity, columns)
        for power in range(8, 31):
            share = float((amount > 2.0**power).mean())
            # With few points on one side a jump would fit those few.
            if _SHARE < share < 1 - _SHARE:
                found.append((quantity, 2.0**power))
    return found


def _design(samples: Samples, terms: tuple[TermName, ...], thresholds: tuple[Threshold, ...]) -> Array:
    columns = samples.columns()
    parts = [term(name, columns) for name in terms]
    for quantity, above in thresholds:
        passed = (term(quantity, columns) > above).astype(np.float64)
        parts += [passed * term(name, columns) for name in _PARTS]
    return samples.total(np.stack(parts, axis=1))


def _error(
    samples: Samples,
    terms: tuple[TermName, ...],
    thresholds: tuple[Threshold, ...],
    fit: Callable[..., Fit],
) -> float:
    """Mean absolute relative error in cross-validation; endless for too few rows."""
    predicted = _held_out(samples, terms, thresholds, fit)
    return float(np.abs(predicted / samples.seconds - 1).mean())


def _held_out(
    samples: Samples,
    terms: tuple[TermName, ...],
    thresholds: tuple[Threshold, ...],
    fit: Callable[..., Fit],
) -> Array:
    """Predictions of five-fold cross-validation."""
    design, seconds = _design(samples, terms, thresholds), samples.seconds
    # A fit with nearly as many terms as rows is perfect where it was made and means nothing.
    if len(seconds) < 2 * design.shape[1]:
        return np.full(len(seconds), np.inf)
    fold: NDArray[np.int64] = np.random.default_rng(0).permutation(len(seconds)) % _FOLDS
    predicted = np.empty(len(seconds))
    for held in range(_FOLDS):
        made = fit(design[fold != held], seconds[fold != held], n_steps=4)
        predicted[fold == held] = design[fold == held] @ made.coefficients
    return predicted
