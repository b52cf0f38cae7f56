from __future__ import annotations

import pandas as pd
import pytest

from gapslsim.results.axis_values import axis_values, is_number
from gapslsim.units import unit_factor


@pytest.mark.parametrize(
    ("names", "numbers", "unit"),
    [
        (["10", "0.1", "1e-3"], (10, 0.1, 0.001), ""),
        (["40 Mbit/s", "500 kbit/s", "2 Gbit/s"], (40, 0.5, 2000), "Mbit/s"),
        (["1 MB/s", "4 Mbit/s"], (1, 0.5), "MB/s"),
        (["20 %", "0 %"], (20, 0), "%"),
        (["1 s", "10 B"], (), ""),
        (["1", "1.0"], (), ""),
        (["0.1", "adaptive"], (), ""),
        (["2 s", "2000 ms"], (), ""),
        ([], (), ""),
    ],
)
def test_values_are_numbers_where_all_of_them_are_and_differ(names, numbers, unit):
    found = axis_values(names)
    assert found.numbers == pytest.approx(numbers)
    assert found.unit == unit
    assert found.label("rate") == (f"rate [{unit}]" if unit else "rate")


@pytest.mark.parametrize(
    ("names", "dtype", "values"),
    [
        (["10", "2"], "int64", [10, 2]),
        (["10", "0.5"], "float64", [10.0, 0.5]),
        (["true", "false"], "bool", [True, False]),
        (["psl", "0.5"], "str", ["psl", "0.5"]),
        (["1", "1.0"], "str", ["1", "1.0"]),
    ],
)
def test_a_column_keeps_the_type_of_the_values(names, dtype, values):
    column = axis_values(names).column(names)
    assert column.dtype == dtype
    assert column.tolist() == values


def test_quantities_are_text_that_sorts_by_what_it_is_worth_also_in_a_file(tmp_path):
    names = ["40 Mbit/s", "500 kbit/s", "2 Gbit/s"]
    pd.DataFrame({"uplink": axis_values(names).column(names)}).to_parquet(tmp_path / "a.parquet")
    read = pd.read_parquet(tmp_path / "a.parquet")
    assert read.sort_values("uplink")["uplink"].tolist() == ["500 kbit/s", "40 Mbit/s", "2 Gbit/s"]
    assert read[read["uplink"] == "40 Mbit/s"].index.tolist() == [0]


def test_units_of_one_kind_are_told_in_one_another():
    assert unit_factor("min", "s") == 60
    assert unit_factor("MiB", "B") == 2**20
    assert unit_factor("s", "m") is None


def test_only_bare_numbers_and_truth_values_need_their_axis_beside_them():
    assert [name for name in ("1", "-1.5e3", "true", "5 s", "psl") if is_number(name)] == [
        "1",
        "-1.5e3",
        "true",
    ]
