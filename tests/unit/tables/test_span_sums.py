"""Sums that grow with the spans are those of the whole table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gapslsim.records import SpanRow
from gapslsim.tables.rows import Rows
from gapslsim.tables.span_sums import summed

DRAW = np.random.default_rng(1)
SPANS = [
    SpanRow(
        f"client-{client}" if client >= 0 else ("server", "parameter-server")[i % 2],
        client, ("uplink", "waiting", "cancelled_uplink")[i % 3], i // 10, float(i), i + float(length), size, 1.0,
        float(length) * 2, overlap,
    )
    for i, (client, length, size, overlap) in enumerate(
        zip(DRAW.integers(-1, 4, 200), DRAW.random(200), DRAW.integers(0, 2**54, 200), DRAW.random(200), strict=True)
    )
]  # fmt: skip


@pytest.mark.parametrize("folded_at", [1, 7, 1000])
def test_sums_are_those_of_the_table_however_it_was_cut(
    folded_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rows, "FOLDED_AT", folded_at)
    _, sums = summed(SPANS)
    table = pd.DataFrame(SPANS).assign(seconds=lambda t: t.end_s - t.start_s)
    table["who"] = table["actor"].where(table["client"] < 0, "")
    seen = {(who, phase): used for who, phase, used in sums.items()}
    groups = dict(iter(table.groupby(["who", "phase"])))
    assert seen.keys() == groups.keys()
    for key, own in groups.items():
        assert seen[key].spans == len(own)
        assert seen[key].bytes == sum(map(int, own["size_bytes"]))  # exact, also where doubles are not
        assert seen[key].time_s == pytest.approx(own["seconds"].sum(), rel=1e-14)
        assert seen[key].energy_j == pytest.approx(own["energy_j"].sum(), rel=1e-14)
    seconds = dict(sums.seconds(6))
    for phase in ("uplink", "waiting", "cancelled_uplink"):
        for client in range(6):
            own = table[(table["client"] == client) & (table["phase"] == phase)]
            assert seconds[phase][client] == pytest.approx(
                (own["seconds"] - own["overlap_s"]).sum(), rel=1e-13
            )


def test_without_spans_there_is_nothing() -> None:
    _, sums = summed([])
    assert list(sums.items()) == []
    assert sums.total(lambda actor, phase: True).bytes == 0
