"""Trace files as they are published: what is read, what is told, and what is refused with its line."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy

from gapslsim.errors import NetworkError
from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.trace import MeasuredTrace
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.star import Star


def trace(folder: Path, text: str, form: str, **settings: Any) -> MeasuredTrace:
    file = folder / "measured"
    file.write_text(text)
    return MeasuredTrace(file=str(file), format=form, **settings)  # type: ignore[arg-type]


def steps(channel: MeasuredTrace, n: int) -> list[tuple[float, float]]:
    return list(islice(channel.steps(np.random.default_rng(0)), n))


STAMPS = np.sort(np.random.default_rng(3).integers(1, 2000, 3000))
"""1.5 packets per ms, unevenly."""


def durations(channel: MeasuredTrace, size_bytes: float, starts_ms: list[int]) -> list[float]:
    """Of one message after the other over a link of this channel alone."""
    found = []
    for start_ms in starts_ms:
        env = simpy.Environment()
        uplink = MeasuredTrace(**{**vars(channel), "offset": start_ms / 1000})
        fleet = Fleet((AccessLink("client-0", uplink, Constant(rate=1e6)),))
        network = Star(record_links=False).build(env, fleet, seed=0)
        transfer = network.send("client-0", "server", size_bytes)
        env.run()
        assert transfer.finished_s is not None
        found.append(transfer.finished_s)
    return found


@pytest.mark.parametrize(("bin_ms", "most_s"), [(1, 0.001), (10, 0.01)])
def test_a_small_message_ends_within_a_bin_of_the_exact_replay_of_its_packets(
    bin_ms: int, most_s: float, tmp_path: Path
) -> None:
    text = "\n".join(map(str, STAMPS))
    channel = trace(tmp_path, text, "mahimahi", bin=bin_ms / 1000)
    starts_ms = list(range(0, 1900, 131))
    # 16.5 kB are 11 packets: they have passed at the eleventh opportunity after the start.
    exact = [
        STAMPS[np.searchsorted(STAMPS, start, side="right") + 10] / 1000 - start / 1000 for start in starts_ms
    ]
    assert durations(channel, 16_500, starts_ms) == pytest.approx(exact, abs=most_s)


def test_bins_are_10_ms_unless_told_and_a_packet_has_passed_by_the_end_of_its_bin(tmp_path: Path) -> None:
    # Two packets of 12,000 bit pass by 10 ms, one by 20 ms.
    assert steps(trace(tmp_path, "3\n10\n20\n", "mahimahi"), 2) == [
        (0.0, 2.4e6),
        (pytest.approx(0.01), 1.2e6),
    ]


def test_an_opportunity_at_time_0_comes_with_the_last_one_of_the_lap_before(tmp_path: Path) -> None:
    channel = trace(tmp_path, "0\n10\n20\n", "mahimahi")
    assert steps(channel, 2) == [(0.0, 1.2e6), (pytest.approx(0.01), 2.4e6)]
    assert channel.mean_bit_per_s == pytest.approx(3 * 12_000 / 0.02)


RUNS = "run,t,rate\n1,0,1\n1,1,2\n3,5,8\n3,7,4\n"


def test_rows_of_one_run_are_taken_from_a_table_of_several(tmp_path: Path) -> None:
    told = {"time_column": "t", "rate_column": "rate", "rate_unit": "Mbit/s"}
    assert steps(trace(tmp_path, RUNS, "csv", **told, where={"run": 3}), 2) == [(0.0, 8e6), (2.0, 4e6)]
    assert steps(trace(tmp_path, RUNS, "csv", **told, where={"run": "1"}), 2) == [(0.0, 1e6), (1.0, 2e6)]
    with pytest.raises(NetworkError, match=r"measured:4 .* 0.5 s comes after 1 s") as error:
        _ = trace(tmp_path, RUNS.replace("3,5", "3,.5"), "csv", **told).trace
    assert "choose one run of it with `where`" in str(error.value)
    with pytest.raises(NetworkError, match="no row has run 2; there are: 1, 3"):
        _ = trace(tmp_path, RUNS, "csv", **told, where={"run": 2}).trace
    with pytest.raises(NetworkError, match=r"no column 'runs'.* Did you mean 'run'"):
        _ = trace(tmp_path, RUNS, "csv", **told, where={"runs": 2}).trace


@pytest.mark.parametrize(
    "times",
    [
        ("23:59:58", "23:59:59.5", "00:00:01"),
        ("2024-02-28T23:59:58Z", "2024-02-28T23:59:59.5Z", "2024-02-29 00:00:01+00:00"),
        ("2024-02-29 01:59:58+02:00", "2024-02-28T23:59:59.5Z", "2024-02-29T00:00:01Z"),
        ("2020.02.27_17.30.15", "2020.02.27_17.30.16.5", "2020.02.27_17.30.18"),
        ("2020/02/27 17:30:15,0", "2020/02/27 17:30:16,5", "2020/02/27 17:30:18"),
    ],
)
def test_clock_times_are_seconds_from_the_first_one_past_midnight_too(
    times: tuple[str, ...], tmp_path: Path
) -> None:
    text = "time_s;rate_bit_s\n" + "".join(f"{time};{rate}\n" for rate, time in enumerate(times, 1))
    assert steps(trace(tmp_path, text, "csv"), 3) == [(0.0, 1.0), (1.5, 2.0), (3.0, 3.0)]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "time_s,rate_bit_s\n0,1e6\n1,2e6\n"),
        ("cooked", "0 1\n1 2\n"),
        ("oboe", "0 1000\n1000 2000\n"),
        ("pantheon", json.dumps({"timestamps": [0, 1], "bandwidths": [1, 2]})),
        ("sabre", json.dumps([{"duration_ms": 1000, "bandwidth_kbps": 1000 * k} for k in (1, 2)])),
    ],
)
def test_each_format_is_read_with_and_without_a_byte_order_mark(form: str, text: str, tmp_path: Path) -> None:
    plain = trace(tmp_path, text, form).trace
    assert (plain.times_s, plain.rates_bit_per_s, plain.duration_s) == ((0.0, 1.0), (1e6, 2e6), 2.0)
    assert trace(tmp_path, "\ufeff" + text, form).trace == plain


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    import os

    before = trace(tmp_path, "0 1\n1 2\n", "cooked")
    assert before.trace.rates_bit_per_s[0] == 1e6
    after = trace(tmp_path, "0 3\n1 2\n", "cooked")
    os.utime(tmp_path / "measured", ns=(1, 1))
    assert after.trace.rates_bit_per_s[0] == 3e6


GAP = "\n".join(f"{t} {t}" for t in (*range(1, 21), *range(30, 40)))
"""Every second, with 10 s between 20 and 30."""


def test_gaps_are_told_and_held_emptied_or_cut_out_as_asked(tmp_path: Path) -> None:
    held, emptied, cut = (trace(tmp_path, GAP, "cooked", gaps=gaps) for gaps in ("hold", "zero", "skip"))
    assert steps(held, 21)[19:] == [(19.0, 20e6), (29.0, 30e6)]
    assert steps(emptied, 22)[19:] == [(19.0, 20e6), (20.0, 0.0), (29.0, 30e6)]
    assert steps(cut, 21)[19:] == [(19.0, 20e6), (20.0, 30e6)]
    (note,) = held.notes()
    assert "1 gaps of more than 1.5 times the usual 1 s, the longest 10 s before line 21; gaps: hold" in note
    network = Star()
    fleet = Fleet((AccessLink("client-0", held, held),))
    assert network.notes(fleet) == [note]


def test_a_file_without_regular_steps_has_no_gaps(tmp_path: Path) -> None:
    assert trace(tmp_path, "0 1\n1 1\n5 1\n6 1\n10 1\n", "cooked").notes() == []


def test_rows_of_one_time_are_counted(tmp_path: Path) -> None:
    channel = trace(tmp_path, "0 1\n0 2\n1 3\n", "cooked")
    assert steps(channel, 2) == [(0.0, 2e6), (1.0, 3e6)]
    assert "1 rows have the time of the row before, whose rate they replace" in channel.notes()[0]


def test_rows_with_empty_cells_are_left_out_and_counted(tmp_path: Path) -> None:
    channel = trace(tmp_path, "time_s,rate_bit_s\n0,1\n1,\n2,3\n", "csv")
    assert steps(channel, 2) == [(0.0, 1.0), (2.0, 3.0)]
    assert "1 of 3 rows have an empty cell in 'time_s' or 'rate_bit_s' and are left out" in channel.notes()[0]


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ("5\n10\n1\n", "mahimahi", ":3 is not a mahimahi trace: is at 1 ms, after 10 ms; stamps must not fall"),
        ("5\n\n-3\n", "mahimahi", ":3 .*'-3'; each line is one whole number of milliseconds"),
        ("5.5\n", "mahimahi", ":1 .*'5.5'; each line is one whole number"),
        ("0 1\n1\n", "cooked", ":2 .* has 1 values; each line is a time and a rate"),
        ("0 1\n1 2 3\n", "oboe", ":2 .* has 3 values"),
        ("0 1\n1 1,5\n", "cooked", ":2 .* the rate is '1,5', which is no number; write a decimal point"),
        ("0 1\n1 nan\n", "cooked", ":2 .* not finite; leave the line out"),
        ("0 1\n\n1 -2\n", "cooked", ":3 .* the rate is -2e"),
        ("time_s,rate_bit_s\n0,1\n1,2,3\n", "csv", ":3 .* has 3 cells; 2 are in the first line"),
        ("time_s,rate_bit_s\n0,1\n1\n", "csv", ":3 .* has 1 cells"),
        ("time_s,rate_bit_s\n0,1\n1,fast\n", "csv", ":3 .* column 'rate_bit_s' is 'fast', which is no number"),
        ("time_s,rate_bit_s\n2024-01-01 00:00:00,1\n2024-13-01 00:00:00,1\n", "csv", ":3 .* month must be in 1..12"),
        ("time_s,rate_bit_s,time_s\n0,1,2\n", "csv", ":1 .* several columns 'time_s'"),
        ("", "csv", "is not a csv trace: it is empty"),
        ("time_s,rate_bit_s\n5,1\n10:00:00,1\n", "csv", ":3 .* a clock time after a number; write all alike"),
        ("time_s,rate_bit_s\n10:00:00,1\n11,1\n", "csv", ":3 .* a number after a clock time"),
        ("time_s,rate_bit_s\n10:61:00,1\n", "csv", ":2 .* which is no time of day"),
        ('{"timestamps": [0, 1], "bandwidths": [1]}', "pantheon", "2 timestamps and 1 bandwidths"),
        ('{"timestamps": [0],\n "bandwidths": ["x"]}', "pantheon", "entry 0 has the bandwidth a text, which"),
        ('{"timestamps": [0],\n', "pantheon", ":2 .* it is no JSON"),
        ('[{"duration_ms": 5, "rate": 1}]', "sabre", "the bandwidth_kbps 'None'.*; it has duration_ms, rate"),
        ('[{"duration_ms": 0, "bandwidth_kbps": 1}]', "sabre", "entry 0 has the duration_ms 0; it must be more"),
        ("{}", "sabre", "no list of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_line_and_the_fix(
    text: str, form: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(NetworkError, match=words):
        _ = trace(tmp_path, text, form).trace


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "utf16").write_bytes("0 1\n".encode("utf-16"))
    with pytest.raises(NetworkError, match="no text in UTF-8; save it as such"):
        _ = MeasuredTrace(file=str(tmp_path / "utf16"), format="cooked").trace
