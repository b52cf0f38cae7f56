"""Spans fill a client's time without gap or overlap; the hash of a timeline does not depend on the order of writing."""

from __future__ import annotations

import hashlib
import struct
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.records import SpanRow
from gapslsim.sim.recorder import Recorder


def test_time_between_spans_becomes_waiting_at_idle_power() -> None:
    recorder = Recorder([2.0])
    recorder.round = 1
    recorder.begin(1.0, 0)
    recorder.client_span(0, "client_forward", 1.0, 3.0, 5.0, work_flop=7.0)
    recorder.begin(4.0, 0)
    recorder.client_span(0, "uplink", 4.0, 6.0, 3.0, size_bytes=10, extra_j=0.5)
    recorder.wait_until([0], 10.0)
    assert recorder.spans == [
        SpanRow("client-0", 0, "waiting", 1, 0.0, 1.0, 0, 0.0, 2.0),
        SpanRow("client-0", 0, "client_forward", 1, 1.0, 3.0, 0, 7.0, 10.0),
        SpanRow("client-0", 0, "waiting", 1, 3.0, 4.0, 0, 0.0, 2.0),
        SpanRow("client-0", 0, "uplink", 1, 4.0, 6.0, 10, 0.0, 6.5),
        SpanRow("client-0", 0, "waiting", 1, 6.0, 10.0, 0, 0.0, 8.0),
    ]


def test_a_server_may_be_idle_and_a_wait_of_no_length_is_not_written() -> None:
    recorder = Recorder([1.0])
    recorder.server_span("server", "server_step", 2.0, 3.0, 4.0, 9.0)
    recorder.begin(2.0, 0)
    recorder.clients_waited([0], 2.0, 2.0, 2.0)
    assert recorder.spans == [SpanRow("server", -1, "server_step", 0, 2.0, 3.0, 0, 9.0, 4.0)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 5), st.floats(0, 5)), max_size=12))
def test_the_spans_of_each_client_sum_to_the_elapsed_time(steps: list[tuple[int, float, float]]) -> None:
    recorder = Recorder([1.0] * 3)
    now = [0.0] * 3
    for client, pause, length in steps:
        start = now[client] + pause
        now[client] = start + length
        recorder.begin(start, client)
        recorder.client_span(client, "x", start, now[client], 1.0)
    end = max(now) + 1.0
    recorder.wait_until(range(3), end)
    for client in range(3):
        rows = sorted((r for r in recorder.spans if r.client == client), key=lambda r: (r.start_s, r.end_s))
        assert rows[0].start_s == 0.0
        assert rows[-1].end_s == end
        assert all(a.end_s == b.start_s for a, b in pairwise(rows))


def test_the_hash_is_that_of_the_sorted_rows() -> None:
    recorder, turned = Recorder([1.0] * 2), Recorder([1.0] * 2)
    recorder.begin(0.0, 0)
    recorder.client_span(0, "x", 0.0, 1.0, 1.0)
    recorder.begin(0.0, 1)
    recorder.client_span(1, "y", 0.0, 2.0, 1.0, 5)
    turned.rows.extend(reversed(list(recorder.rows)))
    assert turned.timeline_sha256() == recorder.timeline_sha256()
    digest = hashlib.sha256()
    digest.update(b"client-0|x|0|0|" + struct.pack("<4d", 0.0, 1.0, 0.0, 1.0))
    digest.update(b"client-1|y|0|5|" + struct.pack("<4d", 0.0, 2.0, 0.0, 2.0))
    assert recorder.timeline_sha256() == digest.hexdigest()


def test_of_two_things_at_once_the_one_that_ends_later_says_what_is_accounted_for() -> None:
    recorder = Recorder([2.0])
    recorder.begin(1.0, 0)  # an uplink from 1 to 6
    recorder.begin(2.0, 0)  # a computation from 2 to 4
    recorder.client_span(0, "client_forward", 2.0, 4.0, 5.0)
    recorder.client_span(0, "uplink", 1.0, 6.0, 3.0, size_bytes=10)
    recorder.wait_until([0], 7.0)
    assert recorder.spans == [
        SpanRow("client-0", 0, "waiting", 0, 0.0, 1.0, 0, 0.0, 2.0),
        SpanRow("client-0", 0, "client_forward", 0, 2.0, 4.0, 0, 0.0, 10.0),
        SpanRow(
            "client-0", 0, "uplink", 0, 1.0, 6.0, 10, 0.0, 3.0 * 5 - 2.0 * 2, 2.0
        ),  # idle power is drawn once
        SpanRow("client-0", 0, "waiting", 0, 6.0, 7.0, 0, 0.0, 2.0),
    ]
    alone = Recorder([2.0])
    alone.rows.extend((*row[:9], 0.0) for row in recorder.rows)
    assert alone.timeline_sha256() != recorder.timeline_sha256()


def test_what_was_announced_and_left_no_span_was_waiting() -> None:
    recorder = Recorder([1.0])
    recorder.begin(1.0, 0)  # waits in a queue from 1 to 5 and is cancelled
    recorder.begin(2.0, 0)
    recorder.client_span(0, "x", 2.0, 3.0, 1.0)
    recorder.wait_until([0], 4.0)  # it still goes on
    recorder.ends(0, 5.0)
    recorder.wait_until([0], 6.0)
    found = sorted((row.start_s, row.end_s, row.phase) for row in recorder.spans)
    assert found == [
        (0.0, 1.0, "waiting"),
        (1.0, 2.0, "waiting"),
        (2.0, 3.0, "x"),
        (3.0, 5.0, "waiting"),
        (5.0, 6.0, "waiting"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=10))
def test_overlapping_spans_less_their_overlaps_sum_to_the_elapsed_time(
    things: list[tuple[int, int, bool]],
) -> None:
    recorder = Recorder([1.0])
    happens = []
    for index, (one, other, leaves_a_span) in enumerate(things):
        start, end = sorted((one / 4, other / 4))
        happens += [(start, 0, index, start, leaves_a_span), (end, 1, index, start, leaves_a_span)]
    for now, is_end, _, start, leaves_a_span in sorted(happens):
        if not is_end:
            recorder.begin(now, 0)
        elif leaves_a_span:
            recorder.client_span(0, "x", start, now, 1.0)
        else:
            recorder.ends(0, now)
    recorder.wait_until([0], 11.0)
    spans = recorder.spans
    assert sum(s.end_s - s.start_s - s.overlap_s for s in spans) == 11.0
    assert sum(s.energy_j for s in spans) == 11.0  # all of it at 1 W
    assert all(s.overlap_s >= 0 for s in spans)
