from __future__ import annotations

import pandas as pd
import pytest

from gapslsim.records import ClientRow, RoundRow, SpanRow
from gapslsim.results.critical_path import by_group, critical_path, describe, pace
from gapslsim.results.frames import frame
from gapslsim.results.names import Names


def spans(*rows):
    """(actor, client, phase, start, end) in round 1."""
    return frame(SpanRow, [SpanRow(a, c, phase, 1, start, end) for a, c, phase, start, end in rows])


def rounds(*bounds):
    rows = [RoundRow(i, start, end, 0.0, 2, 0.0, 0, 0, 0.0) for i, (start, end) in enumerate(bounds, 1)]
    return frame(RoundRow, rows)


ONE_ROUND = spans(
    ("client-0", 0, "client_forward", 0, 1),
    ("client-0", 0, "uplink", 1, 2),
    ("client-0", 0, "waiting", 2, 5),
    ("client-1", 1, "client_forward", 0, 2),
    ("client-1", 1, "uplink", 2, 5),
    ("server", -1, "server_step", 5, 7),
    ("client-0", 0, "server_compute", 5, 7),
    ("client-1", 1, "server_compute", 5, 7),
    ("client-0", 0, "downlink", 7, 10),
    ("client-1", 1, "downlink", 7, 8),
    ("client-1", 1, "waiting", 8, 10),
)


def steps(path):
    return [(row.actor, row.phase, row.start_s, row.end_s) for row in path.itertuples()]


NAMES = Names(
    frame(ClientRow, [ClientRow(i, "phones", "phone-midrange", 1e6, 1e6, 0.0, 8, 8, "", "1") for i in (0, 1)])
)
NOBODY = Names(frame(ClientRow, []))


def test_the_chain_goes_through_the_slowest_client_and_the_server():
    path = critical_path(ONE_ROUND, rounds((0, 10)))
    assert steps(path) == [
        ("client-1", "client_forward", 0, 2),
        ("client-1", "uplink", 2, 5),
        ("server", "server_step", 5, 7),
        ("client-0", "downlink", 7, 10),
    ]


def test_pace_names_the_client_that_is_longest_on_the_chain_and_the_longest_part():
    path = critical_path(ONE_ROUND, rounds((0, 10)))
    (row,) = pace(path, rounds((0, 10))).itertuples()
    assert (row.client, row.client_s, row.actor, row.phase, row.phase_s, row.duration_s) == (
        1, 5.0, "client-0", "downlink", 3.0, 10.0,
    )  # fmt: skip
    # Only client-1 sends up, only client-0 receives on the chain: three seconds of ten each.
    told = describe(path, pace(path, rounds((0, 10))), NAMES)
    assert told == "phones set the pace in 1 of 1 rounds; uplink of phones takes 30 % of the chain."
    # A run of an earlier version has no names.
    assert describe(path, pace(path, rounds((0, 10))), NOBODY).startswith("client-1 set the pace")


def test_by_group_clients_of_one_group_are_one_cause():
    path = critical_path(ONE_ROUND, rounds((0, 10)))
    assert [tuple(row) for row in by_group(path, NAMES).itertuples(index=False)] == [
        ("phones", "uplink", 3.0, 0.3),
        ("phones", "downlink", 3.0, 0.3),
        ("phones", "client_compute", 2.0, 0.2),
        ("server", "server_compute", 2.0, 0.2),
    ]


def test_time_in_which_nothing_was_under_way_is_idle():
    path = critical_path(spans(("client-0", 0, "uplink", 1, 2)), rounds((0, 3)))
    assert steps(path) == [("", "idle", 0, 1), ("client-0", "uplink", 1, 2), ("", "idle", 2, 3)]


def test_a_span_that_began_before_the_round_counts_from_the_rounds_start():
    path = critical_path(spans(("client-0", 0, "local_training", 0, 4)), rounds((1, 4)))
    assert steps(path) == [("client-0", "local_training", 1, 4)]


def test_no_rounds_give_no_chain():
    none = rounds()
    path = critical_path(ONE_ROUND, none)
    assert len(path) == 0
    assert describe(path, pace(path, none), NOBODY) == "There is no round."


def test_the_chain_of_a_real_run_covers_every_round_without_gap(tmp_path):
    from gapslsim.run import simulate
    from gapslsim.scenario.loading import loads
    from tests.study_files import BASE

    for framework in ("gapsl", "sfl", "sl", "fedavg"):
        results = simulate(loads(BASE, set=[f"framework={framework}"]), dry=True)
        path = critical_path(results.spans, results.rounds)
        for row in results.rounds.itertuples():
            own = path[path["round"] == row.round]
            assert own["start_s"].iloc[0] == pytest.approx(row.start_s, abs=1e-9)
            assert own["end_s"].iloc[-1] == pytest.approx(row.end_s, abs=1e-9)
            gaps = own["start_s"].to_numpy()[1:] - own["end_s"].to_numpy()[:-1]
            assert abs(pd.Series(gaps)).max() < 1e-9
            assert "idle" not in set(own["phase"])
