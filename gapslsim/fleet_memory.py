"""Whether each part of a network fits the device of the fleet that trains it, by its profile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gapslsim.errors import Problem, ScenarioError
from gapslsim.hardware.device import Device
from gapslsim.hardware.memory import check_fits
from gapslsim.learning.costs import OperationCosts
from gapslsim.learning.holdings import Holdings
from gapslsim.learning.keeping import kept_bytes
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.memory import client_memory_bytes, server_memory_bytes
from gapslsim.models.segments import OF_CLIENT, OF_SERVER, Segments, Stretch
from gapslsim.models.side_cost import SideCost, SplitCost
from gapslsim.scenario.cutting import nothing_to_compare
from gapslsim.scenario.keeping import keeps
from gapslsim.scenario.schema import Scenario

__all__ = ["check_fleet"]


def check_fleet(
    scenario: Scenario,
    setup: LearningSetup,
    clients: Sequence[Device],
    server: Device,
    stations: Mapping[str, Device],
) -> tuple[dict[str, Any], int]:
    """Checks that each part fits its device.

    Args:
        scenario: whose.
        setup: of its training.
        clients: device of each.
        server: its device.
        stations: devices of the machines between, by name.

    Returns:
        Needs and limits [B] for the summary, and how many samples the server's memory holds in one pass.

    Raises:
        GapslsimError: for the first that does not fit.
    """
    framework = scenario.framework
    sizes = [setup.batches.size(client) for client in range(setup.n_clients)]
    of_one, largest = framework.largest_batches(sizes, [len(shard) for shard in setup.shards])
    of_each = OperationCosts(setup)
    costs, cuts = of_each.split(largest), [setup.cut_of(client) for client in range(setup.n_clients)]
    last = None if cuts[0] is None else max(cut for cut in cuts if cut is not None)
    if framework.keeps_client_gradients and not of_each.split_at(last, largest).server.n_trained:
        raise ScenarioError([Problem("framework", nothing_to_compare(framework.kind))])
    segments = setup.segments
    tail = None if segments is None or segments.paths[0][-1].owner != OF_CLIENT else segments.paths[0][-1]
    sides = {cut: of_each.split_at(cut, largest) for cut in dict.fromkeys(cuts)}
    of_tail = None if tail is None else of_each.of(tail, of_one)
    needs_of = {cut: _of_client(scenario, setup, of_each.split_at(cut, of_one), of_tail) for cut in sides}
    need = max(needs_of.values())
    for device, cut in {(id(d), cut): (d, cut) for d, cut in zip(clients, cuts, strict=True)}.values():
        check_fits(device, needs_of[cut], "the client-side model and its training state")
    share = framework.participation.expected_share(setup.n_clients)
    n_at_once, slots = math.ceil(setup.n_clients * share - 1e-9), setup.server_optimizer.n_slots
    at_once = framework.at_once(setup.n_clients)
    server_need = server_memory_bytes(
        costs.server,
        slots,
        n_at_once,
        framework.keeps_client_gradients,
        n_copies=at_once.copies,
        n_joined=n_at_once if at_once.is_joined else 1,
        n_waiting=0 if tail is None else n_at_once - 1,
        arriving_bytes=None
        if last is None
        else sum(sorted((sides[cut].client.output_bytes for cut in cuts), reverse=True)[:n_at_once]),
    )
    kept = kept_bytes(setup, Holdings(setup, of_each)) if keeps(scenario) else 0
    server_need += kept + _of_alignment(scenario, setup, of_each)
    what = "the server-side model and its training state"
    check_fits(
        server, server_need, f"{what}, with what it keeps of all samples (upload: once)" if kept else what
    )
    sample_bytes = max(1, (costs.server.activation_bytes + costs.server.workspace_bytes) // largest)
    most_joined = largest + int(server.ram_bytes - server_need) // sample_bytes
    needs = {
        "client_bytes": need,
        "client_ram_bytes": min(device.ram_bytes for device in clients),
        "server_bytes": server_need,
        "server_ram_bytes": server.ram_bytes,
    }
    if kept:
        needs["server_kept_bytes"] = kept
    for name, (stretch, n_clients) in _between(segments).items():
        side = of_each.of(stretch, largest)
        n_served = max(1, math.ceil(n_clients * share - 1e-9))
        n_copies = 1 if at_once.copies == 1 else n_clients
        of_station = server_memory_bytes(
            side, slots, n_served, False, n_copies=n_copies, n_waiting=n_served - 1
        )
        check_fits(stations[name], of_station, f"the model of {name} and its training state")
        needs |= {f"{name}_bytes": of_station, f"{name}_ram_bytes": stations[name].ram_bytes}
    return needs, most_joined


def _of_client(scenario: Scenario, setup: LearningSetup, costs: SplitCost, tail: SideCost | None) -> int:
    """What a client needs for all of its blocks [B]."""
    framework = scenario.framework
    slots = max(setup.optimizer_of(client).n_slots for client in range(setup.n_clients))
    whole = framework.clients_hold_whole_model
    need = client_memory_bytes(costs.client, slots, framework.clients_train, gets_cut_gradient=not whole)
    more = costs.server if whole else tail
    if setup.auxiliary is not None:
        largest = max(setup.batches.size(client) for client in range(setup.n_clients))
        more = OperationCosts(setup).auxiliary(largest)
        slots = max(setup.auxiliary_optimizer(client).n_slots for client in range(setup.n_clients))
    return need if more is None else need + client_memory_bytes(more, slots, gets_cut_gradient=False)


def _of_alignment(scenario: Scenario, setup: LearningSetup, costs: OperationCosts) -> int:
    """What the server keeps to align auxiliary networks [B]: smashed data, the networks, their optimizers."""
    most = getattr(scenario.framework, "kept_samples", None)
    if setup.auxiliary is None or most is None:
        return 0
    sample_bytes, network = Holdings(setup, costs).sample_bytes, costs.auxiliary(setup.batch_size)
    return sum(
        min(most, len(shard)) * sample_bytes(client)
        + network.parameter_bytes
        + setup.auxiliary_optimizer(client).n_slots * network.trained_bytes
        for client, shard in enumerate(setup.shards)
    )


def _between(segments: Segments | None) -> dict[str, tuple[Stretch, int]]:
    """Stations with their blocks and the number of their clients."""
    found: dict[str, tuple[Stretch, int]] = {}
    for path in () if segments is None else segments.paths:
        for stretch in path:
            if stretch.owner not in (OF_CLIENT, OF_SERVER):
                found[stretch.owner] = (stretch, found.get(stretch.owner, (stretch, 0))[1] + 1)
    return found
