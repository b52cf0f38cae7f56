from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.network.network import LinkUseRow
from gapslsim.records import AlignmentRow, EvaluationRow, LossRow, RoundRow, SpanRow
from gapslsim.results.categories import CATEGORIES, LABELS, actor_order, category_of, received, sent
from gapslsim.results.frames import TABLES
from gapslsim.results.place import run_label
from gapslsim.results.results import Results
from gapslsim.results.summary import RunFacts, accuracy_curve, plain


def test_where_the_time_went_is_the_mean_over_clients_and_sums_to_the_elapsed_time(results):
    went = results.summary["where_time_went_s"]
    assert went == {
        "client_compute": (3.0 + 4.0) / 2,
        "uplink": (2.0 + 3.0) / 2,  # handover_out counts as sending
        "server_queue": (0.0 + 0.5) / 2,
        "server_compute": (2.0 + 1.5) / 2,
        "downlink": (1.0 + 1.0) / 2,
        "waiting": (2.0 + 0.0) / 2,
    }
    assert sum(went.values()) == pytest.approx(10.0, abs=1e-12)
    assert results.summary["warnings"] == []


def test_each_kind_of_device_has_its_own_times_and_they_sum_to_the_elapsed_time(results):
    by_device = results.summary["where_time_went_by_device_s"]
    assert by_device["nano"]["waiting"] == 2.0
    assert by_device["pi"]["server_queue"] == 0.5
    assert [sum(went.values()) for went in by_device.values()] == pytest.approx([10.0, 10.0], abs=1e-12)
    assert results.summary["clients_by_device"] == {"nano": 1, "pi": 1}


def test_a_gap_or_an_overlap_in_the_spans_of_a_client_is_a_warning(make_results, results):
    spans = [SpanRow(*row) for row in results.spans.itertuples(index=False)]
    assert make_results(spans=spans).summary["warnings"] == []
    gap = make_results(spans=[row for row in spans if row.phase != "server_queue"]).summary["warnings"]
    assert gap == [
        "the phases of 1 of 2 clients do not sum to the simulated time: client 1 has 9.5 s of 10 s"
    ]
    twice = [*spans, spans[0]]
    assert "client 0 has 11 s of 10 s" in make_results(spans=twice).summary["warnings"][0]


def test_bytes_are_what_clients_sent_and_received_at_their_side(results):
    assert results.summary["bytes_up"] == 300 + 300 + 70
    assert results.summary["bytes_down"] == 200 + 50


def test_energy_has_clients_spans_server_spans_and_the_idle_time_of_servers(results):
    # Two clients at 2 W for 10 s; the server 40 J in its span of 2 s and 5 W in the 8 s besides.
    assert results.summary["energy_j"] == {"clients": 40.0, "server": 80.0, "total": 120.0}


def test_accuracy_has_last_and_best_and_for_clients_the_mean_least_and_greatest_at_the_end(results):
    assert results.summary["accuracy"]["global"] == {"last": 0.5, "best": 0.6}
    clients = results.summary["accuracy"]["clients"]
    assert clients == pytest.approx({"last": 0.5, "best": 0.5, "min": 0.2, "max": 0.8})


def test_time_to_accuracy_is_that_of_the_first_evaluation_at_or_above_the_target(results, make_results):
    assert results.summary["time_to_accuracy_s"] == {"0.5": 5.0, "0.25": 5.0, "0.9": None}
    exact = make_results(targets=[0.6]).summary
    assert exact["time_to_accuracy_s"] == {"0.6": 5.0}
    of_clients = make_results(targets=[0.4, 0.45], target_view="clients").summary
    assert of_clients["time_to_accuracy_s"] == {"0.4": 5.0, "0.45": 10.0}
    unseen = make_results(targets=[0.1], target_view="local").summary
    assert unseen["time_to_accuracy_s"] == {"0.1": None}


def test_a_dry_run_without_evaluations_has_a_summary_that_json_can_hold(make_results):
    summary = make_results(dry=True, evaluations=[], losses=[], alignment=[]).summary
    assert summary["accuracy"] == {}
    assert summary["time_to_accuracy_s"]["0.5"] is None
    json.dumps(summary, allow_nan=False)


def test_a_run_that_was_interrupted_before_its_first_round_has_a_summary(make_results):
    none = dict.fromkeys(("spans", "rounds", "evaluations", "losses", "alignment", "links"), ())
    summary = make_results(status="interrupted", stopped_by="", simulated_time_s=0.0, **none).summary
    assert summary["rounds"] == 0
    assert summary["epochs"] == 0.0
    assert summary["where_time_went_s"] == dict.fromkeys(CATEGORIES, 0.0)
    assert summary["energy_j"]["total"] == 0.0


def test_clients_that_never_took_part_count_in_the_mean(make_results, results):
    spans = [SpanRow(*row) for row in results.spans.itertuples(index=False)]
    spans.append(SpanRow("client-2", 2, "waiting", 0, 0.0, 10.0))
    summary = make_results(spans=spans, device_of_client=["nano", "pi", "pi"]).summary
    assert summary["where_time_went_s"]["waiting"] == pytest.approx((2.0 + 0.0 + 10.0) / 3)
    assert summary["where_time_went_by_device_s"]["pi"]["waiting"] == 5.0
    assert summary["warnings"] == []


def test_extra_entries_join_the_summary_and_may_not_repeat_one(make_results):
    assert make_results(extra={"n_train": 100}).summary["n_train"] == 100
    with pytest.raises(ValueError, match="extra repeats entries of the summary: rounds"):
        make_results(extra={"rounds": 3})


@pytest.mark.parametrize(
    ("table", "row_type"),
    [
        ("spans", SpanRow), ("rounds", RoundRow), ("evaluations", EvaluationRow), ("losses", LossRow),
        ("alignment", AlignmentRow), ("links", LinkUseRow),
    ],
)  # fmt: skip
def test_tables_have_the_columns_and_types_of_their_rows_also_when_empty(
    make_results, results, table, row_type
):
    full = getattr(results, table)
    assert tuple(full.columns) == row_type._fields
    empty = getattr(make_results(**{table: []}), table)
    assert len(empty) == 0
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_numbers_that_do_not_exist_become_null_at_any_depth():
    nested = plain({"a": [math.nan, {"b": math.inf}], "c": (1, -math.inf), 3: pd.Series([1.5])[0]})
    assert nested == {"a": [None, {"b": None}], "c": [1, None], "3": 1.5}


def test_the_curve_of_a_view_is_sorted_by_round_with_the_spread_of_its_clients(results):
    curve = accuracy_curve(results.evaluations, "clients")
    assert list(curve.columns) == ["round", "time_s", "accuracy", "min", "max"]
    assert curve["round"].tolist() == [0, 1, 2]
    assert curve["accuracy"].tolist() == pytest.approx([0.15, 0.4, 0.5])
    assert accuracy_curve(results.evaluations, "ensemble").empty


def test_every_phase_has_a_category_and_every_category_a_label():
    assert set(LABELS) == set(CATEGORIES)
    phases = {
        "client_forward": "client_compute", "client_backward": "client_compute",
        "local_training": "client_compute", "uplink": "uplink", "model_uplink": "uplink",
        "handover_out": "uplink", "handover_in": "downlink", "downlink": "downlink",
        "model_downlink": "downlink", "server_queue": "server_queue",
        "server_compute": "server_compute", "waiting": "waiting",
    }  # fmt: skip
    assert {phase: category_of(phase) for phase in phases} == phases


@pytest.mark.parametrize(
    ("phase", "category"),
    [("uplink", "uplink"), ("model_downlink", "downlink"), ("handover_out", "uplink"), ("handover_in", "downlink"),
     ("client_forward", "client_compute"), ("server_queue", "server_queue"), ("waiting", "waiting")],
)  # fmt: skip
def test_what_was_broken_off_is_in_the_category_of_its_phase_and_moves_nothing(phase, category):
    assert category_of(f"cancelled_{phase}") == category_of(phase) == category
    assert (sent(phase), received(phase)) == (category == "uplink", category == "downlink")
    assert not sent(f"cancelled_{phase}")
    assert not received(f"cancelled_{phase}")


def test_bytes_of_a_transfer_that_was_broken_off_do_not_count_and_its_time_does(make_results, results):
    spans = [SpanRow(*row) for row in results.spans.itertuples(index=False)]
    broken = [row._replace(phase="cancelled_uplink") if row.phase == "uplink" else row for row in spans]
    summary = make_results(spans=broken).summary
    assert summary["bytes_up"] == 70
    assert summary["where_time_went_s"] == results.summary["where_time_went_s"]
    assert summary["warnings"] == []


def test_servers_come_before_clients_and_clients_go_by_number():
    actors = ["client-10", "server", "client-2", "parameter-server"]
    assert sorted(actors, key=actor_order) == ["parameter-server", "server", "client-2", "client-10"]
    assert category_of("average", client=-1) == "server_compute"


def test_the_label_of_a_run_is_a_name_for_a_directory(results):
    assert results.label == "tiny-gapsl-seed7"
    assert run_label("../my run/β", "sl", 3) == "my-run-β-sl-seed3"
    assert run_label("..", "sl", 3) == "run-sl-seed3"


@given(st.lists(st.lists(st.tuples(st.sampled_from(
    ["client_forward", "uplink", "server_queue", "server_compute", "downlink", "waiting", "handover_in"]),
    st.floats(0, 1e3)), min_size=1, max_size=6), min_size=1, max_size=4))  # fmt: skip
def test_whatever_clients_do_back_to_back_sums_to_the_elapsed_time(fleet):
    elapsed_s = max(sum(duration for _, duration in steps) for steps in fleet)
    spans = []
    for client, steps in enumerate(fleet):
        now = 0.0
        for phase, duration in [*steps, ("waiting", None)]:
            end = elapsed_s if duration is None else min(now + duration, elapsed_s)
            spans.append(SpanRow(f"client-{client}", client, phase, 1, now, end))
            now = end
    rows = dict.fromkeys(TABLES, ()) | {"spans": spans}
    facts = RunFacts(
        name="a", framework="psl", seed=1, status="completed", stopped_by="", dry=True, simulated_time_s=elapsed_s,
        wall_time_s=0.0, timeline_sha256="", learning_sha256="", device_of_client=["d"] * len(fleet),
    )  # fmt: skip
    made = Results.from_rows("", rows, facts)
    assert sum(made.summary["where_time_went_s"].values()) == pytest.approx(elapsed_s, rel=1e-9, abs=1e-9)
    assert made.summary["warnings"] == []


@pytest.mark.parametrize("rows", [{}, {"span": []}, dict.fromkeys((*TABLES, "presense"), ())])
def test_rows_of_a_missing_or_misspelt_table_are_refused(rows):
    facts = RunFacts(
        name="a", framework="psl", seed=1, status="completed", stopped_by="", dry=True, simulated_time_s=1.0,
        wall_time_s=0.0, timeline_sha256="", learning_sha256="", device_of_client=["d"],
    )  # fmt: skip
    with pytest.raises(ValueError, match="exactly the tables clients, spans"):
        Results.from_rows("", rows, facts)
