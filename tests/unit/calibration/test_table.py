"""Measurement tables: what is read, and thirty kinds of broken ones, each named by row and column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gapslsim.calibration.samples import samples_of, select_rows
from gapslsim.calibration.table import TableError, read_table
from gapslsim.errors import ComponentError

HEADER = (
    "device,runtime,phase,kind,name,work_flop,moved_bytes,n_parameters,n_activations,batch_size,threads,"
    "power_mode,time_s,power_w,sample,count,direction,size_bytes,duration_s,round_trip_s"
)
GOOD = "pi,torch,forward,conv2d,c1,1e9,2e6,9408,1000,4,2,,0.01,5.5,,,,,,"
LINK = "pi,torch,,,,,,,,,,,,,,,up,1000000,0.5,"


def row(**changes: str) -> str:
    return edited(GOOD, changes)


def link(**changes: str) -> str:
    return edited(LINK, changes)


def edited(line: str, changes: dict[str, str]) -> str:
    cells = dict(zip(HEADER.split(","), line.split(","), strict=True))
    return ",".join((cells | changes).values())


def written(folder: Path, *lines: str, header: str = HEADER, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


BROKEN_ROWS: dict[str, tuple[str, str, str]] = {
    "negative time": (row(time_s="-1"), "time_s", "0 or more"),
    "NaN time": (row(time_s="nan"), "time_s", "leave the cell empty or put a number"),
    "infinite time": (row(time_s="inf"), "time_s", "cannot be above"),
    "no time": (row(time_s=""), "time_s", "is empty; put the time"),
    "time in words": (row(time_s="fast"), "time_s", "is not a number"),
    "time with its unit": (row(time_s="3 ms"), "time_s", "the unit is in the column's name"),
    "time of more than a day": (row(time_s="90000"), "time_s", "check the unit"),
    "unknown phase": (row(phase="forwards"), "phase", "Did you mean 'forward'?"),
    "no phase": (row(phase=""), "phase", "is empty; known: forward"),
    "no kind": (row(kind=""), "kind", "name the kind of layer"),
    "kind in capitals": (row(kind="Conv2d"), "kind", "lower case"),
    "no device": (row(device=""), "device", "name the device"),
    "negative FLOP": (row(work_flop="-5"), "work_flop", "0 or more"),
    "FLOP in words": (row(work_flop="many"), "work_flop", "is not a number"),
    "negative bytes": (row(moved_bytes="-1"), "moved_bytes", "0 or more"),
    "half a parameter": (row(n_parameters="1.5"), "n_parameters", "whole number"),
    "negative activations": (row(n_activations="-3"), "n_activations", "0 or more"),
    "batch of nothing": (row(batch_size="0"), "batch_size", "1 or more"),
    "half a sample": (row(batch_size="2.5"), "batch_size", "whole number"),
    "no threads": (row(threads="0"), "threads", "1 or more"),
    "negative power": (row(power_w="-2"), "power_w", "more than 0"),
    "power of a town": (row(power_w="1e6"), "power_w", "check the unit"),
    "more than 1 PFLOP/s": (row(work_flop="1e15", time_s="0.01"), "time_s", "no device reaches"),
    "more than 100 TB/s": (row(moved_bytes="1e13", time_s="0.01"), "time_s", "no device reaches"),
    "no cost": (
        row(work_flop="", moved_bytes="", n_parameters="", n_activations=""), "work_flop", "no cost is given",
    ),
    "a layer that does nothing": (row(work_flop="0", moved_bytes="0"), "work_flop", "both 0"),
    "count of nothing": (row(count="0"), "count", "1 or more"),
    "link fields without a direction": (row(size_bytes="100"), "size_bytes", "without a direction"),
    "unknown direction": (link(direction="sideways"), "direction", "known: up"),
    "link without size": (link(size_bytes=""), "size_bytes", "how many bytes"),
    "link without duration": (link(duration_s=""), "duration_s", "needs one of them"),
    "link of negative duration": (link(duration_s="-1"), "duration_s", "0 or more"),
    "link beyond 10 Tbit/s": (link(duration_s="1e-9"), "duration_s", "no device reaches"),
    "negative round trip": (link(round_trip_s="-0.1"), "round_trip_s", "0 or more"),
    "compute time of a link": (link(time_s="1"), "time_s", "goes into duration_s"),
    "FLOP of a call": (row(kind="call", moved_bytes=""), "work_flop", "beside its layers"),
    "decimal comma": (row(time_s='"0,5"').replace('"0,5"', "0;5"), "time_s", "is not a number"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_a_bad_row_is_named_with_its_row_column_and_fix(case: str, tmp_path: Path) -> None:
    line, column, words = BROKEN_ROWS[case]
    path = written(tmp_path, GOOD, line, GOOD)
    with pytest.raises(TableError) as caught:
        read_table(path)
    hits = [problem for problem in caught.value.problems if problem.path == column]
    assert [problem.line for problem in hits] == [3]
    assert words in hits[0].message
    assert f"t.csv:3: {column}: " in str(caught.value)
    assert "--drop-bad" in str(caught.value)


@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_bad_rows_are_left_out_on_request_and_listed(case: str, tmp_path: Path) -> None:
    read = read_table(written(tmp_path, GOOD, BROKEN_ROWS[case][0], GOOD), drop_bad=True)
    assert list(read.compute.index) == [2, 4]
    assert {problem.line for problem in read.dropped} == {3}


BROKEN_FILES: dict[str, tuple[str, list[str], str]] = {
    "no device column": (
        "phase,kind,work_flop,time_s",
        ["forward,conv2d,1,1"],
        "device: this column is missing",
    ),
    "no time column": (
        "device,phase,kind,work_flop",
        ["pi,forward,conv2d,1"],
        "time_s: this column is missing",
    ),
    "unknown column": (HEADER.replace("work_flop", "work_flops"), [GOOD], "Did you mean 'work_flop'?"),
    "unknown unit": (
        HEADER.replace("time_s", "time_fortnights"),
        [GOOD],
        "'fortnights' is not a unit of time",
    ),
    "time given twice": (HEADER.replace("runtime", "time_ms"), [GOOD], "gives time_s a second time"),
    "column given twice": (HEADER.replace("runtime", "kind"), [GOOD], "gives kind a second time"),
    "no rows": (HEADER, [], "has no rows"),
    "ragged rows": (HEADER, [GOOD, GOOD + ",1,2,3"], "cannot be read"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_is_refused_in_any_case(case: str, tmp_path: Path) -> None:
    header, lines, words = BROKEN_FILES[case]
    for drop_bad in (False, True):
        with pytest.raises(TableError) as caught:
            read_table(written(tmp_path, *lines, header=header), drop_bad)
        assert words in str(caught.value)


def test_files_that_are_missing_unknown_or_no_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"not parquet")
    (tmp_path / "t.txt").write_text("x")
    (tmp_path / "empty.csv").write_text("")
    for name, words in (
        ("none.csv", "no such file"),
        ("t.txt", "give a .csv or .parquet"),
        ("t.parquet", "cannot be read"),
        ("empty.csv", "cannot be read"),
    ):
        with pytest.raises(TableError, match=words):
            read_table(tmp_path / name)


SAMPLE_ROWS: dict[str, tuple[list[str], int, str, str]] = {
    "a sample without a time": ([row(sample="n", time_s=""), row(sample="n", time_s="")], 2, "time_s", "has a time"),
    "a sample with two times": ([row(sample="n"), row(sample="n")], 3, "time_s", "keep it in the first"),
    "a sample of two phases": (
        [row(sample="n"), row(sample="n", time_s="", phase="backward")], 3, "phase", "different sample names",
    ),
    "a sample of two batch sizes": (
        [row(sample="n"), row(sample="n", time_s="", batch_size="8")], 3, "batch_size", "different sample names",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAMPLE_ROWS)
def test_a_sample_that_contradicts_itself_is_named_and_dropped_whole(case: str, tmp_path: Path) -> None:
    lines, number, column, words = SAMPLE_ROWS[case]
    path = written(tmp_path, *lines, GOOD)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert [(p.line, p.path) for p in caught.value.problems] == [(number, column)]
    assert words in str(caught.value)
    assert list(read_table(path, drop_bad=True).compute.index) == [4]


def test_times_in_milliseconds_and_parquet_are_read_alike(tmp_path: Path) -> None:
    in_s = read_table(written(tmp_path, GOOD)).compute
    in_ms = read_table(
        written(tmp_path, row(time_s="10"), header=HEADER.replace("time_s", "time_ms"))
    ).compute
    assert in_ms.time_s.tolist() == pytest.approx(in_s.time_s.tolist()) == [0.01]
    frame = pd.DataFrame({"device": ["pi"], "phase": ["forward"], "kind": ["conv2d"], "work_flop": [1e9],
                          "time_s": [0.01]})  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").compute.time_s.tolist() == [0.01]


def test_costs_are_computed_from_shapes_by_hand(tmp_path: Path) -> None:
    header = "device,phase,kind,in_shape,weight_shape,out_shape,batch_size,time_s"
    conv = "pi,forward,conv2d,4x3x8x8,16x3x3x3,4x16x8x8,4,0.01"
    back = "pi,backward,linear,4x10,5x10,4x5,4,0.01"
    made = read_table(written(tmp_path, conv, back, header=header)).compute
    first, second = made.iloc[0], made.iloc[1]
    assert first.work_flop == 2 * 27 * 4 * 16 * 64
    assert first.n_parameters == 432
    assert first.n_activations == 4096
    assert first.moved_bytes == 4 * (768 + 4096 + 432)
    assert second.work_flop == 2 * (2 * 10 * 20)
    with pytest.raises(TableError, match="write a shape as 64x3x32x32"):
        read_table(written(tmp_path, conv.replace("4x3x8x8", "4*3"), header=header))


def test_repeats_are_joined_to_their_median_and_give_the_spread(tmp_path: Path) -> None:
    lines = [row(time_s=t) for t in ("0.01", "0.02", "0.04")] + [row(name="c2", time_s="1")]
    samples = samples_of(read_table(written(tmp_path, *lines)).compute)
    assert samples.seconds.tolist() == [0.02, 1.0]
    assert samples.n_repeated == 1
    # logarithms are -ln 2, 0, ln 2 about their mean, each over sqrt(1 - 1/3)
    assert samples.spread.tolist() == pytest.approx([-0.6931 / 0.8165, 0, 0.6931 / 0.8165], abs=1e-4)


def test_a_table_of_two_devices_needs_a_choice(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD, row(device="nano")))
    with pytest.raises(ComponentError, match=r"device 'pi', 'nano'.*--device"):
        select_rows(table)
    assert len(select_rows(table, device="nano").compute) == 1
    with pytest.raises(ComponentError, match="no rows with device 'tx2'"):
        select_rows(table, device="tx2")


def test_a_time_of_zero_is_below_the_timers_resolution_and_no_time_of_zero_seconds(tmp_path: Path) -> None:
    """0, 0 and 3 ms are 1 ms on average; what is 0 each time is left out and named."""
    lines = [row(time_s=t) for t in ("0", "0", "0.003")]
    lines += [row(name="tiny", time_s="0"), row(name="c2", time_s="1"), row(sample="net", time_s="0")]
    samples = samples_of(read_table(written(tmp_path, *lines)).compute)
    assert samples.seconds.tolist() == pytest.approx([0.001, 1.0])
    assert samples.names == ("forward conv2d c1", "forward conv2d c2")
    assert samples.below == ("forward conv2d tiny", "net")
    assert len(samples.spread) == 0


def test_bad_rows_of_another_device_do_not_refuse_mine(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, row(device="nano", time_s="-1"), row(device="nano"))
    assert list(read_table(path, chosen={"device": "pi"}).compute.index) == [2]
    with pytest.raises(TableError, match=r"t\.csv:3: time_s"):
        read_table(path, chosen={"device": "nano"})
    with pytest.raises(
        ComponentError, match=r"no rows with device 'nani'; it has: pi, nano.*Did you mean 'nano'"
    ):
        read_table(path, chosen={"device": "nani"})


def test_a_row_that_does_not_say_whose_it_is_is_looked_at_whoever_is_chosen(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, row(device=""))
    with pytest.raises(TableError, match=r"t\.csv:3: device: is empty"):
        read_table(path, chosen={"device": "pi"})


def test_links_of_two_devices_need_a_choice_too(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, LINK, link(device="nano")))
    with pytest.raises(ComponentError, match=r"device 'pi', 'nano'.*--device"):
        select_rows(table)
    assert list(select_rows(table, device="nano").links.index) == [3]
