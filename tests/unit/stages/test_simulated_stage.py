"""How a run on the simulated stage ends where something goes wrong."""

from __future__ import annotations

from typing import Literal

import pytest

from gapslsim.errors import StalledError
from gapslsim.frameworks.parallel import ParallelSplitLearning
from gapslsim.frameworks.stage import Process, Stage
from gapslsim.registry import component
from tests.support import small_setup, stage


@component
class Breaks(ParallelSplitLearning):
    """Raises once nothing else is under way."""

    kind: Literal["breaks"] = "breaks"

    def round(self, w: Stage) -> Process[None]:
        yield from w.pause(1.0)
        raise RuntimeError("a kernel refused its input")


@component
class Waits(ParallelSplitLearning):
    """Waits for an activity that waits for itself."""

    kind: Literal["waits"] = "waits"

    def round(self, w: Stage) -> Process[None]:
        held: list[Process[None]] = []

        def other() -> Process[None]:
            yield from w.pause(0.001)
            yield from held[0]

        held.append(w.spawn(other()))  # type: ignore[arg-type]
        yield from held[0]


def test_an_error_of_the_tensors_is_told_as_it_is_although_nothing_else_goes_on() -> None:
    with pytest.raises(RuntimeError, match="a kernel refused its input"):
        stage(small_setup()).run(Breaks(), 1)


def test_a_wait_that_can_never_end_is_told() -> None:
    with pytest.raises(StalledError, match="something that can never happen"):
        stage(small_setup()).run(Waits(), 1)
