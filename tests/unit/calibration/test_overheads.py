"""Overheads from rows of a table that follow known laws."""

from __future__ import annotations

import pandas as pd
import pytest

from gapslsim.calibration.overheads import overheads_of
from gapslsim.calibration.table import MeasurementTable, check_table
from gapslsim.hardware.devices import load_profile


def table(rows: list[dict[str, object]]) -> MeasurementTable:
    whole = [{"device": "board", "phase": "other", "name": "", "note": "", **row} for row in rows]
    return check_table(pd.DataFrame(whole).map(lambda cell: "" if pd.isna(cell) else str(cell)), "test.csv")


def layer() -> dict[str, object]:
    return {"kind": "conv2d", "phase": "forward", "work_flop": 1e9, "moved_bytes": 1e6, "time_s": 0.1}


def test_messages_give_a_fixed_cost_and_a_rate() -> None:
    # 2 ms and 50 MB/s
    rows = [{"kind": "message", "moved_bytes": n, "time_s": 0.002 + n / 50e6} for n in (1e3, 1e5, 1e6, 1e7)]
    found = overheads_of(table([layer(), *rows]), None)
    assert found is not None and found.serialise_rate is not None and found.per_message is not None  # noqa: PT018
    assert found.per_message.value == pytest.approx(0.002, rel=1e-5)
    assert found.serialise_rate.value == pytest.approx(50e6, rel=1e-5)
    assert found.cold is found.per_iteration is None


def test_mini_batches_after_a_wait_tell_how_much_more_they_take_and_up_to_when() -> None:
    # Half as much again, of the first 4 ms at most.
    rows = [
        {"kind": kind, "name": "net", "batch_size": n, "time_s": t + more, "note": note}
        for n, t in ((1, 0.001), (2, 0.002), (4, 0.004), (8, 0.016), (16, 0.05))
        for kind, more, note in (
            ("warm", 0.0, ""), ("cold", 0.5 * min(t, 0.004), "after 0.005 s of waiting"),
        )
    ]  # fmt: skip
    rows += [
        {"kind": "iteration", "name": "net", "batch_size": 1, "time_s": t} for t in (0.001, 0.003, 0.002)
    ]
    found = overheads_of(table([layer(), *rows]), None)
    assert found is not None and found.cold is not None and found.cold.lasts is not None  # noqa: PT018
    assert found.cold.after.value == 0.005
    assert found.cold.factor.value == pytest.approx(1.5, rel=1e-5)
    assert found.cold.lasts.value == pytest.approx(0.004)
    assert found.per_iteration is not None
    assert found.per_iteration.value == 0.002


def test_a_device_that_does_not_get_cold_has_no_such_figure() -> None:
    rows = [
        {"kind": kind, "name": "net", "batch_size": 1, "time_s": t}
        for kind, t in (("warm", 0.2), ("cold", 0.19))
    ]
    assert overheads_of(table([layer(), *rows]), None) is None


def test_a_table_without_such_rows_takes_what_another_profile_says() -> None:
    like = load_profile("jetson-nano")
    assert overheads_of(table([layer()]), like) == like.overheads
