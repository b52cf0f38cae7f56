"""Topologies: who shares what, where the servers are, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import simpy
from pydantic import TypeAdapter

from gapslsim.errors import NetworkError
from gapslsim.network._graph_links import GraphLink
from gapslsim.network.channels.constant import Constant
from gapslsim.network.channels.markov import Markov
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.graph import Graph
from gapslsim.network.topologies.relay import Relay
from gapslsim.network.topologies.shared_ap import SharedAp
from gapslsim.network.topologies.star import Star
from gapslsim.network.topologies.two_tier import TwoTier
from gapslsim.network.topology import Topology, topologies
from gapslsim.units import STRICT_UNITS

MB = 1e6
ANY: TypeAdapter[Topology] = TypeAdapter(Annotated[Topology, topologies])


def fleet(
    n: int, rate: float = 8e7, latency_s: float = 0.0, places: tuple[str | None, ...] = (None,)
) -> Fleet:
    return Fleet(
        tuple(
            AccessLink(
                f"client-{i}", Constant(rate=rate), Constant(rate=rate), latency_s, places[i % len(places)]
            )
            for i in range(n)
        )
    )


def ends(topology: Topology, members: Fleet, *messages: tuple[str, str, float]) -> list[float | None]:
    env = simpy.Environment()
    network = replace(topology, protocol=None).build(env, members, seed=0)  # ends are computed by hand
    transfers = [network.send(*message) for message in messages]
    env.run()
    return [transfer.finished_s for transfer in transfers]


def test_clients_of_one_access_point_share_its_medium_in_both_directions() -> None:
    topology = SharedAp(access_points=2, medium=8e6)
    # Clients 0 and 2 are on ap-0, client 1 on ap-1. 1 MB is 8 Mbit.
    up_down = ends(
        topology, fleet(3), ("client-0", "server", MB), ("server", "client-2", MB), ("client-1", "server", MB)
    )
    assert up_down == [pytest.approx(2.0), pytest.approx(2.0), pytest.approx(1.0)]
    full = SharedAp(access_points=2, medium=8e6, duplex="full")
    assert (
        ends(full, fleet(3), ("client-0", "server", MB), ("server", "client-2", MB))
        == [pytest.approx(1.0)] * 2
    )


def test_access_points_share_the_backhaul_and_a_group_may_choose_its_point() -> None:
    topology = SharedAp(access_points=2, medium=8e6, backhaul=6e6)
    spread = ends(topology, fleet(2), ("client-0", "server", MB), ("client-1", "server", MB))
    assert spread == [pytest.approx(8 / 3)] * 2
    crowded = ends(SharedAp(access_points=2, medium=8e6), fleet(2, places=("ap-1",)), *[
        (f"client-{i}", "server", MB) for i in range(2)
    ])  # fmt: skip
    assert crowded == [pytest.approx(2.0)] * 2


def test_edge_sites_share_the_core_and_a_server_at_the_edge_is_near() -> None:
    members = fleet(2, latency_s=0.01)
    cloud = TwoTier(edges=2, edge_latency=0.1, cloud_link=8e6, cloud_latency=0.5)
    both = [(f"client-{i}", "server", MB) for i in range(2)]
    assert ends(cloud, members, *both) == [pytest.approx(0.61 + 2.0)] * 2
    edge = TwoTier(edges=2, edge_latency=0.1, edge_link=8e6, server="edge-0")
    # client-0 is at the server's site: access link only. client-1 goes over both sites' links.
    assert ends(edge, members, *both) == [pytest.approx(0.01 + 0.1), pytest.approx(0.21 + 1.0)]


def test_the_hops_of_a_relay_are_shared_by_everything_beyond_them() -> None:
    topology = Relay(hops=2, hop=8e6, hop_latency=0.05, clients="spread")
    # client-0 on relay-0, client-1 on relay-1: the hop at the server carries both.
    found = ends(topology, fleet(2), ("client-0", "server", MB), ("client-1", "server", 0.5 * MB))
    # client-1 joins at 0.1 and shares 4 Mbit/s for 1 s; client-0 joins at 0.05: 0.4 + 4 Mbit done at 1.1 s.
    assert found == [pytest.approx(1.1 + 3.6 / 8), pytest.approx(1.1)]
    assert ends(Relay(hops=2, hop=8e6, hop_latency=0.05), fleet(1), ("client-0", "server", 0)) == [
        pytest.approx(0.1)
    ]


def test_handing_over_from_client_to_client_takes_both_access_links() -> None:
    slow = Fleet(
        (
            AccessLink("client-0", Constant(rate=8e6), Constant(rate=8e6), 0.1),
            AccessLink("client-1", Constant(rate=8e7), Constant(rate=4e6), 0.2),
        )
    )
    assert ends(Star(backhaul=1e3), slow, ("client-0", "client-1", MB)) == [pytest.approx(0.3 + 2.0)]


SQUARE = [
    {"between": ["server", "a"], "rate": "8 Mbit/s", "latency": "10 ms"},
    {"between": ["a", "b"], "rate": "8 Mbit/s", "latency": "10 ms"},
    {"between": ["server", "b"], "rate": "4 Mbit/s", "latency": "50 ms"},
]


def graph(links: list[dict[str, Any]], **settings: Any) -> Topology:
    return ANY.validate_python({"kind": "graph", "links": links} | settings, context=STRICT_UNITS)


def test_routes_of_a_graph_are_shortest_by_latency_or_by_hops() -> None:
    message = ("client-0", "server", MB)
    members = fleet(1, places=("b",))
    assert ends(graph(SQUARE), members, message) == [pytest.approx(0.02 + 1.0)]
    assert ends(graph(SQUARE, routing="hops"), members, message) == [pytest.approx(0.05 + 2.0)]


def test_a_graph_places_servers_and_gateways_where_it_is_told() -> None:
    topology = graph(SQUARE[:2], gateways=["a", "b"], parameter_server="b")
    found = ends(
        topology, fleet(2), ("client-0", "parameter-server", MB), ("client-1", "parameter-server", MB)
    )
    assert found == [pytest.approx(0.01 + 1.0), pytest.approx(0.1)]


@pytest.mark.parametrize("form", ["yaml", "json", "graphml"])
def test_a_graph_is_the_same_from_yaml_node_link_json_and_graphml(tmp_path: Path, form: str) -> None:
    import networkx as nx

    file = tmp_path / f"net.{form}"
    if form == "yaml":
        file.write_text(json.dumps({"links": SQUARE}))  # JSON is YAML
    else:
        drawn = nx.Graph()
        for link in SQUARE:
            drawn.add_edge(*link["between"], rate=link["rate"], latency=link["latency"])
        if form == "json":
            file.write_text(json.dumps(nx.node_link_data(drawn, edges="links")))
        else:
            nx.write_graphml(drawn, file)
    topology = Graph(file=str(file), gateways=["b"])
    assert ends(topology, fleet(1), ("client-0", "server", MB)) == [pytest.approx(0.02 + 1.0)]


@pytest.mark.parametrize(
    ("links", "settings", "words"),
    [
        ([{"between": ["a", "b"], "rate": "1 Mbit/s"}], {}, "no node 'server'; name the node that it is at"),
        (SQUARE[1:2], {"server": "a", "gateways": ["c"]}, "client-0 is at 'c', which is no node"),
        (SQUARE[:1], {}, "client-0 is no node of the graph; name its `access_point`"),
        ([*SQUARE, SQUARE[0]], {"gateways": ["b"]}, "Link server -> a is given twice"),
        (
            [SQUARE[0], {"between": ["c", "d"], "name": "server-a"}],
            {"gateways": ["a"]},
            "'server-a/up' is given twice",
        ),
        (
            [SQUARE[0], {"between": ["c", "d"]}],
            {"gateways": ["c"]},
            "No route client-0 -> server; add a link",
        ),
        ([{**SQUARE[0], "duplex": "one_way"}], {"gateways": ["a"]}, "No route client-0 -> server"),
        ([{"between": ["server", "server"]}], {"gateways": ["server"]}, "joins node 'server' with itself"),
        (
            [{**SQUARE[0], "duplex": "half", "rate_back": "1 Mbit/s"}],
            {"gateways": ["a"]},
            "`rate_back` has no meaning",
        ),
    ],
)
def test_a_graph_that_cannot_carry_the_traffic_is_refused(
    links: list[dict[str, Any]], settings: dict[str, Any], words: str
) -> None:
    topology = graph(links, **settings)
    with pytest.raises(NetworkError) as error:
        topology.build(simpy.Environment(), fleet(1), seed=0)
    assert words in str(error.value)
    assert words in topology.problems(1)[0]


def test_a_rate_without_unit_in_a_graph_file_is_refused_with_the_link_named(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("links: [{between: [a, server], rate: 40}]")
    with pytest.raises(NetworkError, match=r"net.yaml: link \['a', 'server'\]: rate.*has no unit"):
        Graph(file=str(file), gateways=["a"]).router(fleet(1))


@pytest.mark.parametrize("name", ["none.yaml", "bad.json", "net.txt", "list.yaml"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if not name.startswith("none"):
        file.write_text("[1, 2]")
    with pytest.raises(NetworkError, match=name):
        Graph(file=str(file), gateways=["a"]).router(fleet(1))


def test_a_path_that_can_never_carry_anything_is_refused() -> None:
    dead = Markov(rates=[0.0], transitions=[[1.0]], step=1)
    with pytest.raises(NetworkError, match=r"'backhaul/up' .* rate of zero for ever"):
        Star(backhaul=dead).router(fleet(1))


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (Star(duplex="half", backhaul=1e6, backhaul_down=1e6), "half duplex"),
        (TwoTier(server="edge-7"), "Did you mean 'edge-1'"),
        (Relay(hop=1e6, parameter_server="relay-9"), "Did you mean 'relay-"),
    ],
)
def test_settings_that_contradict_each_other_are_problems(topology: Topology, words: str) -> None:
    (problem,) = topology.problems(2)
    assert words in problem


def test_a_client_on_an_unknown_access_point_or_given_twice_is_refused() -> None:
    with pytest.raises(NetworkError, match="client-0 is on access point 'ap-9'"):
        SharedAp(medium=1e6).router(fleet(1, places=("ap-9",)))
    twice = Fleet(fleet(1).clients * 2)
    with pytest.raises(NetworkError, match="'client-0' is given twice"):
        Star().router(twice)


@pytest.mark.parametrize(
    "topology",
    [
        Star(),
        SharedAp(medium=1e6),
        TwoTier(),
        Relay(hop=1e6),
        Graph(links=[GraphLink(between=["server", "g"])], gateways=["g"]),
    ],
    ids=lambda topology: topology.kind,
)
def test_every_topology_joins_every_node_with_every_other(topology: Topology) -> None:
    router = topology.router(fleet(3))
    nodes = ["client-0", "client-1", "client-2", "server", "parameter-server"]
    for source in nodes:
        for target in nodes:
            assert bool(router.route(source, target).links) == (source != target)
    written = ANY.dump_python(topology, mode="json")
    assert ANY.validate_python(written, context=STRICT_UNITS) == topology
