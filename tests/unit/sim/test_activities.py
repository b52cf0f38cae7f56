"""The first of several, limits of time, work in the background, cancelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import simpy

from gapslsim.activity import Late
from gapslsim.errors import ProtocolError
from gapslsim.sim.activities import Activities


class Place:
    """An event loop whose processes note when they end and when they are closed."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.acts = Activities(self.env)
        self.log: list[tuple[str, float]] = []

    def takes(self, name: str, seconds: float) -> Any:
        try:
            if seconds:
                yield self.env.timeout(seconds)
        except GeneratorExit:
            self.log.append((f"{name} cancelled", self.env.now))
            raise
        self.log.append((name, self.env.now))
        return name

    def run(self, flow: Callable[[], Any]) -> Any:
        main = self.acts.spawn(flow())
        self.env.run()
        return main.value


def test_the_first_to_end_come_in_the_order_of_their_ends_and_the_rest_go_on() -> None:
    p = Place()

    def flow() -> Any:
        ended, rest = yield from p.acts.first([p.takes("a", 3), p.takes("b", 1), p.takes("c", 2)], 2)
        assert [one.value for one in ended] == ["b", "c"]
        assert (len(rest), p.env.now) == (1, 2)
        again, nothing = yield from p.acts.first(rest)
        assert ([one.value for one in again], nothing, p.env.now) == (["a"], [], 3)

    p.run(flow)
    assert p.log == [("b", 1), ("c", 2), ("a", 3)]


def test_those_that_have_ended_already_count_first() -> None:
    p = Place()

    def flow() -> Any:
        ended, rest = yield from p.acts.first([p.takes("slow", 5), p.takes("now", 0)], 1)
        assert [one.value for one in ended] == ["now"]
        assert p.env.now == 0
        none, _ = yield from p.acts.first(rest, 0)
        assert none == []
        yield from rest[0]

    p.run(flow)
    assert p.env.now == 5


def test_those_beyond_the_first_n_are_in_the_rest_though_they_have_ended() -> None:
    p = Place()

    def flow() -> Any:
        going = [p.acts.spawn(p.takes(name, s)) for name, s in (("c", 3), ("a", 1), ("d", 9), ("b", 2))]
        yield p.env.timeout(5)
        found = []
        for _ in range(2):
            ended, going = yield from p.acts.first(going, 2)
            found.append(([one.value for one in ended], p.env.now))
        assert found == [(["a", "b"], 5), (["c", "d"], 9)]

    p.run(flow)


def test_first_gives_no_cancelled_one_and_refuses_what_cannot_be() -> None:
    p = Place()

    def flow() -> Any:
        one, two = p.acts.spawn(p.takes("one", 1)), p.acts.spawn(p.takes("two", 2))
        p.acts.spawn(cancel_later(one, 0.5))
        ended, rest = yield from p.acts.first([one, two])
        assert ([e.value for e in ended], rest) == (["two"], [])
        with pytest.raises(ProtocolError, match=r"first 2 of 2 activities .* 1 have ended and 0 go on"):
            yield from p.acts.first([one, two], 2)

    def cancel_later(activity: Any, seconds: float) -> Any:
        yield p.env.timeout(seconds)
        activity.cancel()

    p.run(flow)


@pytest.mark.parametrize(("limit", "value", "at"), [(3.0, "a", 2.0), (2.0, "a", 2.0), (1.5, Late(1.5), 1.5)])
def test_within_gives_the_value_or_late_and_cancels_what_is_late(limit: float, value: Any, at: float) -> None:
    p = Place()

    def flow() -> Any:
        found = yield from p.acts.within(limit, p.takes("a", 2.0))
        return found, p.env.now

    assert p.run(flow) == (value, at)
    assert p.log == [("a", 2.0) if isinstance(value, str) else ("a cancelled", 1.5)]


def test_a_limit_ends_all_that_is_nested_in_it() -> None:
    p = Place()

    def inner() -> Any:
        yield from p.acts.together([p.takes("a", 1), p.takes("b", 9), p.acts.within(5.0, p.takes("c", 9))])

    def flow() -> Any:
        assert isinstance((yield from p.acts.within(2.0, inner())), Late)
        assert isinstance(
            (yield from p.acts.within(2.0, p.acts.first([p.takes("d", 9), p.takes("e", 9)]))), Late
        )

    p.run(flow)
    assert p.log == [
        ("a", 1),
        ("b cancelled", 2), ("c cancelled", 2),
        ("d cancelled", 4), ("e cancelled", 4),
    ]  # fmt: skip


def test_what_is_spawned_outlives_who_spawned_it_until_all_is_cancelled() -> None:
    p = Place()

    def parent() -> Any:
        p.acts.spawn(p.takes("child", 5))
        p.acts.spawn(p.takes("grandchild", 50))
        yield p.env.timeout(9)

    def flow() -> Any:
        yield from p.acts.within(1.0, parent())
        yield p.env.timeout(10)
        p.acts.cancel_all()

    p.acts.spawn(flow())
    p.env.run(until=20)
    assert p.log == [("child", 5), ("grandchild cancelled", 11)]


def test_an_activity_can_be_waited_for_with_a_limit_and_goes_on() -> None:
    p = Place()

    def flow() -> Any:
        activity = p.acts.spawn(p.takes("a", 4))
        assert (yield from activity.wait(1.0)) == Late(1.0)
        assert (p.env.now, activity.done, activity.cancelled) == (1.0, False, False)
        with pytest.raises(ProtocolError, match="goes on; wait for it first"):
            _ = activity.value
        assert (yield from activity.wait(3.0)) == "a"  # the very instant is in time
        assert (yield from activity) == "a"
        assert activity.done

    p.run(flow)


def test_waiting_again_and_again_leaves_nothing_behind() -> None:
    p = Place()

    def flow() -> Any:
        slow = p.acts.spawn(p.takes("slow", 1000))
        for _ in range(50):
            yield from p.acts.first([slow, p.takes("fast", 1)])
            yield from slow.wait(1.0)
        assert len(slow.end().callbacks) == 0
        slow.cancel()

    p.run(flow)


def test_who_waits_for_what_is_cancelled_is_told() -> None:
    p = Place()

    def waits(activity: Any) -> Any:
        with pytest.raises(ProtocolError, match="cancelled"):
            yield from activity
        return p.env.now

    def flow() -> Any:
        activity = p.acts.spawn(p.takes("a", 4))
        waiter = p.acts.spawn(waits(activity))
        yield p.env.timeout(1)
        activity.cancel()
        assert (yield from waiter) == 1

    p.run(flow)


def test_two_that_are_cancelled_at_once_though_one_waits_for_the_other_are_no_error() -> None:
    p = Place()

    def waits(activity: Any) -> Any:
        yield from activity

    def flow() -> Any:
        activity = p.acts.spawn(p.takes("a", 4))
        waiter = p.acts.spawn(waits(activity))
        yield p.env.timeout(1)
        activity.cancel()
        waiter.cancel()
        yield p.env.timeout(1)

    p.run(flow)


def test_an_activity_that_cancels_itself_or_what_it_belongs_to_ends_where_it_next_waits() -> None:
    p = Place()
    mine: list[Any] = []

    def suicidal() -> Any:
        yield p.env.timeout(1)
        mine[0].cancel()
        p.log.append(("still here", p.env.now))
        yield from p.takes("never", 1)

    def group() -> Any:
        yield from p.acts.together([suicidal(), p.takes("other", 9)])

    def flow() -> Any:
        mine.append(p.acts.spawn(group()))
        yield p.env.timeout(5)
        assert mine[0].cancelled

    p.run(flow)
    assert p.log == [("other cancelled", 1), ("still here", 1), ("never cancelled", 1)]


def test_an_error_reaches_who_waits_and_ends_the_run_if_nobody_does() -> None:
    p = Place()

    def fails() -> Any:
        yield p.env.timeout(1)
        raise ValueError("broken")

    def flow() -> Any:
        for wait in (
            lambda: p.acts.within(5.0, fails()),
            lambda: p.acts.first([fails(), p.takes("a", 9)]),
            lambda: p.acts.spawn(fails()).wait(),
            lambda: p.acts.together([fails(), p.takes("b", 9)]),
        ):
            with pytest.raises(ValueError, match="broken"):
                yield from wait()
        assert p.env.now == 4

    p.run(flow)
    p.acts.spawn(fails())
    with pytest.raises(ValueError, match="broken"):
        p.env.run()


@pytest.mark.parametrize("limit", [-1.0, float("nan")])
def test_times_are_not_negative(limit: float) -> None:
    p = Place()
    for process in (lambda: p.acts.within(limit, p.takes("a", 1)), lambda: p.acts.pause(limit)):
        with pytest.raises(ProtocolError, match="0 s or more"):
            next(process())
