"""Who the clients of a run are: group, device, link, samples, labels and cut of each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np

from gapslsim.hardware.device import Device
from gapslsim.learning.setup import LearningSetup
from gapslsim.network.channel import Channel
from gapslsim.records import ClientRow
from gapslsim.scenario.schema import Scenario

__all__ = ["client_rows"]


def client_rows(scenario: Scenario, setup: LearningSetup, devices: Sequence[Device]) -> Iterator[ClientRow]:
    """The table `clients`, in the order of the clients.

    Args:
        scenario: what was run.
        setup: data and their division.
        devices: of each client.
    """
    whole = scenario.framework.clients_hold_whole_model
    usual = getattr(scenario.model, "cut", "")
    labels, client = _labels(setup), 0
    for group, name in zip(scenario.clients, scenario.group_names, strict=True):
        link, cut = group.link, "whole" if whole else str(usual if group.cut is None else group.cut)
        rates = _mean(link.uplink), _mean(link.downlink), float(link.latency.mean_s)
        for _ in range(group.count):
            size, n = setup.batches.size(client), len(setup.shards[client])
            yield ClientRow(client, name, devices[client].name, *rates, size, n, labels[client], cut)
            client += 1


def _mean(channel: Channel) -> float:
    rate = channel.mean_bit_per_s
    return math.nan if rate is None else float(rate)


def _labels(setup: LearningSetup) -> list[str]:
    """Of each client's training samples, how many there are of which class."""
    n = setup.n_clients
    if setup.data.target != "class":
        return [""] * n
    n_classes = setup.data.n_classes
    owners = np.repeat(np.arange(n), [len(shard) for shard in setup.shards])
    labels = setup.data.train.labels[np.concatenate(setup.shards)]
    # All clients at once: a hundred thousand of them are counted in a fraction of a second.
    places, counts = np.unique(owners * n_classes + labels, return_counts=True)
    found: list[dict[str, int]] = [{} for _ in range(n)]
    for owner, label, count in zip(*(a.tolist() for a in (*divmod(places, n_classes), counts)), strict=True):
        found[owner][str(label)] = count
    return [json.dumps(own) for own in found]
