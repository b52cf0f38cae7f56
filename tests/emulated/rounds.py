"""What one round asks of the emulated device."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from gapslsim import Scenario, simulate
from gapslsim.learning.learner import Learner
from tests.emulated.accelerator import emulated
from tests.emulated.log import Log


def last_round(scenario: Scenario) -> tuple[Log, dict[str, Any]]:
    """What the last but one round asked for, without set-up and evaluations, and the summary of the run.

    Args:
        scenario: of two rounds or more, evaluated at the ends only.
    """
    begin, seen = Learner.begin_round, []
    with emulated() as log:

        def counted(self: Learner, round: int) -> None:
            begin(self, round)  # closes the round before
            seen.append(log.copy())
            log.clear()

        with patch.object(Learner, "begin_round", counted):
            results = simulate(scenario)
    return seen[-1], results.summary
