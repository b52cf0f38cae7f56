"""What a check of many alike clients looks at is some of them, and what it says is of those that are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapslsim import ScenarioError, load
from gapslsim.network._tree import TreeRouter
from gapslsim.network.topology import ENOUGH
from tests.study_files import BASE

MANY = BASE.replace("count: 2", "count: 100000").replace("n_train: 120", "n_train: 300000")
NETWORKS = {
    "star": "{kind: star}",
    "shared_ap": "{kind: shared_ap, medium: 1 Gbit/s, access_points: 9}",
    "two_tier": "{kind: two_tier, edges: 9}",
    "relay": "{kind: relay, hops: 2, hop: 1 Gbit/s}",
}


def written(folder: Path, network: str, text: str = MANY) -> Path:
    assert "100000" in text
    file = folder / "s.yaml"
    file.write_text(text.replace("{kind: star}", network))
    return file


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_is_checked_with_some_clients_of_each_group(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, hang = [], TreeRouter.hang
    monkeypatch.setattr(
        TreeRouter,
        "hang",
        lambda self, node, *rest, **more: (hung.append(node), hang(self, node, *rest, **more)),
    )
    scenario = load(written(tmp_path, NETWORKS[kind]), deep=True)
    assert scenario.n_clients >= 100_000
    assert len(scenario.fleet.clients) == scenario.n_clients
    assert ENOUGH < len(hung) < 2000
    assert scenario.checked_fleet.clients == tuple(
        client for client in scenario.fleet.clients if client.node in hung
    )


def test_a_group_behind_a_large_one_is_checked_and_named_as_in_the_run(tmp_path: Path) -> None:
    text = MANY.replace(
        "network:", "  - {count: 1, device: jetson-nano, link: lte, access_point: ap-77}\nnetwork:"
    )
    with pytest.raises(ScenarioError, match="client-200000 is on access point 'ap-77', which is not there"):
        load(written(tmp_path, NETWORKS["shared_ap"], text), deep=True)
