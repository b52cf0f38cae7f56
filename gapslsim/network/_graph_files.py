"""Graphs in files as they are published: nodes and links with whatever is written at them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from gapslsim.documents import json_data, yaml_data
from gapslsim.errors import NetworkError, did_you_mean
from gapslsim.regular_files import MOST_TEXT_BYTES, read_bytes, read_text

__all__ = ["RawGraph", "RawLink", "read_raw"]

_ENDS: Final = (("source", "target"), ("src", "dest"), ("src", "dst"), ("from", "to"))
"""Names of a link's ends: networkx, MiniEdit, and others."""
_READ_BY_NAME: Final = {"rate", "rate_back"}
"""Values that may be settings of a component, and so are left whole."""


@dataclass
class RawLink:
    """A link as it is written."""

    ends: tuple[str, ...]
    attributes: dict[str, Any]
    """What is nested has names such as `opts.bw` and `pos.0`."""


@dataclass
class RawGraph:
    """What a file holds."""

    links: list[RawLink]
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Attributes of the nodes that have any."""
    directed: bool = False
    """Each link is one way."""


def read_raw(path: Path) -> RawGraph:
    """Nodes and links of a graph file, whichever form it has.

    Raises:
        NetworkError: if it is none.
    """
    try:
        return _read(path)
    except NetworkError:
        raise
    except RecursionError:
        raise NetworkError(
            f"{path} cannot be read as a graph: it is nested too deep; write it flatter."
        ) from None
    except Exception as error:  # networkx, yaml and expat raise many kinds for a malformed file
        text = str(error) or type(error).__name__
        raise NetworkError(f"{path} cannot be read as a graph: {text}") from error


def _read(path: Path) -> RawGraph:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _document(yaml_data(read_text(path, encoding="utf-8-sig")), path)
    if suffix in (".json", ".mn"):
        return _document(json_data(read_text(path, encoding="utf-8-sig"), MOST_TEXT_BYTES), path)
    import networkx as nx

    if suffix == ".graphml":
        return _from_networkx(nx.read_graphml(BytesIO(_xml(path)), force_multigraph=True))
    if suffix == ".gml":
        try:
            found = nx.parse_gml(read_text(path, encoding="utf-8-sig"), label="id")
        except nx.NetworkXError as error:  # whose text tells what the file holds
            line = re.search(r"at \((\d+), \d+\)", str(error))
            raise NetworkError(f"{path}{f':{line[1]}' if line else ''} is no graph in GML") from None
        return _from_networkx(found)
    if suffix == ".xml":
        return _sndlib(ElementTree.fromstring(_xml(path)), path)
    known = (".yaml", ".yml", ".json", ".graphml", ".gml", ".xml", ".mn")
    raise NetworkError(
        f"{path} is no graph file; its name must end in {', '.join(known)}.{did_you_mean(suffix, known)}"
    )


def _xml(path: Path) -> bytes:
    """XML without entities, by which a few lines become gigabytes."""
    content = read_bytes(path)
    if b"<!entity" in content.lower():
        raise NetworkError(
            f"{path} declares entities (<!ENTITY ...>), which are not read; write their text out."
        )
    return content


def _document(document: Any, path: Path) -> RawGraph:
    """A graph in YAML or JSON: links with `between` or with two ends, or an adjacency list."""
    if isinstance(document, Mapping) and isinstance(document.get("adjacency"), list):
        import networkx as nx

        return _from_networkx(nx.adjacency_graph(dict(document)))
    links = document.get("links", document.get("edges")) if isinstance(document, Mapping) else None
    if not isinstance(links, list):
        raise NetworkError(
            f"{path} has no list `links`; write links: [{{between: [a, b], rate: 40 Mbit/s}}, ...]"
        )
    nodes = dict(_nodes(document))
    found = [_link(link, nodes, f"{path}: link {place}") for place, link in enumerate(links)]
    return RawGraph(found, nodes, document.get("directed") is True)


def _nodes(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Nodes of a list or mapping; MiniEdit has hosts and switches apart, with their names among their options."""
    for key in ("nodes", "hosts", "switches"):
        listed = document.get(key) or []
        if isinstance(listed, Mapping):
            listed = [{"id": name, **(node or {})} for name, node in listed.items()]
        for node in listed:
            held = flat(node) if isinstance(node, Mapping) else {"id": node}
            name = next((held[k] for k in ("id", "opts.hostname", "name") if k in held), None)
            if name is not None:
                yield str(name), held


def _link(link: Any, nodes: Mapping[str, Any], place: str) -> RawLink:
    if isinstance(link, str) and link.count("-") == 1:  # netlab
        return RawLink(tuple(link.split("-")), {})
    if isinstance(link, list):
        return RawLink(tuple(map(str, link)), {})
    if isinstance(link, Mapping):
        if "between" in link:
            ends = link["between"]
            ends = tuple(map(str, ends)) if isinstance(ends, list) else (str(ends),)
            return RawLink(ends, flat({k: v for k, v in link.items() if k != "between"}))
        for pair in _ENDS:
            if all(end in link for end in pair):
                rest = {k: v for k, v in link.items() if k not in pair}
                return RawLink(tuple(str(link[end]) for end in pair), flat(rest))
        ends = tuple(key for key in link if str(key) in nodes)  # netlab: the ends are keys
        if len(ends) == 2:
            rest = {k: v for k, v in link.items() if k not in ends or v}
            return RawLink(tuple(map(str, ends)), flat(rest))
    raise NetworkError(f"{place} is {str(link)[:80]!r}; write {{between: [a, b], rate: 40 Mbit/s}}.")


def flat(values: Mapping[Any, Any], before: str = "") -> dict[str, Any]:
    """Values by name; those of lists and mappings inside under names with dots. Empty ones are none."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, list) and name not in _READ_BY_NAME:
            value = dict(enumerate(value))
        if isinstance(value, Mapping) and name not in _READ_BY_NAME:
            made |= flat(value, f"{name}.")
        elif value is not None and value != "" and value == value:  # NaN is none
            made[name] = value
    return made


def _from_networkx(graph: Any) -> RawGraph:
    links = [RawLink((str(a), str(b)), flat(values)) for a, b, values in graph.edges(data=True)]
    nodes = {str(node): flat(values) for node, values in graph.nodes(data=True)}
    return RawGraph(links, nodes, graph.is_directed())


def _sndlib(root: ElementTree.Element, path: Path) -> RawGraph:
    """SNDlib's XML [orlowski2010]: coordinates as `x` and `y`, the capacity that is installed, and costs."""
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    nodes: dict[str, dict[str, Any]] = {}
    for node in root.iter(f"{space}node"):
        places = {part: node.findtext(f"{space}coordinates/{space}{part}") for part in ("x", "y")}
        nodes[str(node.get("id"))] = flat(places)
    links = []
    for link in root.iter(f"{space}link"):
        ends = tuple(link.findtext(space + end, "").strip() for end in ("source", "target"))
        values: dict[str, Any] = {"name": link.get("id")}
        for part in link:
            tag = part.tag.removeprefix(space)
            if tag not in ("source", "target"):
                leaves = [leaf for leaf in part.iter() if not len(leaf) and (leaf.text or "").strip()]
                for leaf in leaves:
                    name = leaf.tag.removeprefix(space)
                    values[name if name == tag else f"{tag}.{name}"] = (leaf.text or "").strip()
        links.append(RawLink(ends, flat(values)))
    if not links:
        raise NetworkError(f"{path} has no element `link`; of XML files those of SNDlib are read.")
    return RawGraph(links, nodes)
