"""A run small enough to work out by hand, for the tests of results and of the command line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gapslsim.network.network import LinkUseRow
from gapslsim.records import AlignmentRow, ClientRow, EvaluationRow, LossRow, RoundRow, SpanRow
from gapslsim.results.frames import TABLES
from gapslsim.results.results import Results
from gapslsim.results.summary import RunFacts


def _client(client: int, *steps: tuple[str, float, int]) -> list[SpanRow]:
    """Spans of one client back to back from 0: phase, duration [s], bytes. It draws 2 W."""
    rows, now = [], 0.0
    for phase, duration_s, size_bytes in steps:
        rows.append(
            SpanRow(
                f"client-{client}", client, phase, 1, now, now + duration_s, size_bytes, 0.0, 2 * duration_s
            )
        )
        now += duration_s
    return rows


SPANS = [
    *_client(
        0,
        ("client_forward", 1.0, 0),
        ("uplink", 2.0, 300),
        ("waiting", 1.0, 0),
        ("server_compute", 2.0, 0),
        ("downlink", 1.0, 200),
        ("client_backward", 2.0, 0),
        ("waiting", 1.0, 0),
    ),
    *_client(
        1,
        ("client_forward", 2.0, 0),
        ("uplink", 2.0, 300),
        ("server_queue", 0.5, 0),
        ("server_compute", 1.5, 0),
        ("handover_in", 1.0, 50),
        ("local_training", 2.0, 0),
        ("handover_out", 1.0, 70),
    ),
    SpanRow("server", -1, "server_step", 1, 4.0, 6.0, 0, 1e9, 40.0),
]
EVALUATIONS = [
    EvaluationRow(0, 0.0, "global", -1, 0.1, 2.3),
    EvaluationRow(0, 0.0, "clients", 0, 0.1, 2.3),
    EvaluationRow(0, 0.0, "clients", 1, 0.2, 2.3),
    EvaluationRow(1, 5.0, "global", -1, 0.6, 1.0),
    EvaluationRow(1, 5.0, "clients", 0, 0.3, 1.0),
    EvaluationRow(1, 5.0, "clients", 1, 0.5, 1.0),
    EvaluationRow(2, 10.0, "global", -1, 0.5, math.nan),
    EvaluationRow(2, 10.0, "clients", 0, 0.2, 1.0),
    EvaluationRow(2, 10.0, "clients", 1, 0.8, 1.0),
]
ROWS: dict[str, Any] = {
    "clients": [
        ClientRow(0, "nano", "nano", 8e6, 8e6, 0.0, 8, 80, '{"0": 80}', "1"),
        ClientRow(1, "pi", "pi", 8e6, 8e6, 0.0, 8, 80, '{"1": 80}', "1"),
    ],
    "spans": SPANS,
    "rounds": [
        RoundRow(1, 0.0, 5.0, 0.5, 2, 1.5, 600, 200, 30.0),
        RoundRow(2, 5.0, 10.0, 1.0, 2, math.nan, 70, 50, 50.0),
    ],
    "evaluations": EVALUATIONS,
    "losses": [LossRow(1, 0, 1.4, 8), LossRow(1, 1, 1.6, 8)],
    "alignment": [AlignmentRow(1, 0, 0.5, True, 0.1, True, 1.4, 2.0, 1.0, 0.5, math.nan)],
    "links": [LinkUseRow("client-0:uplink", 1.0, 3.0, 1200.0, 2400.0, 1)],
}
FACTS: dict[str, Any] = {
    "status": "completed",
    "stopped_by": "2 rounds",
    "dry": False,
    "seed": 7,
    "name": "tiny",
    "framework": "gapsl",
    "simulated_time_s": 10.0,
    "wall_time_s": 1.5,
    "timeline_sha256": "a" * 64,
    "learning_sha256": "b" * 64,
    "device_of_client": ["nano", "pi"],
    "targets": [0.5, 0.25, 0.9],
    "target_view": "global",
    "server_idle_w": {"server": 5.0},
    "memory": {"client_bytes": 1_200_000, "client_ram_bytes": 2e9},
}


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    """Makes the results of the small run; keyword arguments replace rows of a table, facts, or the scenario's text."""

    def make(**changes: Any) -> Results:
        given = ROWS | FACTS | changes
        scenario_yaml = given.pop("scenario_yaml", "name: tiny\n")
        rows = {name: given.pop(name, ()) for name in TABLES}
        return Results.from_rows(scenario_yaml, rows, RunFacts(**given))

    return make


@pytest.fixture
def results(make_results: Callable[..., Results]) -> Results:
    """Results of the small run as they are."""
    return make_results()
