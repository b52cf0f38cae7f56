"""Learning-rate schedules; one per file."""

from __future__ import annotations

from gapslsim.errors import Problem, ScenarioError

__all__ = ["known_steps"]


def known_steps(kind: str, own: int | None, planned: int | None) -> int:
    """Optimizer steps until the end: the schedule's own setting, else what the stop condition gives.

    Raises:
        ScenarioError: if both are None.
    """
    steps = own or planned
    if steps is None:
        message = (
            f"schedule '{kind}' needs the planned number of steps, and the scenario does not tell it. "
            "Set stop.rounds or stop.epochs, or planned_steps in the schedule."
        )
        raise ScenarioError([Problem("stop", message)])
    return steps
