from __future__ import annotations

import json
import math

import numpy as np

from gapslsim.assembly import assemble
from gapslsim.records import ClientRow
from gapslsim.results.frames import frame
from gapslsim.roster import client_rows
from gapslsim.scenario.loading import load


def roster(*changes):
    scenario = load("quickstart", set=changes)
    parts = assemble(scenario, dry=True)
    return parts, frame(ClientRow, client_rows(scenario, parts.setup, parts.client_devices))


def test_every_client_has_its_group_device_link_samples_labels_and_cut():
    parts, table = roster("clients.1.name=pis", "clients.2.training={batch_size: 4}")
    assert table["client"].tolist() == list(range(10))
    assert table["group"].tolist() == ["jetson-nano"] * 4 + ["pis"] * 3 + ["phone-midrange"] * 3
    assert table["device"].tolist() == ["jetson-nano"] * 4 + ["raspberry-pi-4b"] * 3 + ["phone-midrange"] * 3
    last = table.iloc[-1]
    assert (last.uplink_bit_per_s, last.downlink_bit_per_s, last.latency_s) == (10e6, 40e6, 0.025)
    assert (last.batch_size, last.cut, table["batch_size"][0]) == (4, "1", 16)
    for row, shard in zip(table.itertuples(), parts.setup.shards, strict=True):
        counts = np.bincount(parts.setup.data.train.labels[shard])
        assert json.loads(row.labels) == {str(k): int(n) for k, n in enumerate(counts) if n}
        assert row.n_samples == len(shard)


def test_groups_of_one_name_get_numbers_and_a_whole_model_has_no_cut():
    changes = ("clients.1.device=jetson-nano", "clients.2.device=jetson-nano@5w", "framework=fedavg")
    _, table = roster(*changes)
    assert table["group"].unique().tolist() == ["jetson-nano", "jetson-nano #2", "jetson-nano@5w"]
    assert table["device"].iloc[-1] == "jetson-nano@5w"
    assert set(table["cut"]) == {"whole"}


def test_what_is_not_known_of_a_link_is_nan_and_numbers_have_no_classes():
    scenario = load("models/regression", set=["clients.*.link.uplink={kind: wireless}"])
    parts = assemble(scenario, dry=True)
    first = next(client_rows(scenario, parts.setup, parts.client_devices))
    assert first.labels == ""
    assert math.isnan(first.uplink_bit_per_s)
