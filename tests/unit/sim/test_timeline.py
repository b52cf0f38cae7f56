"""However rows leave memory, the hash of a timeline is that of all spans sorted."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gapslsim.sim.timeline
from gapslsim.records import SpanRow
from gapslsim.sim.timeline import Timeline
from gapslsim.tables.rows import Rows

instants = st.sampled_from([0.0, 0.25, 1.0, 1e9 / 3])
"""Few, so that spans are often equal in all but the last field."""
spans = st.builds(
    SpanRow,
    actor=st.sampled_from(["client-10", "client-2", "server", "client-1"]),
    client=st.just(0),
    phase=st.sampled_from(["uplink", "waiting", "up"]),
    round=st.integers(0, 3),
    start_s=instants,
    end_s=instants,
    size_bytes=st.sampled_from([0, 9, 10, 123_456_789_012]),
    work_flop=instants,
    energy_j=st.sampled_from([-0.5, 0.0, 1.5]),
    overlap_s=st.sampled_from([0.0, 0.0, 2.5]),
)


def textbook(rows: Iterable[SpanRow]) -> str:
    """As the first recorder did it, which kept all rows."""
    digest = hashlib.sha256()
    for row in sorted(rows):
        digest.update(f"{row.actor}|{row.phase}|{row.round}|{row.size_bytes}|".encode())
        digest.update(struct.pack("<4d", row.start_s, row.end_s, row.work_flop, row.energy_j))
        digest.update(struct.pack("<d", row.overlap_s) if row.overlap_s else b"")
    return digest.hexdigest()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(spans, max_size=40),
    st.sampled_from([1, 3, 100]),
    st.sampled_from([1, 4, 1000]),
    st.sampled_from([1, 5, 1000]),
)
def test_the_hash_is_that_of_all_sorted_spans_wherever_they_are_cut(
    given: list[SpanRow], folded_at: int, spilled_at: int, at_once: int
) -> None:
    given = [row._replace(client=-1 if row.actor == "server" else int(row.actor[7:])) for row in given]
    given.sort(key=lambda row: row.round)  # As a recorder writes them.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "FOLDED_AT", folded_at)
        patch.setattr(Rows, "SPILLED_AT", spilled_at)
        patch.setattr(gapslsim.sim.timeline, "_AT_ONCE", at_once)
        rows = Rows(SpanRow)
        timeline = Timeline(rows)
        rows.extend(given)
        assert timeline.sha256() == textbook(given)
