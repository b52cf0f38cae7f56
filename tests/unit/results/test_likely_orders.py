"""Which of two runs is first, by draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gapslsim.results.likely import AFTER, earliest_of, orders


def test_values_known_exactly_are_in_order_wherever_they_differ() -> None:
    drawn = {"slow": np.array([3.0, 3.0, 2.0, 1.0]), "fast": np.array([1.0, 2.0, 2.0, 2.0])}
    (order,) = orders(drawn, "time")
    # First in two draws, a tie in one, behind in one.
    assert (order.first, order.second, order.share) == ("fast", "slow", 0.625)


def test_times_between_two_evaluations_that_overlap_tell_nothing() -> None:
    by = {"a": np.array([4.0, 4.0, 4.0, 4.0]), "b": np.array([5.0, 5.0, 8.0, 8.0])}
    after = {"a": np.array([2.0, 2.0, 2.0, 2.0]), "b": np.array([3.0, 4.0, 6.0, 7.0])}
    # Between 2 and 4 and between 3 and 5 overlap; in the other three draws, one of which only touches, a is first.
    (order,) = orders(by, "time to 80 %", 0.8, after)
    assert (order.first, order.share, order.decided) == ("a", 0.875, True)
    (exact,) = orders(by, "time to 80 %", 0.8)
    assert exact.share == 1.0


def test_the_earlier_end_is_a_row_of_its_own_and_may_be_missing_in_older_tables() -> None:
    rows = [(0, "time_to_accuracy_s 0.8", 4.0), (0, f"{AFTER}0.8", 3.0), (0, "energy_j", 9.0)]
    table = pd.DataFrame(rows, columns=["draw", "quantity", "value"])
    assert earliest_of(table, "time_to_accuracy_s 0.8") == [3.0]
    assert earliest_of(table, "energy_j") == [9.0]
    assert earliest_of(table[table["quantity"] != f"{AFTER}0.8"], "time_to_accuracy_s 0.8") == [4.0]
