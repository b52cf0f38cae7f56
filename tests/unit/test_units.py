"""Quantities with units: reading, writing, refusing."""

import math
import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gapslsim.units import (
    BOUNDS,
    STRICT_UNITS,
    Decibel,
    Quantity,
    Rate,
    Seconds,
    example,
    format_quantity,
    parse_quantity,
)

UNITS = ["bit/s", "B/s", "s", "B", "FLOP/s", "W", "J", "Hz", "m", "m/s", "dB", "dBm"]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("40 Mbit/s", "bit/s", 4e7),
        ("40Mbps", "bit/s", 4e7),
        ("5 MB/s", "bit/s", 4e7),
        ("1 MiB/s", "bit/s", 8 * 2**20),
        ("3 GB/s", "B/s", 3e9),
        ("4 ms", "s", 0.004),
        ("250 us", "s", 0.00025),
        ("1.5 min", "s", 90.0),
        ("2 h", "s", 7200.0),
        ("2 GiB", "B", 2 * 2**30),
        ("1.5e3 kB", "B", 1.5e6),
        ("150 GFLOP/s", "FLOP/s", 1.5e11),
        ("500 mW", "W", 0.5),
        ("2 Wh", "J", 7200.0),
        ("100 MHz", "Hz", 1e8),
        ("0.2 km", "m", 200.0),
        ("36 km/h", "m/s", 10.0),
        ("-7.5 dB", "dB", -7.5),
        ("23 dBm", "dBm", 23.0),
    ],
)
def test_a_quantity_is_read_in_base_units(text, unit, value):
    assert parse_quantity(text, unit) == value


def test_decimal_prefixes_leave_no_rounding_error():
    assert parse_quantity("0.1 ms", "s") == 0.0001
    assert parse_quantity("4.3 GB/s", "B/s") == 4.3e9


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [
        ("40", "bit/s", "no unit"),
        (40, "bit/s", "no unit"),
        ("40 ms", "bit/s", "not a unit of bit/s"),
        ("40 mbit/s", "bit/s", "Did you mean 'Mbit/s'?"),
        ("fast", "bit/s", "not a quantity"),
        ("", "s", "not a quantity"),
        (None, "s", "not a quantity"),
        (True, "s", "not a quantity"),
        ("nan s", "s", "not a quantity"),
        ("inf s", "s", "not a quantity"),
        ("1e999 s", "s", "not finite"),
        ("-1 s", "s", "negative"),
        ("1,5 s", "s", "not a quantity"),
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(value, unit, says):
    with pytest.raises(ValueError, match=r"for instance '") as error:
        parse_quantity(value, unit)
    assert says in str(error.value)


@given(unit_and_value=st.sampled_from(UNITS).flatmap(lambda u: st.tuples(st.just(u), st.floats(*BOUNDS[u]))))
def test_what_is_written_is_read_back_exactly(unit_and_value):
    unit, value = unit_and_value
    assert parse_quantity(format_quantity(value, unit), unit) == value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4e7, "bit/s", "40 Mbit/s"),
        (0.004, "s", "4 ms"),
        (0.0, "s", "0 s"),
        (90.0, "s", "90 s"),
        (3e9, "B", "3 GB"),
        (-7.5, "dB", "-7.5 dB"),
    ],
)
def test_a_quantity_is_written_with_a_readable_unit(value, unit, text):
    assert format_quantity(value, unit) == text


def test_python_code_may_give_a_bare_number_and_a_file_may_not():
    adapter = TypeAdapter(Seconds)
    assert adapter.validate_python(0.25) == 0.25
    with pytest.raises(ValidationError, match="no unit"):
        adapter.validate_python(0.25, context=STRICT_UNITS)
    with pytest.raises(ValidationError, match="no unit"):
        adapter.validate_python(0.25, context={**STRICT_UNITS, "folder": "somewhere"})


def test_a_bare_number_must_be_finite_and_not_negative():
    for value in (math.nan, math.inf, -1.0):
        with pytest.raises(ValidationError):
            TypeAdapter(Rate).validate_python(value)
    assert TypeAdapter(Decibel).validate_python(-3.0) == -3.0


def test_a_positive_quantity_refuses_zero():
    adapter = TypeAdapter(Annotated[float, Quantity("bit/s", positive=True)])
    with pytest.raises(ValidationError, match="zero"):
        adapter.validate_python("0 Mbit/s")


def test_json_gets_text_and_python_gets_the_number():
    adapter = TypeAdapter(Annotated[float, Quantity("B")])
    assert adapter.dump_python(2048.0) == 2048.0
    assert adapter.dump_python(2048.0, mode="json") == "2.048 kB"


@given(value=st.floats(0, 1e15), unit=st.sampled_from(UNITS))
def test_the_json_schema_admits_what_is_written(value, unit):
    schema = TypeAdapter(Annotated[float, Quantity(unit)]).json_schema()
    assert re.search(schema["pattern"], format_quantity(value, unit))


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("1e-300 bit/s", "bit/s", "write 0, or 0.001 bit/s or more"),
        ("1e19 bit/s", "bit/s", "write at most 1e+18 bit/s"),
        ("1e300 s", "s", "write at most 1e+10 s"),
        ("1e-31 s", "s", "write 0, or 1e-30 s or more"),
        ("-1e4 dB", "dB", "write at most 1000 dB"),
        ("1" * 100_000 + "! s", "s", "not a quantity"),
    ],
)
def test_a_quantity_beyond_all_sense_is_refused_with_its_bound(text, unit, says):
    with pytest.raises(ValueError, match=r"for instance '") as error:
        parse_quantity(text, unit)
    assert says in str(error.value)
    assert len(str(error.value)) < 200
    with pytest.raises(ValidationError):
        TypeAdapter(Annotated[float, Quantity(unit)]).validate_python(text, context=STRICT_UNITS)


def test_every_unit_has_bounds_and_its_example_lies_within():
    assert set(BOUNDS) == set(UNITS)
    for unit in UNITS:
        assert BOUNDS[unit][0] <= parse_quantity(example(unit), unit) <= BOUNDS[unit][1]
