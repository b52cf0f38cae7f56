"""An event that happens within the present one calls back at once, in order, also across an end of the simulation."""

from __future__ import annotations

import simpy

from gapslsim.network.instant import happen


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
