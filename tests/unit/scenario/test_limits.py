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
    ],
)
def test_an_interval_is_read_and_written(text, amount, unit, written):
    every = Every.parse(text)
    assert (every.amount, every.unit, str(every)) == (amount, unit, written)


@pytest.mark.parametrize(
    "text", ["10", 10, "ten rounds", "0 rounds", "1.5 rounds", "0 s", "0 epochs", "-1 s", None]
)
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="found"):
        Every.parse(text)


@given(
    st.one_of(
        st.builds(Every, st.integers(1, 10**6).map(float), st.just("rounds")),
        st.builds(Every, st.floats(1e-9, 1e20), st.just("epochs")),
        st.builds(Every, st.floats(1e-6, 1e9), st.just("s")),
    )
)
def test_an_interval_survives_being_written(every):
    assert Every.parse(str(every)) == every


def test_the_json_schema_admits_intervals():
    pattern = TypeAdapter(Every).json_schema()["pattern"]
    assert all(re.search(pattern, text) for text in ["10 rounds", "1 epoch", "30 s", "500 ms", "2 h"])
    assert not re.search(pattern, "10 turns")


def test_the_first_limit_plans_the_rounds():
    assert Stop(rounds=200).planned_rounds(10.0) == 200
    assert Stop(epochs=3).planned_rounds(10.0) == 30
    assert Stop(epochs=3).planned_rounds(10.1) == 31
    assert Stop(epochs=0.01).planned_rounds(10.0) == 1
    assert Stop(rounds=20, epochs=3).planned_rounds(10.0) == 20
    assert Stop(simulated_time=60.0).planned_rounds(10.0) is None
    assert Stop(target_accuracy=0.5).planned_rounds(10.0) is None


def test_a_whole_number_of_rounds_is_not_lifted_by_rounding():
    assert Stop(epochs=3).planned_rounds(7.000000000000001) == 21


def test_something_must_end_the_run():
    with pytest.raises(ValidationError, match="nothing says when to stop"):
        Stop()


def test_targets_are_judged_in_a_view_that_is_measured():
    assert Evaluation(views=("local",), target_view="local").target_view == "local"
    with pytest.raises(ValidationError, match="not among views"):
        Evaluation(views=("local",))
