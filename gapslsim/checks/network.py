"""Invariants of topologies: everybody reaches everybody, and no byte is lost or made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import simpy

from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.network import Transfer
from gapslsim.network.topology import Topology

_SIZE = 12_500  # 100 kbit
_RATE = 1e6
_FLEETS = (3, 1, 7)
_ENOUGH_S = 1e6


def _built(topology: Topology) -> Iterator[tuple[simpy.Environment, Any, Fleet]]:
    """The network of every fleet that it takes.

    Raises:
        InvariantError: if it takes none.
    """
    problems = {n: topology.problems(n) for n in _FLEETS}
    if all(problems.values()):
        said = f"it refuses every fleet that was tried, 3 clients: {problems[3][0]}"
        raise InvariantError(said, "give settings that fit with --set.")
    for n in (n for n in _FLEETS if not problems[n]):
        links = [[Constant(rate=k * _RATE / (1 + i)) for k in (1, 2)] for i in range(n)]
        fleet = Fleet(tuple(AccessLink(f"client-{i}", up, down, 2e-3) for i, (up, down) in enumerate(links)))
        env = simpy.Environment()
        yield env, replace(topology, record_links=True).build(env, fleet, 1), fleet


def _pairs(fleet: Fleet) -> Iterator[tuple[str, str, float]]:
    """Source, target, and the rate of the client's own link [bit/s]."""
    for client in fleet.clients:
        for server in (fleet.server, fleet.parameter_server):
            yield client.node, server, float(client.uplink.constant_bit_per_s or 0.0)
            yield server, client.node, float(client.downlink.constant_bit_per_s or 0.0)


def _arrive(env: simpy.Environment, transfers: Sequence[Transfer]) -> None:
    """Waits until all have arrived.

    Raises:
        InvariantError: if one does not.
    """
    env.run(until=env.now + _ENOUGH_S)
    for transfer in transfers:
        way = f"from {transfer.source} to {', '.join(transfer.targets)}"
        said = f"{_SIZE} bytes {way} have not arrived after {_ENOUGH_S:g} s"
        require(transfer.finished_s is not None, said, "look for a link whose rate is 0 on this way.")


def everybody_reaches_the_servers(topology: Topology) -> None:
    """Every client reaches the server and the parameter server, and they reach it."""
    for env, network, fleet in _built(topology):
        _arrive(env, [network.send(source, target, _SIZE) for source, target, _ in _pairs(fleet)])


def clients_reach_each_other(topology: Topology) -> None:
    """Clients reach each other, as vanilla split learning needs."""
    for env, network, fleet in _built(topology):
        nodes = [client.node for client in fleet.clients]
        _arrive(env, [network.send(a, b, _SIZE) for a in nodes for b in nodes if a != b])


def nobody_is_faster_than_the_own_link(topology: Topology) -> None:
    """A message takes a client's own link: it is never faster than that.

    Let the route begin or end with the link of `fleet.clients`.
    """
    for env, network, fleet in _built(topology):
        for source, target, rate in _pairs(fleet):
            begun_s, least_s, transfer = float(env.now), 8 * _SIZE / rate, network.send(source, target, _SIZE)
            _arrive(env, [transfer])
            took_s = transfer.finished_s - begun_s
            said = f"{_SIZE} bytes from {source} to {target} took {took_s:g} s"
            own = f"the client's own link of {rate:g} bit/s needs {least_s:g} s"
            require(took_s >= least_s * (1 - 1e-9), f"{said}, and {own}")


def bytes_are_conserved(topology: Topology) -> None:
    """What the links carried is what was sent, on every link of the way once.

    Give each link of the network one `LinkSpec`, the same object on every route over it.
    """
    share = 1.0 if topology.protocol is None else topology.protocol.wire_share
    for env, network, fleet in _built(topology):
        if not hasattr(network, "router"):
            raise InapplicableError("its network has no router")
        n_over, carried = Counter[str](), Counter[str]()
        for source, target, _ in _pairs(fleet):
            network.send(source, target, _SIZE)
            n_over.update(link.name for link in network.router.route(source, target).links)
        _arrive(env, [])
        for link, start_s, end_s, rate, *_ in network.link_use:
            carried[link] += rate * (end_s - start_s) / 8
        for link, moved in carried.items():
            sent = n_over[link] * _SIZE * share
            said = f"link {link!r} carried {moved:.6g} bytes, and {sent:.6g} were sent over it"
            require(abs(moved - sent) <= 1e-6 * max(moved, 1.0), said)


def broadcasts_arrive(topology: Topology) -> None:
    """A broadcast of the server arrives at every client."""
    for env, network, fleet in _built(topology):
        _arrive(env, network.broadcast(fleet.server, [client.node for client in fleet.clients], _SIZE))


def cancelled_transfers_stop(topology: Topology) -> None:
    """A transfer that is broken off has moved something between nothing and all, and never arrives."""
    for env, network, fleet in _built(topology):
        transfer = network.send(fleet.clients[0].node, fleet.server, _SIZE)
        env.run(until=env.now + 0.05)  # of 0.1 s or more
        network.cancel(transfer)
        _arrive(env, [])
        moved, said = transfer.moved_bytes, f"a transfer of {_SIZE} bytes that was broken off"
        holds = 0 <= moved <= _SIZE and transfer.finished_s is None
        require(holds, f"{said} moved {moved:g}, or arrived all the same")
