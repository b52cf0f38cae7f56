from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.records import SpanRow
from gapslsim.results.store import write_results
from gapslsim.results.trace import trace_events, write_trace
from gapslsim.run import simulate
from gapslsim.scenario.loading import load, loads
from tests.perfetto_library import PerfettoLibrary, find_library
from tests.study_files import BASE


@pytest.fixture(scope="module")
def runs():
    """Real dry runs of frameworks whose messages differ most."""
    return {
        kind: simulate(loads(BASE, set=[f"framework={kind}"]), dry=True) for kind in ("gapsl", "sfl", "sl")
    }


def tracks(events, group):
    """Names of the tracks of a group, by number."""
    return {
        (e["pid"], e["tid"]): e["args"]["name"].partition(" (")[0]
        for e in events
        if e["ph"] == "M" and e["name"] == "thread_name" and e["pid"] == group
    }


def check_format(events):
    """Rules of the Trace Event Format that importers rely on; returns the slices by track."""
    required = {
        "M": {"name", "pid", "tid", "args"},
        "X": {"name", "cat", "pid", "tid", "ts", "dur", "args"},
        "C": {"name", "pid", "ts", "args"},
        "s": {"name", "cat", "id", "pid", "tid", "ts"},
        "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"},
    }
    slices = defaultdict(list)
    for event in events:
        assert event["ph"] in required
        assert required[event["ph"]] <= event.keys()
        if "ts" in event:
            # Whole nanoseconds, so that an importer rounds nothing.
            assert abs(event["ts"] * 1000 - round(event["ts"] * 1000)) < 1e-3
        if event["ph"] == "X":
            assert event["dur"] >= 0
            slices[event["pid"], event["tid"]].append(event)
    for own in slices.values():
        own.sort(key=lambda e: (e["ts"], e["dur"]))
        for before, after in pairwise(own):
            assert round(1000 * (before["ts"] + before["dur"])) <= round(1000 * after["ts"])
    return slices


@pytest.mark.parametrize("kind", ["gapsl", "sfl", "sl"])
def test_slices_are_the_spans_and_sum_to_them(runs, kind):
    results = runs[kind]
    events = list(trace_events(results))
    slices = check_format(events)
    names = tracks(events, 1)
    assert set(names.values()) == set(results.spans["actor"])
    seconds = defaultdict(float)
    for track, own in slices.items():
        for event in own:
            if track in names:
                seconds[names[track], event["name"]] += event["dur"] / 1e6
    spans = results.spans
    wanted = (spans["end_s"] - spans["start_s"]).groupby([spans["actor"], spans["phase"]])
    assert set(seconds) == set(wanted.groups)
    for key, own in wanted:
        assert seconds[key] == pytest.approx(own.sum(), abs=1e-9 * len(own))


def test_the_track_of_a_client_names_its_device(runs):
    events = list(trace_events(runs["gapsl"]))
    named = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    devices = runs["gapsl"].clients["device"].tolist()
    assert {f"client-{i} ({device})" for i, device in enumerate(devices)} | {"server"} <= named


def test_there_is_a_track_per_link_and_its_use_is_a_counter(runs):
    results = runs["gapsl"]
    events = list(trace_events(results))
    assert set(tracks(events, 2).values()) == set(results.links["link"])
    counters = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            counters[event["name"]].append((event["ts"], event["args"]["value"]))
    for link in results.links["link"].unique():
        use = counters[f"{link} [% used]"]
        assert use[-1][1] == 0
        assert max(value for _, value in use) <= 100 + 1e-6
        assert [ts for ts, _ in use] == sorted(ts for ts, _ in use)
    assert "server queue [clients]" in counters


@pytest.mark.parametrize("kind", ["gapsl", "sfl", "sl"])
def test_every_arrow_joins_two_slices_and_goes_forward_in_time(runs, kind):
    events = list(trace_events(runs[kind]))
    slices = check_format(events)
    ends = defaultdict(dict)
    for event in events:
        if event["ph"] in "sf":
            enclosing = [
                e["name"]
                for e in slices[event["pid"], event["tid"]]
                if e["ts"] <= event["ts"] <= e["ts"] + e["dur"] and e["dur"] > 0
            ]
            assert len(enclosing) >= 1
            ends[event["id"]][event["ph"]] = (event["ts"], enclosing[0])
    pairs = {(own["s"][1], own["f"][1]) for own in ends.values()}
    assert all(own["s"][0] <= own["f"][0] for own in ends.values())
    expected = {
        "gapsl": {("uplink", "server_step"), ("server_step", "downlink")},
        "sfl": {("model_uplink", "average"), ("average", "model_downlink")},
        "sl": {("handover_out", "handover_in")},
    }[kind]
    assert expected <= pairs
    n_sent = runs[kind].spans["phase"].isin(["uplink", "downlink"]).sum()
    assert len(ends) >= n_sent


def test_the_queue_counter_counts_clients_that_wait(make_results):
    events = list(trace_events(make_results()))
    queue = [(e["ts"], e["args"]["value"]) for e in events if e["name"] == "server queue [clients]"]
    assert queue == [(0.0, 0), (4e6, 1), (4.5e6, 0)]


def test_only_the_chosen_rounds_are_written(runs, tmp_path):
    n_events = write_trace(runs["gapsl"], tmp_path / "trace.json", (2, 3))
    document = json.loads((tmp_path / "trace.json").read_text())
    assert len(document["traceEvents"]) == n_events
    assert {e["args"]["round"] for e in document["traceEvents"] if e.get("cat") == "uplink"} == {2, 3}
    assert document["otherData"]["framework"] == "gapsl"
    with pytest.raises(ResultsError, match="it has rounds 1 to 4"):
        write_trace(runs["gapsl"], tmp_path / "none.json", (9, 9))


def test_the_command_writes_a_trace_or_prints_the_pace(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    run = write_results(runs["gapsl"], tmp_path / "run")
    for arguments in (["trace", str(run)], ["trace", str(run), "--critical-path", "--rounds", "1-2"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
    assert (run / "trace.json").is_file()
    told = capsys.readouterr().out
    assert "set the pace in" in told
    assert "of 2 rounds" in told
    with pytest.raises(SystemExit) as ended:
        main(["trace", str(run), "--rounds", "3-1"])
    assert ended.value.code == 2


def test_perfettos_own_trace_processor_reads_it(runs, tmp_path):
    library = find_library()
    if library is None:
        pytest.skip("no Perfetto trace processor here; Debian's package chromium-shell holds one")
    write_trace(runs["gapsl"], tmp_path / "trace.json")
    reader = PerfettoLibrary(library, (tmp_path / "trace.json").read_bytes())
    spans = runs["gapsl"].spans
    seconds_by_phase = (spans["end_s"] - spans["start_s"]).groupby(spans["phase"]).sum()
    told = reader.query("select name, sum(dur) from slice where category != 'link' group by name")[1:]
    assert {phase: float(ns) / 1e9 for phase, ns in told} == pytest.approx(
        seconds_by_phase.to_dict(), abs=1e-9 * len(spans)
    )
    [_, [n_slices]] = reader.query("select count(*) from slice where category != 'link'")
    assert int(n_slices) == len(spans)
    assert reader.query("select name from stats where severity = 'error' and value > 0")[1:] == []
    with pytest.raises(ValueError, match="no such table: nowhere"):
        reader.query("select nonsense from nowhere")


def test_perfettos_own_trace_processor_refuses_what_is_no_trace():
    library = find_library()
    if library is None:
        pytest.skip("no Perfetto trace processor here; Debian's package chromium-shell holds one")
    with pytest.raises(ValueError, match="refuses the trace"):
        PerfettoLibrary(library, b'{"traceEvents": [ {{{')


def test_what_was_broken_off_sets_nothing_off(make_results):
    whole = make_results()
    spans = whole.spans.assign(phase=whole.spans["phase"].replace("uplink", "cancelled_uplink"))
    broken = replace(whole, spans=spans)
    slices = [event["cat"] for event in trace_events(broken) if event["name"] == "cancelled_uplink"]
    assert slices == ["uplink,in_vain", "uplink,in_vain"]
    n_arrows, n_left = (sum(e["ph"] == "s" for e in trace_events(run)) for run in (whole, broken))
    assert n_left == n_arrows - 2


def test_what_a_client_does_beside_lies_on_a_track_beside(make_results):
    spans = [
        SpanRow("client-0", 0, "uplink", 1, 0.0, 4.0, 10),
        SpanRow("client-0", 0, "client_forward", 1, 1.0, 2.0),
        SpanRow("client-0", 0, "client_forward", 1, 2.0, 3.0),
        SpanRow("client-0", 0, "waiting", 1, 4.0, 10.0),
        SpanRow("client-1", 1, "waiting", 1, 0.0, 10.0),
        SpanRow("server", -1, "server_step", 1, 5.0, 6.0),
    ]
    events = list(trace_events(make_results(spans=spans)))
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == 1}
    slices = [(names[e["tid"]], e["name"], e["ts"]) for e in events if e["ph"] == "X" and e["pid"] == 1]
    assert sorted(slices) == [
        ("client-0 (nano)", "uplink", 0.0),
        ("client-0 (nano)", "waiting", 4e6),
        ("client-0 (nano) +1", "client_forward", 1e6),
        ("client-0 (nano) +1", "client_forward", 2e6),
        ("client-1 (pi)", "waiting", 0.0),
        ("server", "server_step", 5e6),
    ]


def test_who_is_away_has_a_category_of_its_own(make_results):
    spans = [
        SpanRow("client-0", 0, "waiting", 1, 0.0, 2.0),
        SpanRow("client-0", 0, "away", 1, 2.0, 10.0),
        SpanRow("client-1", 1, "lost_downlink", 1, 0.0, 10.0, 5),
    ]
    slices = [e for e in trace_events(make_results(spans=spans)) if e["ph"] == "X" and e["pid"] == 1]
    assert sorted((e["name"], e["cat"]) for e in slices) == [
        ("away", "away"),
        ("lost_downlink", "downlink,in_vain"),
        ("waiting", "waiting"),
    ]


def test_messages_of_tiers_go_to_and_come_from_each_clients_own_edge_server():
    events = list(trace_events(simulate(load("shapes/tiers", set=["stop={rounds: 2}"]), dry=True)))
    names = {
        (e["pid"], e["tid"]): e["args"]["name"]
        for e in events
        if e["ph"] == "M" and e["name"] == "thread_name"
    }
    ends = defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            ends[event["id"]].append(names[event["pid"], event["tid"]].split(" ")[0])
    assert len(ends) >= 2 * 2 * 10
    for pair in ends.values():
        edge, client = sorted(pair, reverse=True)
        assert edge == f"edge-server-{int(client.removeprefix('client-')) % 2}"
