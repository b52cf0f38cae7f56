"""Settings of the server's schedules: what is refused, what a run counts, what the server's memory must hold."""

from __future__ import annotations

from typing import Any

import pytest

from gapslsim import load, simulate
from gapslsim.errors import ScenarioError
from gapslsim.frameworks.framework import frameworks
from gapslsim.models.memory import server_memory_bytes
from tests.support import small_setup

INDEX = {"kind": "sequential", "order": "index"}


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("gapsl", {"server_schedule": "sequential"}, "decides over the gradients of all clients"),
        ("gapsl", {"server_schedule": "sum"}, "that of gapsl does; leave server_schedule out"),
        ("parallel", {"server_update": "leader", "server_schedule": "copies"}, "leave server_schedule out"),
        ("epsl", {"server_schedule": "sequential"}, "phi: 0"),
        ("parallel", {"cut_gradient": "mean", "server_schedule": "copies"}, "write mean or sum"),
        ("parallel", {"phi": 0.5, "server_schedule": "joined"}, "write mean or sum"),
        ("psl", {"server_schedule": "copies", "cut_scale": "mean"}, "cut_scale: mean has no effect"),
    ],
)
def test_schedules_that_make_no_sense_are_refused_in_words(kind: str, settings: Any, told: str) -> None:
    (problem,) = frameworks[kind](**settings).problems(4)
    assert told in problem


def test_what_depends_on_arrival_says_so() -> None:
    by_clock = {
        how: frameworks["psl"](server_schedule=how).trains_by_the_clock
        for how in ("mean", "sum", "joined", "copies", "sequential")
    }
    assert by_clock == {"mean": False, "sum": False, "joined": False, "copies": False, "sequential": True}
    assert not frameworks["psl"](server_schedule=INDEX).trains_by_the_clock


def test_the_server_needs_memory_for_its_copies_and_for_a_joined_pass() -> None:
    from gapslsim.models.cost import split_cost

    side = split_cost(small_setup().model, (6,), 3, 5).server
    one = server_memory_bytes(side, 1, 4, False)
    # 4 x 5 + 5 and 5 x 3 + 3 parameters with their momentum.
    assert server_memory_bytes(side, 1, 4, False, n_copies=4) - one == 3 * 2 * 4 * (25 + 18)
    joined = server_memory_bytes(side, 1, 4, False, n_joined=4)
    assert joined - one == 3 * (side.activation_bytes + side.workspace_bytes)


@pytest.mark.parametrize(
    ("schedule", "clock", "told"),
    [
        (
            "joined",
            "computes=per_client",
            "clock.server.computes: server_schedule joined is one pass .* auto or joined",
        ),
        ("joined", "computes=in_sequence", "clock.server.computes"),
        ("joined", "serves=on_arrival", "clock.server.serves: .* write at_barrier"),
        ("copies", "computes=joined", "clock.server.computes: .* a step for each mini-batch; write auto"),
        ("sequential", "computes=joined", "clock.server.computes"),
        ("{kind: sequential, order: index}", "serves=on_arrival", "write at_barrier, or order: arrival"),
    ],
)
def test_options_of_the_clock_that_a_schedule_has_no_use_for_are_refused(
    schedule: str, clock: str, told: str
) -> None:
    settings = [f"framework={{kind: psl, server_schedule: {schedule}}}", f"clock.server.{clock}"]
    with pytest.raises(ScenarioError, match=told):
        load("quickstart", set=settings)


def test_a_joined_pass_goes_with_batch_norm_and_costs_one_pass() -> None:
    model = "model={kind: cnn, channels: [8, 8], norm: batch, cut: 1}"
    per_round = [
        simulate(load("quickstart", set=[model, "stop={rounds: 1}", f"framework={framework}"]), dry=True)
        for framework in ("{kind: psl, server_schedule: joined}", "psl")
    ]
    steps = [one.spans[one.spans["phase"] == "server_step"]["end_s"].max() for one in per_round]
    assert steps[0] < steps[1]
    load(
        "quickstart",
        set=[model, "framework={kind: psl, server_schedule: joined}", "clock.server.computes=joined"],
    )


def test_a_run_stops_after_so_many_steps_of_the_server_on_all_its_copies() -> None:
    of_copies = "framework={kind: psl, server_schedule: copies}"
    results = simulate(load("quickstart", set=[of_copies, "stop={server_steps: 35}"]))
    assert results.summary["rounds"] == 4  # ten steps in a round
    epochs = simulate(load("quickstart", set=["framework=splitfed_v1", "stop={epochs: 2}"]), dry=True).summary
    assert epochs["rounds"] == 2
