"""A cut per client group, as a scenario says it."""

from __future__ import annotations

from typing import Any

import pytest

from gapslsim import Results, ScenarioError, load_dict, simulate
from gapslsim.assembly import assemble
from gapslsim.learning.setup import LearningSetup
from tests.worlds import small_scenario

MODEL = {"kind": "mlp", "hidden": [12, 10, 8]}


def with_cuts(first: Any, second: Any, cut: int = 1, **sections: Any) -> dict[str, Any]:
    """Two groups of two clients."""
    made = small_scenario(model=MODEL | {"cut": cut}, **sections)
    for group, own in zip(made["clients"], (first, second), strict=True):
        if own is not None:
            group["cut"] = own
    return made


def setup_of(scenario: dict[str, Any]) -> LearningSetup:
    return assemble(load_dict(scenario, deep=True), dry=True).setup


def run(scenario: dict[str, Any]) -> Results:
    return simulate(load_dict(scenario))


def test_equal_cuts_of_all_groups_are_the_cut_of_the_model() -> None:
    usual = setup_of(with_cuts(None, None, cut=2))
    for same in (with_cuts(2, 2, cut=2), with_cuts(2, 2, cut=1), with_cuts(2, None, cut=2)):
        setup = setup_of(same)
        assert setup.segments is None
        assert setup.key == usual.key
    hashes = [run(each).summary for each in (with_cuts(None, None, cut=2), with_cuts(2, 2, cut=1))]
    for name in ("timeline_sha256", "learning_sha256"):
        assert hashes[0][name] == hashes[1][name]


def test_unlike_cuts_give_each_client_its_blocks_and_its_bytes() -> None:
    results = run(with_cuts(1, 3, framework={"kind": "sfl"}))
    clients = results.clients
    assert list(clients["cut"]) == ["1", "1", "3", "3"]
    spans = results.spans
    sent = spans[spans["phase"] == "uplink"].groupby("client")["size_bytes"].first()
    assert list(sent) == [8 * (12 * 4 + 8)] * 2 + [8 * (8 * 4 + 8)] * 2  # activations, and a label of 8 bytes
    weights = spans[spans["phase"] == "model_uplink"].groupby("client")["size_bytes"].first()
    of_blocks = [4 * (8 * 12 + 12), 4 * (12 * 10 + 10), 4 * (10 * 8 + 8)]
    assert list(weights) == [of_blocks[0]] * 2 + [sum(of_blocks)] * 2
    back = spans[spans["phase"] == "model_downlink"].groupby("client")["size_bytes"].first()
    assert list(back) == list(weights)


@pytest.mark.parametrize(
    ("framework", "says"),
    [
        ({"kind": "sl"}, "handed from client to client"),
        ({"kind": "fedavg"}, "not cut at all"),
        ({"kind": "epsl", "phi": 0.5}, "of one shape"),
        ({"kind": "parallel", "cut_gradient": "mean"}, "of one shape"),
        ({"kind": "gapsl", "gradient": "exact"}, "gradient: exact"),
        ({"kind": "gas"}, "one client-side model for all clients"),
        ({"kind": "async_sfl"}, "one client-side model for all clients"),
        ({"kind": "psl", "server_schedule": {"kind": "joined"}}, "one pass of the server"),
    ],
)
def test_what_needs_one_cut_says_so(framework: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError, match=says) as told:
        load_dict(with_cuts(1, 2, framework=framework), deep=True)
    assert "clients.0.cut" in str(told.value)
    assert "one cut" in str(told.value)
    load_dict(with_cuts(2, 2, framework=framework), deep=True)


@pytest.mark.parametrize("cut", [9, "nowhere"])
def test_a_cut_that_the_model_has_not_is_refused_where_it_is_written(cut: Any) -> None:
    with pytest.raises(ScenarioError, match=r"clients\.1\.cut"):
        load_dict(with_cuts(1, cut), deep=True)


def test_gradients_of_nothing_cannot_be_compared() -> None:
    frozen = with_cuts(1, 3, framework={"kind": "gapsl"})
    frozen["model"]["freeze"] = ["head.*"]
    with pytest.raises(ScenarioError, match="unfreeze some"):
        load_dict(frozen, deep=True)


@pytest.mark.parametrize(
    "framework",
    [
        {"kind": "psl"},
        {"kind": "sfl", "participation": {"kind": "sample", "k": 2}},
        {"kind": "gapsl", "compare": "own"},
        {"kind": "non_gda"},
        {"kind": "parallel", "server_update": {"kind": "torchjd", "aggregator": "PCGrad"}},
        {"kind": "parallel", "server_update": {"kind": "torchjd", "aggregator": "GradVac", "compare": "own"}},
        {"kind": "async_sl"},
        {"kind": "buffered_sl", "buffer": 3},
        {"kind": "async_gapsl", "buffer": 3},
        {"kind": "pipelined_psl"},
        {"kind": "psl", "server_schedule": {"kind": "sequential"}},
        {"kind": "splitfed_v1"},
        {"kind": "sfl_replay", "client_update": {"kind": "frozen", "upload": "once"}},
    ],
    ids=lambda f: f["kind"],
)
def test_frameworks_train_clients_that_are_cut_unlike(framework: dict[str, Any]) -> None:
    given = with_cuts(1, 3, framework=framework)
    results = run(given)
    dry = simulate(load_dict(given), dry=True)
    assert 0 < results.summary["accuracy"]["global"]["last"] <= 1
    if not load_dict(given).time_decides_training:
        assert dry.summary["timeline_sha256"] == results.summary["timeline_sha256"]


def test_codecs_write_what_passes_at_each_clients_own_cut() -> None:
    codec = {"activations": {"kind": "quantise", "bits": 4}, "gradients": {"kind": "top_k", "share": 0.25}}
    results, plain = run(with_cuts(1, 3, codec=codec)), run(with_cuts(1, 3))
    setup = setup_of(with_cuts(1, 3, codec=codec))
    for client, width in ((0, 12), (1, 12), (2, 8), (3, 8)):
        n = setup.batches.size(client) * width
        (up, down), (_, plain_down) = (
            [
                set(of.loc[(of["client"] == client) & (of["phase"] == way), "size_bytes"])
                for way in ("uplink", "downlink")
            ]
            for of in (results.spans, plain.spans)
        )
        labels = setup.batches.size(client) * setup.data.label_bytes
        assert up == {-(-n * 4 // 8) + 2 * 4 + labels}  # two float32 say what the 4 bits mean
        assert max(down) < min(plain_down) / 2
    dry = simulate(load_dict(with_cuts(1, 3, codec=codec)), dry=True)
    assert dry.summary["timeline_sha256"] == results.summary["timeline_sha256"]


def test_passes_are_not_joined_where_any_of_the_servers_blocks_mixes_samples() -> None:
    model = {"kind": "cnn", "channels": [4, 4], "norm": "batch", "cut": 2}
    images = {"kind": "digits"}
    clock = {"server": {"computes": "joined"}}
    usual = small_scenario(data=images, model=model, clock=clock)
    assert load_dict(usual, deep=True)  # behind the last norm
    usual["clients"][0]["cut"] = 1
    with pytest.raises(ScenarioError, match="mix the samples"):
        load_dict(usual, deep=True)
