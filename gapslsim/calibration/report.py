"""A calibration in words, tables and one figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from gapslsim.calibration._fits import LEAST_SAMPLES
from gapslsim.calibration.calibrate import Calibrated
from gapslsim.calibration.links import LinkFit, link_section
from gapslsim.calibration.samples import Samples
from gapslsim.hardware.cost_model import CostModel
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.figure import Figure
from gapslsim.hardware.grouped import GroupedModel
from gapslsim.hardware.profile import HeldOutError
from gapslsim.hardware.terms import Array
from gapslsim.results.drawing.drawing import Curve, Drawing, Mark, Panel, Scale
from gapslsim.results.drawing.matplotlib_printer import save

__all__ = ["error_table", "headline", "plot", "report"]

_WORST = 5


def report(done: Calibrated, links: Sequence[LinkFit] = ()) -> RenderableType:
    """What was fitted, how wrong it is, which rows it misses most."""
    profile, calibration = done.profile, done.profile.calibration
    assert calibration is not None
    tried = ", ".join(f"{name} {100 * error:.1f} %" for name, error in done.headline.items())
    lines = [
        f"Profile {profile.name}: cost model {profile.cost_model.kind}, fitted to {calibration.n_points} measured "  # type: ignore[attr-defined]
        "computations.",
        headline(calibration.held_out),
        f"Mean of the phases of a step: {tried}.",
        *done.notes,
        f"Jitter: sigma {profile.jitter.sigma.value:.3g} ({profile.jitter.sigma.status}).",
        *map(str, links),
        *([f"In a scenario: {link_section(links)}"] if links else []),
    ]
    errors, coefficients = error_table(calibration.held_out), _coefficients(profile.cost_model)
    return Group(Text("\n".join(lines)), errors, coefficients, *_worst(done.samples, done.predicted))


def headline(errors: Sequence[HeldOutError]) -> str:
    """How far off each phase is, in a sentence: weighted by time, and its sum."""
    phases = [error for error in errors if error.group and " " not in error.group] or errors[:1]
    told = [
        f"{error.group or 'all'} {100 * (error.time_weighted or 0):.1f} % (sum {100 * (error.bias or 0):+.1f} %)"
        for error in phases
    ]
    return f"Error, weighted by time, {errors[0].split}: {', '.join(told)}."


def error_table(errors: Sequence[HeldOutError]) -> Table:
    """Errors by group of rows: weighted by time, of the sum, and of single computations."""
    names = ("n", "by time", "sum", "mean", "median", "95th percentile")
    numbers = [Column(name, justify="right") for name in names]
    title = f"Errors, {errors[0].split}" if errors else "Errors"
    table = Table("rows", *numbers, title=title, title_justify="left")
    for error in errors:
        few = " extrapolation" if error.n_points < LEAST_SAMPLES and error.group else ""
        table.add_row(
            (error.group or "all") + few,
            str(error.n_points),
            "" if error.time_weighted is None else f"{100 * error.time_weighted:.1f} %",
            "" if error.bias is None else f"{100 * error.bias:+.1f} %",
            *(f"{100 * value:.1f} %" for value in (error.mape, error.median, error.p95)),
        )
    return table


def _coefficients(model: CostModel) -> Table:
    numbers = [Column(name, justify="right") for name in ("value", "standard error")]
    table = Table("group", "number", *numbers, title="Fitted numbers", title_justify="left")

    def add(group: str, name: str, figure: Figure[float] | None) -> None:
        if figure is not None:
            error = "" if figure.standard_error is None else f"{figure.standard_error:.2g}"
            table.add_row(group, name, f"{figure.value:.4g}", error)

    if isinstance(model, GroupedModel):
        for group in model.groups:
            label = f"{group.phase or 'any phase'} {group.layer_kind or '(any kind)'}"
            for name, figure in group.terms.items():
                add(label, f"{name} [s per unit]", figure)
            for jump in group.jumps:
                for name in ("constant", "per_parameter", "per_activation"):
                    add(label, f"{name}, {jump.quantity} > {jump.above:g}", getattr(jump, name))
    elif isinstance(model, Roofline):
        for name in ("forward_rate", "backward_rate", "update_rate", "other_rate", "memory_rate",
                     "overhead_per_layer", "overhead_per_call"):  # fmt: skip
            add("", name, getattr(model, name))
        for name in ("efficiency", "memory_efficiency"):
            for kind, figure in getattr(model, name).items():
                add(kind, name, figure)
    return table


def _worst(samples: Samples, predicted: Array) -> Iterator[Table]:
    with np.errstate(invalid="ignore", divide="ignore"):
        far = np.abs(np.log(predicted / samples.seconds))
    order = [int(i) for i in np.argsort(-np.nan_to_num(far, nan=-1.0))[:_WORST] if np.isfinite(far[i])]
    if not order:
        return
    numbers = [Column(name, justify="right") for name in ("measured", "predicted")]
    table = Table("computation", *numbers, title="Furthest from the measurement", title_justify="left")
    for i in order:
        table.add_row(samples.names[i], f"{samples.seconds[i]:.4g} s", f"{predicted[i]:.4g} s")
    yield table


def plot(samples: Samples, predicted: Array, title: str, path: Path) -> None:
    """Draws predicted against measured times, both axes logarithmic, a series per phase and kind of layer.

    Args:
        samples: measured [s].
        predicted: one per sample [s].
        title: heading.
        path: a picture: png, svg or pdf.

    Raises:
        ResultsError: if it cannot be written.
    """
    labels = samples.labels if samples.single else ["all"] * len(samples)
    names = list(dict.fromkeys(labels))
    measured = samples.seconds
    ends = np.array([measured.min(), measured.max()])
    near = pd.DataFrame({"x": ends, "mean": ends, "low": ends / 1.2, "high": ends * 1.2})
    marks = [
        Mark(float(x), float(y), number, size=0.6)
        for number, name in enumerate(names)
        for label, x, y in zip(labels, measured, predicted, strict=True)
        if label == name
    ]
    along = Scale.over(measured, "measured [s]", log=True)
    high = Scale.over(predicted, "predicted [s]", log=True)
    panel = Panel("", along, high, [Curve(None, near), *marks], height=500)
    save(Drawing(title, [panel], ["Shaded: within 20 % of the measurement."], series=names), path)
