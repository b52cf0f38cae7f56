"""A table with several power modes becomes one profile: the fastest mode is its own, the others are its variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gapslsim.calibration._fits import CalibrationError
from gapslsim.calibration.calibrate import Calibrated, calibrate, slug
from gapslsim.calibration.samples import LAYER_COLUMNS, select_rows
from gapslsim.calibration.table import MeasurementTable
from gapslsim.hardware.profile import Mode, Profile

__all__ = ["calibrate_modes"]

_KEY = [*LAYER_COLUMNS, "name", "count"]
"""What tells a computation from another, whatever the mode."""


@dataclass(frozen=True)
class CalibratedModes:
    """One profile with its modes, and the fit of each."""

    own: str
    """Power mode of the profile itself, as the table calls it."""
    base: Calibrated
    """Its fit; the profile in it has the other modes as variants."""
    variants: Mapping[str, Calibrated]
    """Fits of the other modes, by their names in the profile."""


def calibrate_modes(
    table: MeasurementTable, model: str = "auto", name: str | None = None, like: Profile | None = None
) -> CalibratedModes:
    """Fits every power mode of a table by itself.

    Args:
        table: rows of one device, in one or several power modes (`select_rows` with `several_modes`).
        model: see `calibrate`.
        name: of the profile.
        like: profile whose memory and power stand in where the table has none.

    Raises:
        CalibrationError: as `calibrate`, naming the power mode; on two modes whose names become the same.
    """
    held = [str(mode) for mode in table.compute.power_mode.unique()]
    # A profile without a named mode is taken for the device at its best.
    own = _fastest(table.compute, held) if len(held) > 1 else (held[0] if held else "")
    named = {mode: slug(mode) if mode else "default" for mode in held if mode != own}
    if len(set(named.values())) < len(named):
        raise CalibrationError(
            f"{table.source}: power modes {', '.join(map(repr, named))} become the same name in a profile "
            "(lower-case words joined by hyphens); rename one in the table."
        )
    fits = {mode: _fit(table, mode, len(held) > 1, model, name, like) for mode in held or [""]}
    base = fits.pop(own)
    modes = {named[mode]: _variant(base.profile, mode, done) for mode, done in fits.items()}
    whole = replace(base, profile=replace(base.profile, modes=modes))
    return CalibratedModes(own, whole, {named[mode]: done for mode, done in fits.items()})


def _fit(
    table: MeasurementTable, mode: str, several: bool, model: str, name: str | None, like: Profile | None
) -> Calibrated:
    if not several:
        return calibrate(table, model, name, like)
    try:
        return calibrate(select_rows(table, power_mode=mode), model, name, like)
    except CalibrationError as error:
        raise CalibrationError(f"power mode {mode!r}: {error}") from error


def _variant(base: Profile, mode: str, done: Calibrated) -> Mode:
    """What a mode has that the profile itself has not."""
    made = done.profile
    return Mode(
        description=f"Power mode {mode or 'without a name'}: {made.description}",
        cost_model=made.cost_model,
        jitter=made.jitter if made.jitter != base.jitter else None,
        power=made.power if made.power != base.power else None,
        overheads=made.overheads if made.overheads != base.overheads else None,
        calibration=made.calibration,
    )


def _fastest(compute: pd.DataFrame, modes: list[str]) -> str:
    """The mode that takes least time on average (geometric) for what was timed in all of them; else the first."""
    timed = compute[compute.time_s > 0]
    medians = timed.groupby([*_KEY, "power_mode"], dropna=False).time_s.median().unstack("power_mode")
    # Only what was timed in every mode compares them; else a mode with small layers would seem fast.
    shared = medians[modes].dropna()
    if shared.empty:
        return modes[0]
    # Geometric: large layers must not decide alone.
    return modes[int(np.argmin(np.log(shared.to_numpy()).mean(axis=0)))]
