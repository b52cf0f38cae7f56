"""A check of a testbed as text, Markdown and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from gapslsim.hardware.profile_file import write_profile
from gapslsim.plain_text import markdown
from gapslsim.results import words
from gapslsim.results.compare import Comparison
from gapslsim.results.drawing.drawing import Curve, Drawing, Mark, Panel, Part, Scale, Span
from gapslsim.testbed.comparison import Agreement, errors_over_all
from gapslsim.testbed.factors import FACTORS, Fitted
from gapslsim.whole_files import make_folder

__all__ = ["TestbedCheck"]


def _watts(value: float | None) -> str:
    return words.MISSING if value is None or value != value else f"{value:.3g} W"


_SAID: Final[dict[str, Callable[[float | None], str]]] = {
    "s": words.seconds, "J": words.energy, "B": words.size, "W": _watts,
}  # fmt: skip


@dataclass(frozen=True)
class TestbedCheck:
    """What a check found."""

    __test__ = False

    title: str
    compared: pd.DataFrame
    """See `comparison.compare_cells`; column `calibrated`: whether the cell was fitted to."""
    agreements: Sequence[Agreement]
    fitted: Fitted | None = None

    @property
    def predicted(self) -> pd.DataFrame:
        """Cells that nothing was fitted to; all of them where all were."""
        held_out = self.compared[~self.compared["calibrated"]]
        return held_out if len(held_out) else self.compared

    def beyond(self, tolerance: float) -> pd.DataFrame:
        """Predicted cells whose median is off by more than the tolerance."""
        return self.predicted[self.predicted["error_median"].abs() > tolerance]

    def cells(self) -> Comparison:
        """One row per cell and measure."""
        has_interval = "low" in self.compared
        head = [
            "cell",
            "measure",
            "n",
            "measured",
            "simulated",
            "error",
            "p90 measured",
            "p90 simulated",
            "error p90",
        ]
        rows = []
        for row in self.compared.to_dict("records"):
            say = _SAID[row["unit"]]
            texts = [
                row["cell"] + (" (fitted to)" if row["calibrated"] else ""), row["measure"], str(row["n"]),
                say(row["measured_median"]), say(row["simulated_median"]), _signed(row["error_median"]),
                say(row["measured_p90"]), say(row["simulated_p90"]), _signed(row["error_p90"]),
            ]  # fmt: skip
            if has_interval:
                drawn = not math.isnan(row["low"])
                ends = f"{say(row['low'])} to {say(row['high'])}" if drawn else words.MISSING
                texts += [ends, ("yes" if row["covered"] else "no") if drawn else words.MISSING]
            rows.append(tuple(texts))
        return Comparison((*head, *(("interval", "covers") if has_interval else ())), tuple(rows))

    def overall(self) -> Comparison:
        """One row per measure, over the predicted cells."""
        head = (
            "measure", "cells", "median error", "worst", "bias", "median error of p90", "worst of p90", "worst cell",
        )  # fmt: skip
        rows = [
            (
                r["measure"], str(r["cells"]), words.percent(r["median_error"]), words.percent(r["worst_error"]),
                _signed(r["bias"]), words.percent(r["median_error_p90"]), words.percent(r["worst_error_p90"]),
                r["worst_cell"],
            )
            for r in errors_over_all(self.predicted).to_dict("records")
        ]  # fmt: skip
        return Comparison(head, tuple(rows))

    def sentences(self) -> list[str]:
        """What was fitted, whether orders agree, how often intervals cover."""
        said = []
        if self.fitted is not None:
            fitted = self.fitted
            for factor, value, spread, prior in zip(
                fitted.factors, fitted.values, fitted.spreads, fitted.priors, strict=True
            ):
                kind = FACTORS[factor.kind]
                unknown = "" if spread < 0.7 * prior else "; the cells hardly tell it"
                sure = f"1 sigma {100 * spread:.2g} %{unknown}"
                said.append(f"Fitted: {factor.name} {value:.4g} ({kind.words}; {sure}).")
        for one in self.agreements:
            among = f" ({one.among})" if one.among else ""
            best = (
                f"the best is named rightly, {one.best_measured}"
                if one.names_the_best
                else f"the best is {one.best_measured} as measured and {one.best_simulated} as simulated"
            )
            said.append(f"{one.measure}, order of {one.column}{among}: Kendall's tau {one.tau:.2f}; {best}.")
        if "covered" in self.compared:
            covered = self.predicted["covered"].dropna()
            said.append(
                f"Intervals cover the measured median in {int(covered.sum())} of {len(covered)} cells."
            )
        return said

    def write_profiles(self, folder: Path) -> list[Path]:
        """Writes the profiles with what was fitted, for scenarios to name by their path."""
        make_folder(folder)
        written = []
        for name, profile in {} if self.fitted is None else self.fitted.profiles().items():
            path = folder / f"{Path(name).stem.replace('@', '-')}.yaml"
            write_profile(profile, path)
            written.append(path)
        return written

    def markdown(self) -> str:
        """The whole check."""
        lines = [
            f"# {markdown(self.title)}",
            "",
            self.cells().markdown(),
            "",
            "## Over all predicted cells",
            "",
        ]
        lines += [
            self.overall().markdown(),
            "",
            *(f"- {markdown(sentence)}" for sentence in self.sentences()),
        ]
        return "\n".join(lines) + "\n"

    def drawing(self) -> Drawing:
        """Simulated against measured medians; on the line they agree."""
        panels, series = [], list(dict.fromkeys(self.compared["measure"]))
        for unit, part in self.compared.groupby("unit", sort=False):
            values = part[["measured_median", "simulated_median"]].to_numpy().ravel()
            x, y = (Scale.over(values, f"{what} [{unit}]", log=None) for what in ("measured", "simulated"))
            ends = [x.low, x.high]
            parts: list[Part] = [Curve(None, pd.DataFrame({"x": ends, "mean": ends}), marks=False, thin=True)]
            for row in part.to_dict("records"):
                number = series.index(row["measure"])
                place = (row["measured_median"], row["simulated_median"])
                if not math.isnan(row.get("low", math.nan)):
                    parts.append(Span((place[0], place[0]), (row["low"], row["high"]), number))
                parts.append(Mark(*place, number, size=0.5 if row["calibrated"] else 1.0))
            panels.append(Panel("", x, y, parts))
        caption = ["On the line, medians agree."]
        if self.compared["calibrated"].any():
            caption.append("Small marks were fitted to.")
        return Drawing(self.title, panels, caption, series=series, numbers=self.compared)


def _signed(share: float) -> str:
    return words.MISSING if share != share else f"{100 * share:+.1f} %"
