"""Readers of small texts, under hypothesis: whatever they are given, they read it or refuse it in their own error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gapslsim.documents import DocumentError, json_data, number_of, yaml_data
from gapslsim.errors import NetworkError, ScenarioError
from gapslsim.network.channels.trace import MeasuredTrace
from gapslsim.scenario.loading import loads, parts_of, read_override
from gapslsim.units import BOUNDS, format_quantity, parse_quantity

SIGNS = st.text(max_size=30) | st.text("0123456789.eE+-_xinfa ", max_size=12)
UNITS = st.sampled_from(sorted(BOUNDS))


def in_turn(text: str, *readers: Callable[[str], Any]) -> None:
    for read in readers:
        try:
            read(text)
        except DocumentError as error:
            assert str(error)


@given(number=SIGNS, space=st.sampled_from(["", " ", "\t"]), symbol=SIGNS | UNITS, unit=UNITS)
@example("9" * 90, " ", "s", "s")
@example("1e-9999999", " ", "s", "s")
def test_a_quantity_is_within_its_bounds_and_is_written_as_it_is_read(
    number: str, space: str, symbol: str, unit: str
) -> None:
    try:
        value = parse_quantity(f"{number}{space}{symbol}", unit)
    except ValueError as error:
        assert str(error)
        return
    least, most = BOUNDS[unit]
    assert value == 0 or least <= abs(value) <= most
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
    in_turn(text, yaml_data, json_data, lambda given: json_data(given, finite=False))


@given(SIGNS.filter(lambda text: text.isascii()), st.sampled_from(["int", "float"]))
def test_a_number_is_finite_and_of_64_bits(text: str, kind: str) -> None:
    try:
        number = number_of(text, kind)
    except ValueError as error:
        assert str(error)
        return
    assert abs(number) < 1e309
    assert kind == "float" or abs(number) <= 1 << 64


@given(st.text("clientscount.0123456789[]*=: {}'\"\\x", max_size=40) | st.text(max_size=20))
@example("clients." + "9" * 5000 + ".count=1")
@example("clients[" + "9" * 5000 + "]=1")
@example("seed=" + "9" * 5000)
def test_what_is_set_is_taken_or_refused_with_the_others(text: str) -> None:
    name, value, problems = read_override(text, None)
    assert problems or (parts_of(name), value)


@settings(max_examples=25)
@given(st.text("clientscount.0123456789[]*=: {}'\"\\x", max_size=40))
@example("clients." + "9" * 5000 + ".count=1")
def test_a_scenario_with_it_is_read_or_refused(text: str) -> None:
    try:
        loads("base: quickstart\n", set=[text])
    except ScenarioError as error:
        assert str(error)


LINES = st.lists(
    st.lists(SIGNS | st.sampled_from(["0", "1", "2.5", "-1", "nan", "1e400", "\0"]), max_size=3), max_size=5
)
FORMS = {"mahimahi": "\n", "cooked": " ", "oboe": " ", "csv": ","}


@pytest.mark.parametrize("form", FORMS)
@given(lines=LINES)
def test_lines_of_a_trace_are_rates_or_are_told_with_their_file(
    form: str, lines: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = Path(tmp_path_factory.mktemp("trace")) / "x.csv"
    text = "\n".join(FORMS[form].join(words) for words in lines)
    file.write_text(("time_s,rate_mbit_s\n" if form == "csv" else "") + text, "utf-8", "replace")
    about = {"rate_column": "rate_mbit_s", "rate_unit": "Mbit/s"} if form == "csv" else {}
    try:
        trace = MeasuredTrace(file=str(file), format=form, **about).trace
    except NetworkError as error:
        assert file.name in str(error)
        return
    assert trace.duration_s > 0
    assert all(rate >= 0 for rate in trace.rates_bit_per_s)
    assert list(trace.times_s) == sorted(set(trace.times_s))
