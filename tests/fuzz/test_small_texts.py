"""Readers of small texts, under hypothesis: whatever they are given, they read it or refuse it in their own error."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gapslsim.documents import DocumentError, json_data, number_of, yaml_data
from gapslsim.errors import NetworkError, ScenarioError
from gapslsim.network.channels.trace import MeasuredTrace
from gapslsim.scenario.loading import loads, parts_of, read_override
from gapslsim.scenario.tree import Tree
from gapslsim.units import BOUNDS, format_quantity, parse_quantity, whole_number

T = TypeVar("T")

SIGNS = st.text(max_size=30) | st.text("0123456789.eE+-_xinfa ", max_size=12)
UNITS = st.sampled_from(sorted(BOUNDS))
PATHS = st.text("clientscount.0123456789[]*=: {}'\"\\x\u00b2\u0663", max_size=40)
MANY = "9" * 5000


def read_or_refused(read: Callable[[], T], *errors: type[Exception]) -> T | None:
    """What is read; None if it is refused in words by an error of these kinds."""
    try:
        return read()
    except errors as error:
        words = str(error)
    assert words
    return None


@given(number=SIGNS, space=st.sampled_from(["", " ", "\t"]), symbol=SIGNS | UNITS, unit=UNITS)
@example("9" * 90, " ", "s", "s")
@example("1e-9999999", " ", "s", "s")
def test_a_quantity_is_within_its_bounds_and_is_written_as_it_is_read(
    number: str, space: str, symbol: str, unit: str
) -> None:
    value = read_or_refused(lambda: parse_quantity(f"{number}{space}{symbol}", unit), ValueError)
    if value:
        least, most = BOUNDS[unit]
        assert least <= abs(value) <= most
        assert parse_quantity(format_quantity(value, unit), unit) == value


YAML = st.recursive(
    SIGNS | st.sampled_from(["&a", "*a", "!!binary x", "<<: *a", "? a", "- -", "{", "]", "|", "0x1g", "~"]),
    lambda inner: st.lists(inner, max_size=4).map("\n".join) | inner.map(lambda text: f"a: [{text}, {text}]"),
    max_leaves=8,
)


@given(YAML)
@example("[" * 3000)
@example("a: &a [*a]")
@example("0x" + "f" * 100_000)
def test_documents_are_read_or_refused(text: str) -> None:
    for read in (yaml_data, json_data, partial(json_data, finite=False)):
        read_or_refused(partial(read, text), DocumentError)


@given(SIGNS.filter(str.isascii), st.sampled_from(["int", "float"]))
def test_a_number_is_finite_and_of_64_bits(text: str, kind: str) -> None:
    number = read_or_refused(lambda: number_of(text, kind), ValueError)
    assert number is None or math.isfinite(number)
    assert kind == "float" or number is None or abs(number) <= 1 << 64


@given(st.text(max_size=20) | st.text("0123456789\u00b2\u0663 ", max_size=25))
@example(MANY)
def test_a_whole_number_is_what_int_reads(text: str) -> None:
    number = whole_number(text)
    assert number is None or (number == int(text) and 0 <= number < 10**18)


@given(PATHS | st.text(max_size=20))
@example(f"clients.{MANY}.count=1")
@example(f"clients[{MANY}]=1")
@example(f"seed={MANY}")
def test_what_is_set_is_taken_or_told(text: str) -> None:
    name, value, problems = read_override(text, None)
    parts = parts_of(name)
    assert parts
    assert problems or isinstance(value, Tree)


@settings(max_examples=25)
@given(PATHS)
@example(f"clients.{MANY}.count=1")
def test_a_scenario_with_it_is_read_or_refused(text: str) -> None:
    read_or_refused(lambda: loads("base: quickstart\n", set=[text]), ScenarioError)


LINES = st.lists(
    st.lists(SIGNS | st.sampled_from(["0", "1", "2.5", "-1", "nan", "1e400", "\0"]), max_size=3), max_size=5
)
FORMS = {"mahimahi": "\n", "cooked": " ", "oboe": " ", "csv": ","}


@pytest.mark.parametrize("form", FORMS)
@given(lines=LINES)
def test_lines_of_a_trace_are_rates_or_are_told_with_their_file(
    form: str, lines: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("trace") / "x.csv"
    text = "\n".join(FORMS[form].join(words) for words in lines)
    file.write_text(("time_s,rate_mbit_s\n" if form == "csv" else "") + text, "utf-8", "replace")
    about = {"rate_column": "rate_mbit_s", "rate_unit": "Mbit/s"} if form == "csv" else {}
    trace = read_or_refused(lambda: MeasuredTrace(file=str(file), format=form, **about).trace, NetworkError)
    if trace is not None:
        assert trace.duration_s > 0
        assert all(rate >= 0 for rate in trace.rates_bit_per_s)
        assert list(trace.times_s) == sorted(set(trace.times_s))
