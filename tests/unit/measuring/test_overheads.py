"""Loops and messages are timed part by part; on a clock that only layers, steps and waits move."""

from __future__ import annotations

import pytest
import torch

from gapslsim.measuring import _overheads
from gapslsim.measuring._overheads import loop_rows, message_rows
from gapslsim.measuring._steps import Bench
from gapslsim.measuring.passes import Effort
from gapslsim.measuring.probes import Probe
from gapslsim.measuring.table import Machine
from tests.unit.measuring.fakes import CLOCK, FakeClock, SpendingModel

CPU = torch.device("cpu")
TWICE = Effort(least=2, most=2, budget_s=1e9)


def test_a_loop_tells_what_is_beside_its_passes_and_what_a_wait_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    # Layers of the server side: 5.5 s forward, 7.25 s backward. Setting gradients to zero takes 1 s, a step 2 s; the
    # first step after a wait 3 s more.
    waited: list[float] = []

    class Sgd(torch.optim.SGD):
        def zero_grad(self, set_to_none: bool = True) -> None:
            CLOCK.seconds += 1.0
            super().zero_grad(set_to_none)

        def step(self, closure: object = None) -> None:  # type: ignore[override]
            CLOCK.seconds += 2.0 + 3.0 * len(waited)
            waited.clear()

    monkeypatch.setattr(_overheads.torch.optim, "SGD", Sgd)
    bench = Bench(Machine("board", "torch", 1), CPU, CLOCK, TWICE, 1)
    rows = [*loop_rows(bench, Probe("p", SpendingModel(), (4,), 3), 2, (0.5,), sleep=waited.append)]
    assert [(row.kind, row.time_s, row.note) for row in rows] == [
        ("iteration", 1.0, ""),
        ("warm", 5.5 + 7.25 + 3.0, ""),
        ("cold", 5.5 + 7.25 + 3.0 + 3.0, "after 0.5 s of waiting"),
    ]


def test_a_message_has_half_the_time_of_both_ends() -> None:
    bench = Bench(Machine("board", "torch", 1), CPU, FakeClock(tick=0.5), TWICE, 1)
    rows = [*message_rows(bench, (1024, 4096))]
    assert [(row.kind, row.moved_bytes, row.time_s) for row in rows] == [
        ("message", 1024.0, 0.25),
        ("message", 4096.0, 0.25),
    ]
