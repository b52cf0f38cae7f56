"""Verbs on simpy's events: happening at once, priorities within an instant, going on with what an event brought."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import simpy

from gapslsim.events import FIRST, LAST, NORMAL, call_in, forget_all, happen, resume


def test_who_waits_is_called_at_once_and_in_order() -> None:
    env = simpy.Environment()
    event, called = env.event(), []
    event.callbacks = [lambda _: called.append("first"), lambda _: called.append("second")]
    happen(event)
    assert called == ["first", "second"]
    assert event.processed
    assert env.peek() == float("inf")


def test_a_simulation_that_ends_among_them_calls_the_others_when_it_goes_on() -> None:
    env = simpy.Environment()
    event, called = env.event(), []
    trigger, joins = env.timeout(1.0), env.timeout(0.5)
    trigger.callbacks.append(lambda _: happen(event))
    event.callbacks.append(lambda _: called.append("before"))
    joins.callbacks.append(lambda _: event.callbacks.append(lambda _: called.append("after")))
    env.run(until=event)  # It waits between the two.
    assert (called, env.now) == (["before"], 1.0)
    env.run()
    assert (called, env.now) == (["before", "after"], 1.0)


def test_calls_come_in_the_order_of_their_instants_and_priorities_and_then_as_they_were_made() -> None:
    env, called = simpy.Environment(), []
    for name, priority in (("last", LAST), ("normal", NORMAL), ("first", FIRST), ("normal too", NORMAL)):
        call_in(env, 1.0, lambda name=name: called.append((env.now, name)), priority)
    call_in(env, 0.5, lambda: called.append((env.now, "before")))
    env.run()
    assert called == [
        (0.5, "before"), (1.0, "first"), (1.0, "normal"), (1.0, "normal too"), (1.0, "last"),
    ]  # fmt: skip


def test_a_call_that_raises_ends_the_simulation_with_its_error() -> None:
    env = simpy.Environment()
    call_in(env, 1.0, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.run()


def test_a_generator_goes_on_with_the_value_of_its_event_and_says_what_it_waits_for_next() -> None:
    env = simpy.Environment()
    first, second = env.event(), env.event()

    def process() -> Generator[simpy.Event, object, object]:
        value = yield first
        return value, (yield second)

    generator = process()
    assert resume(generator, None) is first
    first.succeed("a")
    second.succeed("b")
    assert resume(generator, first) is second
    with pytest.raises(StopIteration) as end:
        resume(generator, second)
    assert end.value.value == ("a", "b")


def test_an_error_of_an_event_is_thrown_into_the_generator_and_does_not_end_the_simulation() -> None:
    env = simpy.Environment()
    failing, following = env.event(), env.event()

    def process() -> Generator[simpy.Event, object, None]:
        with pytest.raises(ValueError, match="lost"):
            yield failing
        yield following

    generator = process()
    resume(generator, None)
    failing.fail(ValueError("lost"))
    assert resume(generator, failing) is following
    env.run()
    assert failing.callbacks is None
    assert following.callbacks is not None


def test_forgotten_events_never_happen() -> None:
    env, called = simpy.Environment(), []
    call_in(env, 1.0, lambda: called.append("late"))
    forget_all(env)
    env.run()
    assert called == []
