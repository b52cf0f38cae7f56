"""A node's device serves one computation at a time, in order of asking; an interrupted one never happened."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from gapslsim.sim.activities import Activities
from gapslsim.sim.node import Node
from gapslsim.sim.recorder import Recorder
from gapslsim.work import Work
from tests.support import RateDevice, flop


class Place:
    """A server on its own, with what it carried out and when."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.recorder = Recorder([1.0] * 4)
        self.activities = Activities(self.env)
        self.done: list[tuple[str, float]] = []
        self.node = self.make("server", None)

    def make(self, name: str, client: int | None) -> Node:
        def no_random() -> Any:
            raise AssertionError("a device without jitter draws nothing")

        network: Any = None
        return Node(
            name, client, RateDevice(rate=2.0), self.env, network, self.recorder, self.activities, no_random
        )

    def compute(self, name: str, amount: float, wait_s: float = 0.0, node: Node | None = None) -> Any:
        def carry_out() -> str:
            self.done.append((name, self.env.now))
            return name

        yield self.env.timeout(wait_s)
        return (yield from (node or self.node).compute(Work(name, flop(amount), carry_out)))

    def start(self, *arguments: Any, **more: Any) -> simpy.Process:
        return self.env.process(self.compute(*arguments, **more))


def test_computations_queue_in_order_of_asking() -> None:
    place = Place()
    place.start("a", 4.0)
    place.start("b", 2.0, 0.5)
    place.start("c", 2.0, 0.25)
    place.start("late", 2.0, 10.0)
    place.env.run()
    assert place.done == [("a", 2.0), ("c", 3.0), ("b", 4.0), ("late", 11.0)]


def test_simultaneous_computations_are_served_in_order_of_their_start() -> None:
    place = Place()
    for name in "abcd":
        place.start(name, 2.0)
    place.env.run()
    assert place.done == [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)]


def test_two_nodes_do_not_wait_for_each_other() -> None:
    place = Place()
    other = place.make("client-1", 1)
    both = place.activities.together([place.compute("a", 4.0), place.compute("b", 4.0, node=other)])
    found = place.env.run(place.env.process(both))
    assert found == ["a", "b"]
    assert place.done == [("a", 2.0), ("b", 2.0)]


@pytest.mark.parametrize(
    ("victim", "at_s", "expected"),
    [
        ("a", 1.0, [("b", 3.0), ("c", 4.0)]),  # computing: the device is free at once, b starts at 1
        ("b", 1.0, [("a", 2.0), ("c", 3.0)]),  # waiting: it leaves the line
    ],
)
def test_an_interrupted_computation_never_happened(
    victim: str, at_s: float, expected: list[tuple[str, float]]
) -> None:
    place = Place()

    def guarded(name: str, amount: float) -> Any:
        try:
            yield from place.compute(name, amount)
        except simpy.Interrupt:
            return

    started = {name: place.env.process(guarded(name, f)) for name, f in (("a", 4.0), ("b", 4.0), ("c", 2.0))}

    def interrupt() -> Any:
        yield place.env.timeout(at_s)
        started[victim].interrupt()

    place.env.process(interrupt())
    place.env.run()
    assert place.done == expected
    phases = {row.phase for row in place.recorder.spans}
    assert victim not in phases


def test_one_interrupted_at_the_instant_of_its_turn_hands_it_on() -> None:
    place = Place()

    def guarded() -> Any:
        try:
            yield from place.compute("b", 4.0)
        except simpy.Interrupt:
            return

    place.start("a", 4.0)
    victim = place.env.process(guarded())
    place.start("c", 2.0)

    def interrupt() -> Any:
        yield place.env.timeout(2.0)
        if victim.is_alive:
            victim.interrupt()

    place.env.process(interrupt())
    place.env.run()
    assert place.done[0] == ("a", 2.0)
    assert place.done[-1] == ("c", 3.0)


def test_an_error_in_a_computation_frees_the_device() -> None:
    place = Place()

    def fail() -> None:
        raise ValueError("broken")

    def guarded() -> Any:
        with pytest.raises(ValueError, match="broken"):
            yield from place.node.compute(Work("x", flop(2.0), fail))

    place.env.process(guarded())
    place.start("a", 2.0)
    place.env.run()
    assert place.done == [("a", 2.0)]


def test_clients_that_wait_for_the_server_are_charged_for_queue_and_computation() -> None:
    place = Place()

    def ask(name: str, clients: tuple[int, ...]) -> Any:
        yield from place.node.compute(Work(name, flop(4.0), lambda: None), on_behalf_of=clients)

    place.env.process(ask("a", (0,)))
    place.env.process(ask("b", (1,)))
    place.env.run()
    rows = {(s.client, s.phase): (s.start_s, s.end_s) for s in place.recorder.spans if s.client >= 0}
    assert rows == {
        (0, "server_compute"): (0.0, 2.0),
        (1, "server_queue"): (0.0, 2.0),
        (1, "server_compute"): (2.0, 4.0),
    }
