"""Processes side by side: values in order, nothing waits that need not, the first error ends the barrier."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from gapslsim.sim.activities import Activities


def pause(env: simpy.Environment, seconds: float, value: Any = None) -> Any:
    if seconds:
        yield env.timeout(seconds)
    return value


def run(env: simpy.Environment, *processes: Any) -> tuple[list[Any], float]:
    def flow() -> Any:
        values = yield from Activities(env).together(processes)
        return values, env.now

    found: tuple[list[Any], float] = env.run(env.process(flow()))
    return found


def test_values_come_in_the_order_of_the_processes_when_the_last_has_ended() -> None:
    env = simpy.Environment()
    assert run(env, pause(env, 3.0, "a"), pause(env, 0.0, "b"), pause(env, 1.0, "c")) == (
        ["a", "b", "c"],
        3.0,
    )


def test_nobody_waits_for_no_processes_or_for_those_that_end_at_once() -> None:
    env = simpy.Environment()
    assert run(env) == ([], 0.0)
    assert run(env, pause(env, 0.0, 1), pause(env, 0.0, 2)) == ([1, 2], 0.0)


def test_barriers_can_be_within_barriers() -> None:
    env = simpy.Environment()

    def inner(first: float, second: float) -> Any:
        values = yield from Activities(env).together([pause(env, first, first), pause(env, second, second)])
        yield env.timeout(1.0)
        return sum(values)

    assert run(env, inner(1.0, 2.0), inner(0.0, 5.0)) == ([3.0, 5.0], 6.0)


def test_the_first_error_reaches_who_waits_and_the_others_are_cancelled() -> None:
    env = simpy.Environment()

    cancelled: list[float] = []

    def fails(seconds: float) -> Any:
        try:
            yield env.timeout(seconds)
        except GeneratorExit:
            cancelled.append(env.now)
            raise
        raise ValueError(f"after {seconds:g}")

    def flow() -> Any:
        with pytest.raises(ValueError, match="after 1"):
            yield from Activities(env).together([fails(2.0), fails(1.0), pause(env, 3.0)])
        yield env.timeout(5.0)
        assert cancelled == [1.0]
        return env.now

    assert env.run(env.process(flow())) == 6.0


def test_an_error_of_what_a_process_waits_for_is_thrown_into_it() -> None:
    env = simpy.Environment()
    broken = env.event()

    def waits() -> Any:
        try:
            yield broken
        except KeyError:
            return "caught"

    def breaks() -> Any:
        yield env.timeout(1.0)
        broken.fail(KeyError("x"))

    assert run(env, waits(), breaks()) == (["caught", None], 1.0)


def test_what_has_happened_already_is_not_waited_for() -> None:
    env = simpy.Environment()
    early = env.timeout(0.0, "early")
    env.run(until=1.0)

    def late() -> Any:
        return (yield early)

    assert run(env, late()) == (["early"], 1.0)
