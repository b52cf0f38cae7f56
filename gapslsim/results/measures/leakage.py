"""What the smashed data of a run gives away."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from gapslsim.errors import ResultsError
from gapslsim.registry import component
from gapslsim.results._spent import Unit
from gapslsim.results.measure import Measure, Value, measures
from gapslsim.results.study_tables import StudyRun

__all__ = ["Leakage"]

_NAMES: Final = {
    "reconstructed": "reconstructed",
    "ssim": "SSIM of reconstructions",
    "psnr_db": "PSNR of reconstructions",
    "right_tokens": "tokens reconstructed",
    "distance_correlation": "distance correlation",
    "corrected_distance_correlation": "corrected distance correlation",
}


@measures.register
@component
class Leakage(Measure):
    """What smashed data gives away of the inputs, by the table `leakage`; less is better.

    The study has to ask for it: `set: {evaluation.leakage: {}}`, see docs/howto/leakage.md.
    """

    greater_is_better: ClassVar[bool] = False
    kind: Literal["leakage"] = "leakage"
    of: Literal[
        "reconstructed", "ssim", "psnr_db", "right_tokens", "distance_correlation",
        "corrected_distance_correlation",
    ] = "reconstructed"  # fmt: skip
    """Which of its measures."""
    whose: Literal["clients", "mean"] = "clients"
    """Of the clients that were looked at, on average; or of the mean of all client-side models."""

    @property
    def name(self) -> str:
        """What is measured."""
        return _NAMES[self.of]

    @property
    def unit(self) -> Unit:
        """Shares in percent; a correlation and SSIM as they are."""
        if self.of == "psnr_db":
            return Unit("dB", "dB")
        return Unit("1", "%", 100.0) if self.of in ("reconstructed", "right_tokens") else Unit("1", "")

    def of_run(self, run: StudyRun, view: str) -> Value:
        """The mean over those that were looked at.

        Raises:
            ResultsError: if nobody looked.
        """
        table = run.leakage
        if table.empty:
            raise ResultsError(
                f"nobody looked what the smashed data of {run.record.label} gives away; write "
                "'set: {evaluation.leakage: {}}' in the study and sweep again: the journal knows the training"
            )
        found = table[(table["measure"] == self.of) & ((table["client"] < 0) == (self.whose == "mean"))]
        if found.empty:
            known = ", ".join(dict.fromkeys(table["measure"]))
            raise ResultsError(f"{run.record.label} has no {self.of} of {self.whose}; it has: {known}")
        return Value(float(found["value"].mean()))
