from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from gapslsim import explain, loads, simulate
from gapslsim.answers._faster import faster
from gapslsim.cli.main import main
from gapslsim.errors import ResultsError
from gapslsim.hardware.shipped import shipped_folder
from gapslsim.network.channels.lognormal import Lognormal
from gapslsim.results.store import write_results
from gapslsim.rng import stream
from tests.study_files import BASE

BY_HAND = """\
name: by hand
data: {kind: synthetic, input_shape: [6], n_classes: 3, n_train: 120, n_test: 30, partition: {kind: iid}}
model: {kind: mlp, hidden: [8, 8], cut: 1}
framework: psl
training: {batch_size: 5, client: {optimizer: sgd, lr: 0.1}}
server: {device: jetson-orin-nx}
clients:
  - {count: 3, name: phones, device: phone-midrange, link: {uplink: 1 kbit/s, downlink: 1 Gbit/s}}
  - {count: 1, device: jetson-nano, link: {uplink: 1 Gbit/s, downlink: 1 Gbit/s}}
network: {kind: star, protocol: null}
clock: {jitter: false}
stop: {rounds: 3}
"""


def full(text: str, *changes: str) -> float:
    """Time of a whole dry run."""
    return float(simulate(loads(text, set=changes), dry=True).summary["simulated_time_s"])


def written(text: str, tmp_path) -> str:
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    return str(file)


def test_a_slow_uplink_of_one_group_is_the_cause_and_twice_the_rate_saves_half_of_its_time(tmp_path):
    found = explain(written(BY_HAND, tmp_path))
    first = found.table.iloc[0]
    # Each phone sends 5 x 8 floats and 5 labels: all three at once, each on its own 1 kbit/s.
    sent_s = 3 * 8 * simulate(loads(BY_HAND), dry=True).summary["bytes_up"] / 4 / 3 / 1000
    assert (first["name"], first["path"]) == ("uplink of phones", "clients.0.link.uplink")
    assert first["saved_s"] == pytest.approx(sent_s / 2, rel=1e-9)
    assert first["share"] == pytest.approx(sent_s / found.time_s, rel=1e-9)
    assert found.sentences[0].startswith("Uplink of phones is 99 % of the chain; doubled, the run takes")


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("framework=sl", "framework.participation={kind: sample, k: 2}"),
        ("framework=sfl", "network={kind: two_tier, cloud_link: 3 Mbit/s, cloud_latency: 9 ms}"),
        ("framework=fedavg", "network={kind: shared_ap, medium: 4 Mbit/s, backhaul: 9 Mbit/s}"),
        ("framework={kind: async_sl}", "clients.0.link.loss=1 %"),
        ("framework=psl", "framework.lateness={kind: deadline, after: 30 ms, late: dropped}"),
        (
            "network={kind: graph, gateways: [a], links: [{between: [a, server], rate: 5 Mbit/s, latency: 3 ms}]}",
        ),
    ],
    ids=["psl", "sl, sampled", "sfl, two tiers", "fedavg, shared", "asynchronous, loss", "deadline", "graph"],
)
def test_savings_are_those_of_full_runs_with_the_changed_scenario(changes, tmp_path):
    scenario = loads(BASE, set=changes)
    found = explain(simulate(scenario, dry=True), factor=4.0)
    told_s, n = full(BASE, *changes), 0
    assert found.time_s == pytest.approx(told_s, abs=1e-12)
    units = {"latency": "ms", "loss": "%"}
    for row in found.table[found.table["path"] != ""].itertuples():
        part = scenario
        for name in row.path.split("."):
            part = part[int(name)] if name.isdigit() else getattr(part, name)
        if "rate" in part.__dict__:
            value = f"{4 * part.rate!r} bit/s"
        elif "delay" in part.__dict__:
            value = f"{1e3 * part.delay / 4!r} {units['latency']}"
        else:
            value = f"{100 * part.probability / 4!r} %"
        n += 1
        assert row.saved_s == pytest.approx(told_s - full(BASE, *changes, f"{row.path}={value}"), abs=1e-9), (
            row.name
        )
    assert n >= 2


def test_computing_faster_saves_what_a_profile_with_corrected_times_saves(tmp_path):
    text = (shipped_folder("hardware_profiles") / "raspberry-pi-4b.yaml").read_text()
    quick = "".join(
        f"\n  {name}: {{value: 0.5, status: assumed, source: a test}}"
        for name in ("forward", "backward", "update", "other", "per_call")
    )
    (tmp_path / "pi.yaml").write_text(f"{text}\ncorrections:{quick}\n")
    alone = ("clients.0.device=raspberry-pi-4b", "clients.0.name=pis")
    found = explain(simulate(loads(BASE, set=alone), dry=True)).table.set_index("name")
    faster_s = full(BASE, *alone, f"clients.0.device={tmp_path / 'pi.yaml'}")
    assert found.loc["compute of pis", "time_s"] == pytest.approx(faster_s, abs=1e-9)


def test_overheads_and_servers_have_causes_of_their_own():
    text = BASE.replace("framework: psl", "framework: sfl")
    run = simulate(loads(text), dry=True)
    names = set(explain(run, factor=0.25).table["name"])
    assert {"compute of the server", "compute of the parameter-server", "overheads of jetson-nano"} <= names


def test_a_faster_random_channel_draws_what_it_drew():
    told = Lognormal(mean=1e6, sigma=0.5, correlation_time=1.0, step=0.1)
    was, now = (channel.steps(stream(1, "a")) for channel in (told, faster(told, 3.0)))
    for _ in range(5):
        (at_s, rate), (then_s, more) = next(was), next(now)
        assert (then_s, more) == (at_s, 3.0 * rate)


def test_where_time_decides_what_is_trained_that_is_said():
    run = simulate(loads(BASE, set=["framework={kind: async_sl}"]), dry=True)
    assert any("Time decides here what is trained" in sentence for sentence in explain(run).sentences)


def test_the_command_prints_a_table_a_sentence_json_a_picture_and_csv(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run = write_results(simulate(loads(BY_HAND), dry=True), tmp_path / "run")
    for out, head in (("a.svg", b"<?xml"), ("a.csv", b"name,who")):
        with pytest.raises(SystemExit) as ended:
            main(["explain", str(run), "-o", str(tmp_path / out)])
        assert not ended.value.code
        assert (tmp_path / out).read_bytes().startswith(head)
    told = capsys.readouterr().out
    assert "uplink of phones" in told
    assert max(len(line) for line in told.splitlines() if str(tmp_path) not in line) <= 80
    with pytest.raises(SystemExit):
        main(["explain", str(run), "--factor", "3", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert made["factor"] == 3
    assert made["causes"][0]["who"] == "phones"
    assert math.isclose(sum(part["seconds"] for part in made["chain"]), made["time_s"])


def test_a_run_without_rounds_and_a_bad_factor_are_refused():
    run = simulate(loads(BASE), dry=True)
    with pytest.raises(ResultsError, match="write a number above 0"):
        explain(run, factor=0.0)
    with pytest.raises(ResultsError, match="has no round"):
        explain(replace(run, rounds=run.rounds.iloc[:0]))
