import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import ScenarioError
from gapslsim.learning.optimizer import optimizers, schedules


def theirs(make: object, n: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    rates = []
    for _ in range(n):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_constant_is_one() -> None:
    assert [schedules["constant"]().factor(step, None) for step in (0, 7, 10**6)] == [1, 1, 1]


def test_step_falls_as_torch_does() -> None:
    schedule = schedules["step"](every=3, gamma=0.5)
    want = theirs(lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5), 10)
    assert [schedule.factor(step, None) for step in range(10)] == pytest.approx(want, rel=1e-12)


def test_cosine_falls_as_torch_does_and_stays_at_the_end() -> None:
    schedule = schedules["cosine"](final=0.1)
    want = theirs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8, eta_min=0.1), 9)
    assert [schedule.factor(step, 8) for step in range(9)] == pytest.approx(want, rel=1e-12)
    assert schedule.factor(4, 8) == pytest.approx(0.55)
    assert schedule.factor(80, 8) == pytest.approx(0.1)


def test_warmup_rises_then_falls_in_straight_lines() -> None:
    schedule = schedules["warmup_linear"](warmup=4, final=0.2)
    factors = [schedule.factor(step, 8) for step in range(10)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2])


def test_warmup_longer_than_the_run_only_rises() -> None:
    schedule = schedules["warmup_linear"](warmup=10)
    assert [schedule.factor(step, 5) for step in (0, 4)] == pytest.approx([0.1, 0.5])


@pytest.mark.parametrize(("kind", "settings"), [("cosine", {}), ("warmup_linear", {"warmup": 3})])
def test_an_unknown_end_is_an_error_that_says_what_to_set(kind: str, settings: dict[str, int]) -> None:
    with pytest.raises(ScenarioError, match=rf"stop: schedule '{kind}' needs .* Set stop.rounds"):
        schedules[kind](**settings).factor(0, None)
    assert math.isfinite(schedules[kind](planned_steps=7, **settings).factor(2, None))


def test_own_planned_steps_go_before_those_of_the_stop_condition() -> None:
    assert schedules["cosine"](planned_steps=4).factor(2, 1000) == pytest.approx(0.5)


def test_a_schedule_is_given_by_name_or_with_settings() -> None:
    adapter = TypeAdapter(optimizers["sgd"])
    assert adapter.validate_python({"lr": 1, "schedule": "cosine"}).schedule == schedules["cosine"]()
    with pytest.raises(ValidationError, match=r"unknown schedule 'cosin'.* Did you mean 'cosine'"):
        adapter.validate_python({"lr": 1, "schedule": "cosin"})
