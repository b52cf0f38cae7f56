"""Intervals, evaluations and stop conditions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gapslsim.scenario.limits import Evaluation, Every, Stop


@pytest.mark.parametrize(
    ("text", "amount", "unit", "written"),
    [
        ("10 rounds", 10, "rounds", "10 rounds"),
        ("1 round", 1, "rounds", "1 round"),
        ("0.5 epochs", 0.5, "epochs", "0.5 epochs"),
        ("1 epochs", 1, "epochs", "1 epoch"),
        ("30 s", 30, "s", "30 s"),
        ("2 min", 120, "s", "120 s"),
        ("500 ms", 0.5, "s", "500 ms"),
        ("50 steps", 50, "steps", "50 steps"),
        ("1 step", 1, "steps", "1 step"),
        ("50 server steps", 50, "steps", "50 steps"),
        ("1 server  step", 1, "steps", "1 step"),
        ("1000 samples", 1000, "samples", "1000 samples"),
        ("1e3 sample", 1000, "samples", "1000 samples"),
    ],
)
def test_an_interval_is_read_and_written(text, amount, unit, written):
    every = Every.parse(text)
    assert (every.amount, every.unit, str(every)) == (amount, unit, written)


@pytest.mark.parametrize(
    "text",
    [
        "10", 10, "ten rounds", "0 rounds", "1.5 rounds", "0 s", "0 epochs", "-1 s", None, "0 steps", "1.5 steps",
        "0.5 samples", "0 samples", "3 server", "3 server samples", "3 client steps",
    ],
)  # fmt: skip
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="found"):
        Every.parse(text)


@given(
    st.one_of(
        st.builds(Every, st.integers(1, 10**6).map(float), st.sampled_from(["rounds", "steps", "samples"])),
        st.builds(Every, st.floats(1e-9, 1e12), st.just("epochs")),
        st.builds(Every, st.floats(1e-6, 1e9), st.just("s")),
    )
)
def test_an_interval_survives_being_written(every):
    assert Every.parse(str(every)) == every


def test_the_json_schema_admits_intervals():
    pattern = TypeAdapter(Every).json_schema()["pattern"]
    assert all(re.search(pattern, text) for text in ["10 rounds", "1 epoch", "30 s", "500 ms", "2 h"])
    assert all(re.search(pattern, text) for text in ["50 steps", "1 step", "2 server steps", "1000 samples"])
    assert not re.search(pattern, "10 turns")


def test_the_first_limit_plans_the_rounds():
    assert Stop(rounds=200).planned_rounds(10.0) == 200
    assert Stop(epochs=3).planned_rounds(10.0) == 30
    assert Stop(epochs=3).planned_rounds(10.1) == 31
    assert Stop(epochs=0.01).planned_rounds(10.0) == 1
    assert Stop(rounds=20, epochs=3).planned_rounds(10.0) == 20
    assert Stop(simulated_time=60.0).planned_rounds(10.0) is None
    assert Stop(target_accuracy=0.5).planned_rounds(10.0) is None


def test_samples_and_server_steps_plan_the_rounds_where_it_is_told_how_many_a_round_has():
    assert Stop(samples=1001).planned_rounds(10.0, 100.0, 4.0) == 11
    assert Stop(samples=1000).planned_rounds(10.0, 100.0, 4.0) == 10
    assert Stop(samples=1).planned_rounds(10.0, 100.0, 4.0) == 1
    assert Stop(server_steps=9).planned_rounds(10.0, 100.0, 4.0) == 3
    assert Stop(server_steps=9).planned_rounds(10.0, 100.0, 0.0) is None
    assert Stop(server_steps=9, samples=1000).planned_rounds(10.0) is None
    assert Stop(rounds=20, epochs=3, server_steps=400, samples=500).planned_rounds(10.0, 100.0, 1.0) == 5
    assert Stop(rounds=2, samples=500).planned_rounds(10.0, 100.0) == 2


@pytest.mark.parametrize("limit", ["samples", "server_steps"])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many"])
def test_samples_and_steps_are_counted_from_one(limit, wrong):
    with pytest.raises(ValidationError):
        Stop(**{limit: wrong})


def test_time_and_accuracy_plan_nothing():
    assert not Stop(simulated_time=60.0, target_accuracy=0.5).is_planned
    assert all(Stop(**{name: 1}).is_planned for name in ("rounds", "epochs", "server_steps", "samples"))


def test_a_whole_number_of_rounds_is_not_lifted_by_rounding():
    assert Stop(epochs=3).planned_rounds(7.000000000000001) == 21


def test_something_must_end_the_run():
    with pytest.raises(ValidationError, match="nothing says when to stop"):
        Stop()


def test_targets_are_judged_in_a_view_that_is_measured():
    assert Evaluation(views=("local",), target_view="local").target_view == "local"
    with pytest.raises(ValidationError, match="not among views"):
        Evaluation(views=("local",))
