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
    recorder.client_span(0, "client_forward", 1.0, 3.0, 5.0, work_flop=7.0)
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
    recorder.clients_wait([0], "server_queue", 2.0, 2.0)
    assert recorder.spans == [SpanRow("server", -1, "server_step", 0, 2.0, 3.0, 0, 9.0, 4.0)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 5), st.floats(0, 5)), max_size=12))
def test_the_spans_of_each_client_sum_to_the_elapsed_time(steps: list[tuple[int, float, float]]) -> None:
    recorder = Recorder([1.0] * 3)
    now = [0.0] * 3
    for client, pause, length in steps:
        start = now[client] + pause
        now[client] = start + length
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
    recorder.client_span(0, "x", 0.0, 1.0, 1.0)
    recorder.client_span(1, "y", 0.0, 2.0, 1.0, 5)
    turned.rows = recorder.rows[::-1]
    assert turned.timeline_sha256() == recorder.timeline_sha256()
    digest = hashlib.sha256()
    digest.update(b"client-0|x|0|0|" + struct.pack("<4d", 0.0, 1.0, 0.0, 1.0))
    digest.update(b"client-1|y|0|5|" + struct.pack("<4d", 0.0, 2.0, 0.0, 2.0))
    assert recorder.timeline_sha256() == digest.hexdigest()


def test_all_spans_of_a_client_share_one_name() -> None:
    recorder = Recorder([1.0])
    recorder.client_span(0, "x", 1.0, 2.0, 1.0)
    assert len({id(row.actor) for row in recorder.spans}) == 1
