"""Importers: what is refused, and what logs of networks become."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gapslsim.importing.importer import ForeignError, importers, read_with
from tests.unit.importing.published import FILES
from tests.unit.importing.reading import column, imported


def test_there_is_a_file_for_every_importer() -> None:
    assert set(FILES) == set(importers)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("other", FILES)
def test_another_tools_file_is_refused_with_the_name_of_the_right_importer(
    kind: str, other: str, tmp_path: Path
) -> None:
    if kind == other:
        assert [name for name in importers if importers[name].knows(_source(FILES[kind]))] == [kind]
        return
    with pytest.raises(
        ForeignError, match=f"is no file of {kind}; it looks like {other}: gapslsim import {other}"
    ):
        imported(tmp_path, kind, FILES[other])


def _source(text: str) -> Any:
    from gapslsim.importing.importer import Source

    return Source("log", text)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("text", ["nothing\n", "{}", "[]", "a,b\n1,2\n", "\x00\x01"])
def test_a_file_of_no_tool_is_refused_in_words(kind: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="no importer knows it; see gapslsim show importer"):
        imported(tmp_path, kind, text)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes_or_refused_in_words(
    kind: str, tmp_path: Path
) -> None:
    for share in range(1, 20):
        text = FILES[kind][: len(FILES[kind]) * share // 20]
        with suppress(ForeignError):  # any other error would be a traceback
            assert imported(tmp_path, kind, text).rows


@pytest.mark.parametrize("kind", sorted(importers))
@pytest.mark.parametrize("what", ["x" * 200_000, "9" * 5000, "\u00b2"])
def test_a_file_with_a_monstrous_field_is_read_or_refused_in_words(
    kind: str, what: str, tmp_path: Path
) -> None:
    file = tmp_path / "log"
    file.write_text(FILES[kind].replace("1", what), encoding="utf-8")
    with suppress(ForeignError):
        read_with(importers[kind](), file)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="No such file or directory; give the path of a log"):
        read_with(importers["ping"](), tmp_path / "none")
    (tmp_path / "packed.gz").write_bytes(b"\x1f\x8b\x08\xff\xfe")
    with pytest.raises(ForeignError, match="no text in UTF-8; unpack it"):
        read_with(importers["irtt"](), tmp_path / "packed.gz")


def test_iperf3_becomes_a_trace_that_a_channel_reads(tmp_path: Path) -> None:
    from gapslsim.cli.import_log import _written
    from gapslsim.network.channels.trace import MeasuredTrace

    made = imported(tmp_path, "iperf3")
    assert made.columns == ("time_s", "rate_bit_s")
    assert made.rows == [[1.0, 40e6], [2.0, 35.5e6]]
    assert made.use == "uplink: {kind: trace, format: csv, file: {file}}"
    _written(made, tmp_path / "trace.csv")
    channel = MeasuredTrace(file=str(tmp_path / "trace.csv"), format="csv")
    assert list(islice(channel.steps(np.random.default_rng(0)), 3)) == [
        (0.0, 40e6),
        (1.0, 35.5e6),
        (2.0, 40e6),
    ]


def test_iperf3_in_reverse_is_a_downlink_and_both_ways_are_two_columns(tmp_path: Path) -> None:
    document = json.loads(FILES["iperf3"])
    document["start"]["test_start"]["reverse"] = 1
    assert imported(tmp_path, "iperf3", json.dumps(document)).use.startswith("downlink: ")
    for interval in document["intervals"]:
        interval["sum_bidir_reverse"] = {**interval["sum"], "bits_per_second": 7e6}
    made = imported(tmp_path, "iperf3", json.dumps(document))
    assert made.columns == ("time_s", "up_bit_s", "down_bit_s")
    assert made.rows == [[1.0, 40e6, 7e6], [2.0, 35.5e6, 7e6]]
    assert "rate_column: up_bit_s}, and down_bit_s for the downlink" in made.use


def test_a_stream_of_iperf3_is_put_together_from_its_lines(tmp_path: Path) -> None:
    document = json.loads(FILES["iperf3"])
    lines = [{"event": "start", "data": document["start"]}]
    lines += [{"event": "interval", "data": one} for one in document["intervals"]]
    text = "\n".join(map(json.dumps, lines)) + '\n{"event": "inter'
    assert imported(tmp_path, "iperf3", text).rows == [[1.0, 40e6], [2.0, 35.5e6]]


def test_a_test_of_iperf3_that_failed_says_why(tmp_path: Path) -> None:
    text = json.dumps({**json.loads(FILES["iperf3"]), "error": "unable to connect to server"})
    with pytest.raises(ForeignError, match="ended with an error: unable to connect"):
        imported(tmp_path, "iperf3", text)


def test_ping_becomes_half_of_each_round_trip_and_counts_what_was_lost(tmp_path: Path) -> None:
    made = imported(tmp_path, "ping", interval="200 ms")
    assert column(made, "time_s") == pytest.approx([0, 0.2, 0.6])
    assert column(made, "latency_ms") == pytest.approx([6.0, 7.25, 9.0])
    assert column(made, "round_trip_ms") == pytest.approx([12.0, 14.5, 18.0])
    assert made.notes[1] == "1 of 4 requests were lost (0.25 of all)"
    assert made.use == "latency: {kind: trace, file: {file}}"


@pytest.mark.parametrize(
    ("text", "times_s"),
    [
        (
            "[1700000000.5] 64 bytes from a: icmp_seq=7 ttl=64 time=4.0 ms\n"
            "[1700000002.0] 64 bytes from a: icmp_seq=8 ttl=64 time=6 ms\n",
            [0, 1.5],
        ),
        (
            "64 bytes from a: seq=65535 ttl=64 time=4 ms\n64 bytes from a: seq=0 ttl=64 time=6.000 ms\n",
            [0, 1],
        ),
        (
            "Reply from 10.0.0.2: bytes=32 time=4ms TTL=57\nRequest timed out.\n"
            "Reply from 10.0.0.2: bytes=32 time=6ms TTL=57\n",
            [0, 2],
        ),
        (
            "64 bytes from a: icmp_seq=0 ttl=57 time=4.0 ms\nRequest timeout for icmp_seq 1\n"
            "64 bytes from a: icmp_seq=2 ttl=57 time=6.0 ms\n",
            [0, 2],
        ),
    ],
    ids=["linux -D", "busybox, after a lap", "windows", "macos"],
)
def test_pings_of_other_systems_are_read(text: str, times_s: list[float], tmp_path: Path) -> None:
    made = imported(tmp_path, "ping", text)
    assert column(made, "time_s") == pytest.approx(times_s)
    assert column(made, "latency_ms") == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize("summary", ["", "5 packets transmitted, 2 received, 60% packet loss, time 4006ms\n"])
def test_requests_that_linux_does_not_print_are_lost_too(summary: str, tmp_path: Path) -> None:
    text = "".join(f"64 bytes from a: icmp_seq={number} ttl=57 time=4 ms\n" for number in (1, 5))
    assert "3 of 5 requests were lost (0.6 of all)" in imported(tmp_path, "ping", text + summary).notes[1]


def test_irtt_has_times_of_its_own_and_one_way_delays(tmp_path: Path) -> None:
    made = imported(tmp_path, "irtt")
    assert made.columns == ("time_s", "latency_ms", "round_trip_ms", "up_ms", "down_ms")
    assert column(made, "time_s") == pytest.approx([0, 0.04], abs=1e-6)
    assert column(made, "latency_ms") == pytest.approx([10, 12])
    assert (column(made, "up_ms"), column(made, "down_ms")) == (
        pytest.approx([15, 18]),
        pytest.approx([5, 6]),
    )
    assert "1 of 3 requests were lost" in made.notes[1]


def test_what_irtt_prints_is_read_too(tmp_path: Path) -> None:
    text = (
        "[Connecting] connecting to 10.0.0.2\n"
        "[10.0.0.2:2112] seq=0 rtt=22.6ms rd=-3ms sd=25.6ms ipdv=n/a\n"
        "[10.0.0.2:2112] seq=1 LOST\n"
        "[10.0.0.2:2112] seq=2 rtt=1m0.5s rd=782µs sd=30ms ipdv=782µs\n"
    )
    made = imported(tmp_path, "irtt", text, interval="20 ms")
    # Delays below 0 are those of clocks that are not set alike.
    assert made.columns == ("time_s", "latency_ms", "round_trip_ms")
    assert column(made, "time_s") == pytest.approx([0, 0.04])
    assert column(made, "round_trip_ms") == pytest.approx([22.6, 60_500])
    with pytest.raises(ForeignError, match=r"log:2: '22.6mz' is no duration"):
        imported(tmp_path, "irtt", text.replace("22.6ms", "22.6mz"))


def test_a_log_of_nvidia_smi_without_power_is_told_its_column(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match=r"log:1: has none of the columns power\.draw"):
        imported(tmp_path, "nvidia-smi", "timestamp, power.drawn [W]\n2026/01/01 00:00:00.000, 5 W\n")
