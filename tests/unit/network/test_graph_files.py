"""Graph files as they are published: what each form holds, what attributes mean, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import pytest
from pydantic import TypeAdapter, ValidationError

from gapslsim.errors import NetworkError
from gapslsim.network._propagation import FIBRE_M_PER_S, Coordinates
from gapslsim.network._routes import LinkSpec
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.graph import Graph
from gapslsim.network.topology import Topology, topologies
from gapslsim.units import STRICT_UNITS

ANY: TypeAdapter[Topology] = TypeAdapter(Annotated[Topology, topologies])
FLEET = Fleet((AccessLink("client-0", Constant(rate=1e7), Constant(rate=1e7)),))


def graph(file: Path, **settings: Any) -> Graph:
    made = ANY.validate_python({"kind": "graph", "file": str(file), **settings}, context=STRICT_UNITS)
    assert isinstance(made, Graph)
    return made


def links(topology: Graph, fleet: Fleet = FLEET) -> dict[tuple[str, str], LinkSpec]:
    """Those of the graph itself."""
    own = (edge for edge in topology.router(fleet).edges() if not edge.source.startswith("client-"))
    return {(e.source, e.target): e.link for e in own if not e.target.startswith("client-")}


def rate(link: LinkSpec) -> float | None:
    return link.channel.constant_bit_per_s if link.channel else None


ZOO = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="LinkSpeed" attr.type="string" for="edge" id="e0"/>
<key attr.name="LinkSpeedUnits" attr.type="string" for="edge" id="e1"/>
<key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="e2"/>
<key attr.name="LinkLabel" attr.type="string" for="edge" id="e3"/>
<key attr.name="key" attr.type="int" for="edge" id="e4"/>
<key attr.name="Longitude" attr.type="double" for="node" id="n0"/>
<key attr.name="Latitude" attr.type="double" for="node" id="n1"/>
<key attr.name="label" attr.type="string" for="node" id="n2"/>
<graph edgedefault="undirected">
<node id="0"><data key="n0">0.0</data><data key="n1">0.0</data><data key="n2">Null Island</data></node>
<node id="1"><data key="n0">90.0</data><data key="n1">0.0</data><data key="n2">East</data></node>
<node id="2"><data key="n0">0.0</data><data key="n1">90.0</data><data key="n2">North</data></node>
<edge source="0" target="1"><data key="e0">2.5</data><data key="e1">G</data><data key="e2">2500000000.0</data>
<data key="e3">2.5 Gbps</data><data key="e4">0</data></edge>
<edge source="1" target="2"><data key="e3">unknown</data><data key="e4">0</data></edge>
</graph></graphml>
"""
"""The layout of the Internet Topology Zoo."""
QUARTER_S = 6_371_008.8 * 3.141592653589793 / 2 / FIBRE_M_PER_S
"""A quarter of the way around the Earth at the speed of light in fibre: 49 ms."""


def test_a_file_of_the_topology_zoo_has_its_speeds_names_and_the_latency_of_its_ways(tmp_path: Path) -> None:
    file = tmp_path / "Zoo.graphml"
    file.write_text(ZOO)
    told = graph(
        file, attributes={"LinkSpeedRaw": "rate in bit/s", "Link*": "ignore"}, names="label",
        coordinates={}, default_rate="10 Mbit/s", server="Null Island", gateways=["North"],
    )  # fmt: skip
    found = links(told)
    assert pytest.approx(0.04901, abs=1e-5) == QUARTER_S
    assert rate(found["Null Island", "East"]) == 2.5e9
    assert rate(found["East", "North"]) == 1e7
    assert found["East", "North"].latency_s == pytest.approx(QUARTER_S)
    assert told.router(FLEET).route("client-0", "server").latency_s == pytest.approx(2 * QUARTER_S)


def test_sndlib_as_node_link_json_of_topohub_has_lengths_and_names(tmp_path: Path) -> None:
    file = tmp_path / "abc.json"
    nodes = [{"pos": [k, 45.0], "name": name, "id": k} for k, name in enumerate(("AAA", "BBB"))]
    link = {"dist": 204.19, "ecmp_fwd": {"org": 2.2, "uni": 5.0}, "source": 0, "target": 1}
    file.write_text(
        json.dumps({"directed": False, "multigraph": False, "graph": {}, "nodes": nodes, "links": [link]})
    )
    told = {"names": "name", "server": "AAA", "gateways": ["BBB"]}
    read = links(graph(file, attributes={"dist": "length in km", "ecmp_*": "ignore"}, **told))
    # 204.19 km at 204,190 km/s.
    assert read["AAA", "BBB"].latency_s == pytest.approx(1e-3, rel=1e-4)
    placed = {"x": "pos.0", "y": "pos.1", "detour": 1.5}
    far = links(graph(file, attributes={"*": "ignore"}, coordinates=placed, **told))["AAA", "BBB"].latency_s
    # One degree at 45 north: 111.19 km times cos 45.
    assert far == pytest.approx(1.5 * 111_195 * 0.70711 / FIBRE_M_PER_S, rel=1e-3)


SNDLIB = """<?xml version="1.0" encoding="ISO-8859-1"?>
<network xmlns="http://sndlib.zib.de/network" version="1.0"><networkStructure>
<nodes coordinatesType="geographical">
<node id="A"><coordinates><x>-84.0</x><y>33.0</y></coordinates></node>
<node id="B"><coordinates><x>-84.0</x><y>34.0</y></coordinates></node></nodes>
<links><link id="A_B"><source> A </source><target>B</target>
<preInstalledModule><capacity>9920.0</capacity><cost>0.0</cost></preInstalledModule>
<additionalModules><addModule><capacity>1.0</capacity><cost>5.0</cost></addModule></additionalModules>
</link></links></networkStructure></network>
"""


def test_sndlibs_own_xml_is_read(tmp_path: Path) -> None:
    file = tmp_path / "net.xml"
    file.write_text(SNDLIB, encoding="iso-8859-1")
    meaning = {"preInstalledModule.capacity": "rate in Mbit/s", "*": "ignore"}
    placed = {"x": "x", "y": "y"}
    read = links(graph(file, attributes=meaning, coordinates=placed, server="A", gateways=["B"]))["A", "B"]
    assert (rate(read), read.name) == (9.92e9, "A_B/up")
    assert read.latency_s == pytest.approx(111_195 / FIBRE_M_PER_S, rel=1e-4)


GML = """graph [
  Creator "Topology Zoo Toolset"
  node [ id 0 label "Osaka" Longitude 135.5 Latitude 34.7 ]
  node [ id 1 label "Nagoya" Longitude 136.9 Latitude 35.2 ]
  edge [ source 0 target 1 LinkLabel "40Gbps" LinkSpeedRaw 40000000000.0 ]
]
"""


def test_gml_is_read_with_labels_as_names(tmp_path: Path) -> None:
    file = tmp_path / "Sinet.gml"
    file.write_text(GML)
    meaning = {"LinkLabel": "rate", "LinkSpeedRaw": "ignore"}
    read = links(graph(file, attributes=meaning, names="label", server="Osaka", gateways=["Nagoya"]))
    assert rate(read["Osaka", "Nagoya"]) == 4e10


def test_miniedit_and_netlab_links_are_read(tmp_path: Path) -> None:
    mn = tmp_path / "mine.mn"
    host = {"number": "1", "opts": {"hostname": "h1", "nodeNum": 1}, "x": "1", "y": "2"}
    link = {"src": "h1", "dest": "s1", "opts": {"bw": 10, "delay": "5ms"}}
    mn.write_text(json.dumps({"hosts": [host], "switches": [], "links": [link], "version": "2"}))
    meaning = {"opts.bw": "rate in Mbit/s", "opts.delay": "latency"}
    read = links(graph(mn, attributes=meaning, server="h1", gateways=["s1"]))["h1", "s1"]
    assert (rate(read), read.latency_s) == (1e7, 0.005)
    lab = tmp_path / "topology.yml"
    lab.write_text("nodes: [r1, r2, r3]\nlinks:\n- r1-r2\n- {r2: {}, r3: , bandwidth: 1000}\n")
    met = links(graph(lab, attributes={"bandwidth": "rate in kbps"}, server="r1", gateways=["r3"]))
    assert (rate(met["r1", "r2"]), rate(met["r2", "r3"])) == (None, 1e6)


def written(folder: Path, form: str, attributes: dict[str, Any], directed: bool = False) -> Path:
    """One link of server and a with these attributes, in a form."""
    drawn = (nx.DiGraph if directed else nx.Graph)()
    drawn.add_edge("server", "a", **attributes)
    if directed:
        drawn.add_edge("a", "server", **attributes)
    file = folder / f"net.{form.rpartition('-')[2]}"
    if form == "graphml":
        nx.write_graphml(drawn, file)
    elif form == "gml":
        nx.write_gml(drawn, file)
    elif form == "node-link-json":
        file.write_text(json.dumps(nx.node_link_data(drawn, edges="edges")))
    elif form == "adjacency-json":
        file.write_text(json.dumps(nx.adjacency_data(drawn)))
    else:  # JSON is YAML
        own = [{"between": list(ends), **attributes} for ends in drawn.edges]
        file.write_text(json.dumps({"links": own, "directed": directed}))
    return file


FORMS = ["yaml", "json", "node-link-json", "adjacency-json", "graphml", "gml"]


def placed(file: Path, **settings: Any) -> Graph:
    # GML has numbers as ids; networkx writes the names as labels.
    return graph(file, gateways=["a"], names="label" if file.suffix == ".gml" else "", **settings)


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_take_the_same(form: str, tmp_path: Path) -> None:
    file = written(tmp_path, form, {"rate": "5 Mbit/s", "latency": "7 ms", "name": "cable", "duplex": "half"})
    read = links(placed(file))
    assert read["server", "a"] is read["a", "server"]
    assert (read["server", "a"].name, rate(read["server", "a"])) == ("cable", 5e6)
    assert read["server", "a"].latency_s == 0.007


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Rate": "40 Mbit/s"}, "nothing reads: 'Rate' ('40 Mbit/s'). Did you mean 'rate'? .* {Rate: rate}"),
        ({"bandwidth": 40}, "{bandwidth: rate in Mbit/s}"),
        ({"latency_ms": 3.5}, "Did you mean 'latency'? .*{latency_ms: latency in ms}"),
        ({"LinkDelay": 3}, "Did you mean 'latency'? .*{LinkDelay: latency in ms}"),
        ({"LinkSpeedRaw": 1e9}, "{LinkSpeedRaw: rate in bit/s}"),
        ({"rate": 40}, "rate.* has no unit.*attributes: {rate: rate in UNIT}"),
        ({"rate": "40 parsec"}, "'parsec' is not a unit of bit/s"),
        ({"duplex": "both"}, "duplex: Input should be 'full', 'half' or 'one_way'"),
        ({"colour": "red"}, "{colour: ignore}"),
    ],
)
def test_all_forms_refuse_the_same_with_the_near_miss(
    attributes: dict[str, Any], words: str, form: str, tmp_path: Path
) -> None:
    import re

    file = written(tmp_path, form, attributes)
    pattern = ".*".join(re.escape(part) for part in words.split(".*"))
    with pytest.raises(NetworkError, match=pattern):
        placed(file).router(FLEET)


@pytest.mark.parametrize("form", FORMS)
def test_bare_numbers_take_the_unit_that_the_scenario_gives_them(form: str, tmp_path: Path) -> None:
    file = written(tmp_path, form, {"rate": 40, "latency": 3.5})
    read = links(placed(file, attributes={"rate": "rate in Mbit/s", "latency": "latency in ms"}))
    assert (rate(read["server", "a"]), read["server", "a"].latency_s) == (4e7, 0.0035)


BROKEN = {
    "a.yaml": "links:\n- {between: [server, a], rate: 1 Mbit/s}\n- between: [a, b]\n  rate: 40\n",
    "a.json": '{"nodes": [],\n\t"links": [\n\t{"src": "x", "dst": "a"},\n\t{"src": "a", "dst": "b", "rate": 4}]}',
    "a.gml": 'graph [\nnode [ id 0 ]\nnode [ id 1 ]\nedge [ source 0\ntarget 1\nrate "40" ]\n]\n',
    "a.xml": SNDLIB.replace("</source><target>", "</source>\n<target>"),
    "a.graphml": ZOO.replace("LinkSpeedRaw", "rate"),
}
LINES = {"a.yaml": 3, "a.json": 4, "a.gml": 4, "a.xml": 6, "a.graphml": 14}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_in_a_link_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(BROKEN[name])
    meaning = {} if name in ("a.yaml", "a.json", "a.gml") else {"*": "ignore"}
    if name == "a.xml":
        meaning["preInstalledModule.capacity"] = "rate"
    with pytest.raises(NetworkError, match=rf"has no unit.* \(line {LINES[name]}\)"):
        graph(file, attributes=meaning, server="0", gateways=["1"]).router(FLEET)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("links: [{between: [server]}]", "between: names 1 nodes; a link joins two"),
        (
            "links: [{between: [server, a], rate: [40]}]",
            r"rate: found \[40\]; write a quantity with its unit",
        ),
        ("links: []", "it has no links"),
        ("links: [3]", r"link 0 is '3'; write {between"),
        ("links: [{between: [server, a], shared: maybe}]", "shared: Input should be a valid boolean"),
    ],
)
def test_a_link_that_is_none_is_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(text)
    with pytest.raises(NetworkError, match=words):
        graph(tmp_path / "net.yaml", gateways=["a"]).router(FLEET)


@pytest.mark.parametrize("form", FORMS)
def test_a_directed_graph_has_links_one_way_and_says_so(form: str, tmp_path: Path) -> None:
    told = placed(written(tmp_path, form, {"rate": "5 Mbit/s"}, directed=True))
    read = links(told)
    assert read["server", "a"] is not read["a", "server"]
    assert "2 nodes, 2 links, directed: each link is one way" in told.notes(FLEET)[0]
    with pytest.raises(NetworkError, match="duplex: is 'half' in a directed graph"):
        placed(written(tmp_path, form, {"duplex": "half"}, directed=True)).router(FLEET)


def test_unlimited_links_are_counted_unless_there_is_a_default(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("links: [{between: [server, a]}, {between: [a, b], rate: 1 Mbit/s}, {between: [a, c]}]")
    _, note = graph(file, gateways=["b"]).notes(FLEET)
    assert note == "2 of 3 links have no rate and are unlimited: server-a, a-c; see default_rate"
    limited = graph(file, gateways=["b"], default_rate="7 Mbit/s")
    assert len(limited.notes(FLEET)) == 1
    assert rate(links(limited)["server", "a"]) == 7e6
    assert rate(links(limited)["a", "b"]) == 1e6


TWICE = """links:
- {between: [server, a], rate: 3 Mbit/s, latency: 4 ms}
- {between: [a, server], rate: 5 Mbit/s, rate_back: 2 Mbit/s, latency: 9 ms}
"""


def test_parallel_links_are_refused_taken_once_or_summed(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(TWICE)
    with pytest.raises(NetworkError, match=r"given twice .* say parallel: first or sum"):
        links(graph(file, gateways=["a"]))
    first = links(graph(file, gateways=["a"], parallel="first"))
    assert (rate(first["server", "a"]), first["server", "a"].latency_s) == (3e6, 0.004)
    both = links(graph(file, gateways=["a"], parallel="sum"))
    assert (rate(both["server", "a"]), rate(both["a", "server"])) == (3e6 + 2e6, 3e6 + 5e6)
    assert both["a", "server"].latency_s == 0.009
    file.write_text(
        TWICE.replace("3 Mbit/s", "{kind: lognormal, mean: 3 Mbit/s, sigma: 1, correlation_time: 1 s}")
    )
    with pytest.raises(NetworkError, match="vary over time and have no sum"):
        links(graph(file, gateways=["a"], parallel="sum"))


def test_a_trace_that_a_graph_file_names_is_looked_for_beside_it(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "slow.txt").write_text("0 1\n1 3\n")
    file = tmp_path / "nets" / "net.yaml"
    file.write_text("links: [{between: [server, a], rate: {kind: trace, format: cooked, file: slow.txt}}]")
    channel = links(graph(file, gateways=["a"]))["server", "a"].channel
    assert channel is not None
    assert channel.mean_bit_per_s == 2e6
    drawn = nx.Graph()
    drawn.add_edge("server", "a", rate="{kind: trace, format: cooked, file: slow.txt}")
    nx.write_graphml(drawn, tmp_path / "nets" / "net.graphml")
    assert links(graph(tmp_path / "nets" / "net.graphml", gateways=["a"]))["server", "a"].channel == channel


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"names": "label", "server": "Rome"}, "server is at 'Rome', which is no node"),
        ({"server": "Nord"}, "ids \\(0, 1, ...\\) and a label \\(Osaka, Nagoya, ...\\): `names: label` takes that"),
        ({"names": "Name", "server": "0"}, "node '0' has no 'Name'; it has label, Longitude, Latitude"),
        ({"names": "Twin", "server": "x"}, "two nodes have the Twin 'x'"),
        ({"server": "0", "coordinates": {"x": "lon"}}, "one of its nodes has no 'lon'; it has .*otherwise"),
        ({"server": "0", "coordinates": {"y": "Longitude"}}, "is no place in degrees"),
        ({"server": "0", "attributes": {"Speed": "rate", "*": "ignore"}}, "no link has 'Speed'; they have LinkLabel"),
        ({"server": "0", "attributes": {"LinkLabel": "rate", "LinkSpeedRaw": "rate in bit/s"}}, "are both its rate"),
    ],
)  # fmt: skip
def test_settings_that_a_file_does_not_bear_are_refused(
    settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.gml"
    text = GML.replace("label", 'Twin "x" label') if settings.get("names") == "Twin" else GML
    file.write_text(text)
    told = {"attributes": {"*": "ignore"}, "gateways": ["1"], **settings}
    with pytest.raises(NetworkError, match=words):
        graph(file, **told).router(FLEET)


def test_a_meaning_that_is_none_is_refused_when_the_scenario_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"'rat' is nothing of a link; .* Did you mean 'rate'"):
        graph(tmp_path / "x.gml", attributes={"a": "rat in Mbit/s"})
    with pytest.raises(ValidationError, match="'ms' is not a unit of bit/s"):
        graph(tmp_path / "x.gml", attributes={"a": "rate in ms"})


def test_links_of_nodes_without_a_place_take_the_latency_that_is_given_for_them(tmp_path: Path) -> None:
    file = tmp_path / "net.gml"
    file.write_text(GML.replace("Longitude 136.9", ""))
    told = graph(
        file, attributes={"*": "ignore"}, coordinates={"otherwise": "3 ms"}, server="0", gateways=["1"]
    )
    assert links(told)["0", "1"].latency_s == 0.003


def test_places_in_a_plane_have_straight_ways() -> None:
    assert Coordinates(x="a", y="b", unit="km").distance_m({"a": 0, "b": 3}, {"a": "4", "b": 0}) == 5000
