"""The held-out splits of the public data: fit on a part of a table, predict the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gapslsim.calibration._fits import Provenance, fit, fits_of
from gapslsim.calibration._prediction import errors_by_group, predict
from gapslsim.calibration.calibrate import cross_validation
from gapslsim.calibration.samples import Samples, samples_of
from gapslsim.calibration.table import MeasurementTable
from gapslsim.errors import ComponentError, unknown
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.profile import HeldOutError
from gapslsim.hardware.terms import Array

__all__ = ["run_split"]

Part = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions to fit on, and to predict."""


@dataclass(frozen=True)
class SplitDone:
    """Errors on what was held out."""

    errors: tuple[HeldOutError, ...]
    samples: Samples
    """Those that were held out."""
    predicted: Array
    models: tuple[str, ...]
    """Cost model of each fit."""


def run_split(name: str, table: MeasurementTable, model: str = "auto") -> SplitDone:
    """Fits and predicts; the cost model is chosen on the rows of the fit alone.

    Splits of single layers are made within each kind of layer, as the data's README defines them.

    Raises:
        ComponentError: on an unknown split, or one that the table does not allow.
    """
    if name not in SPLITS:
        raise ComponentError(unknown("split", name, SPLITS))
    whole = samples_of(table.compute)
    parts = []
    # Within each kind: a split over all would leave rare kinds without a single row to fit on.
    if whole.single and name != "leave_one_out":
        for kind in dict.fromkeys(whole.layers.kind):
            at = np.flatnonzero(whole.layers.kind == kind)
            parts += [(at[fit_at], at[test_at]) for fit_at, test_at in SPLITS[name](whole.take(at))]
    else:
        parts = list(SPLITS[name](whole))
    about = Provenance(
        "held-out split, never written", Figure(value=0.0, status="assumed", source="not used")
    )
    tested = np.concatenate([test for _, test in parts])
    predicted, models = np.empty(len(whole)), []
    chosen = model
    for train, test in parts:
        # Chosen once for leave-one-out: the choice hardly depends on one row, and cross-validation per row is
        # slow.
        if model == "auto" and (name != "leave_one_out" or chosen == "auto"):
            chosen = _choose(whole.take(train), about)
        predicted[test] = predict(fit(chosen, whole.take(train), about), whole.take(test))
        models.append(chosen)
    held = whole.take(tested)
    return SplitDone(errors_by_group(name, predicted[tested], held), held, predicted[tested], tuple(models))


def _choose(samples: Samples, about: Provenance) -> str:
    return cross_validation(fits_of(samples), samples, about)[0]


def _random_1pct(samples: Samples) -> list[Part]:
    drawn = np.random.default_rng(0).random(len(samples)) < 0.01
    return [(np.flatnonzero(drawn), np.flatnonzero(~drawn))]


def _extrapolate_sizes(samples: Samples) -> list[Part]:
    """Sizes are read from the name `kind in-out xseq` that the converter writes."""
    try:
        sizes = np.array([[int(size) for size in name.split()[-2].split("-")] for name in samples.names])
    except (ValueError, IndexError) as error:
        raise ComponentError(
            "extrapolate_sizes is a split of the FLASH data alone (--from flash)."
        ) from error
    half = sizes.max(axis=0) / 2
    batch = samples.layers.batch_size.to_numpy()
    small = (sizes <= half).all(axis=1) & (batch <= 25)
    large = (sizes > half).all(axis=1) & (batch > 25)
    return [(np.flatnonzero(small), np.flatnonzero(large))]


def _100_archs(samples: Samples) -> list[Part]:
    try:
        index = np.array([int(name.split()[0]) for name in samples.names])
    except ValueError as error:
        raise ComponentError("100_archs is a split of the NAS-Bench data alone (--from nasbench).") from error
    order = np.argsort(index)[np.random.default_rng(0).permutation(len(index))]
    return [(order[:100], order[100:])]


def _leave_one_out(samples: Samples) -> list[Part]:
    everything = np.arange(len(samples))
    return [(np.delete(everything, i), np.array([i])) for i in everything]


SPLITS: dict[str, Callable[[Samples], list[Part]]] = {
    "random_1pct": _random_1pct,
    "extrapolate_sizes": _extrapolate_sizes,
    "100_archs": _100_archs,
    "leave_one_out": _leave_one_out,
}
"""Splits by name; they are defined in the READMEs of the public data."""
