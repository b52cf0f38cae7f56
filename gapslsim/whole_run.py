"""Runs that an answer is about as a whole: who interrupts one has interrupted the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gapslsim.run import simulate

if TYPE_CHECKING:
    from gapslsim.results.results import Results
    from gapslsim.scenario.schema import Scenario

__all__ = ["whole_run"]


def whole_run(scenario: Scenario, **how: Any) -> Results:
    """As `gapslsim.run.simulate`; Ctrl-C and signals end the caller too, whose answer would be about a part of a run.

    Raises:
        KeyboardInterrupt: if the run was interrupted.
        GapslsimError: as `simulate`.
    """
    results = simulate(scenario, **how)
    if results.summary["status"] == "interrupted":
        raise KeyboardInterrupt
    return results
