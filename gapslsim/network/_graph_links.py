"""Links of a graph, as a user writes them in the scenario or as a published file has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from gapslsim.documents import yaml_data
from gapslsim.errors import NetworkError
from gapslsim.network._graph_attributes import named, strangers
from gapslsim.network._graph_files import RawGraph, read_raw
from gapslsim.network._graph_lines import line_of
from gapslsim.network._propagation import FIBRE_M_PER_S, Coordinates
from gapslsim.network.channel import Channel, channels
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.network.netem import expanded
from gapslsim.registry import component
from gapslsim.regular_files import is_file
from gapslsim.units import STRICT_UNITS, parse_quantity

__all__ = ["FileLinks", "GraphLink", "Reading", "read_graph"]

_SHOWN = 6


@component
class GraphLink:
    """A link between two nodes."""

    between: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
    """The two nodes; the first is where `rate` starts and `rate_back` ends."""
    name: str = ""
    """Name of the link; by default `a-b`."""
    rate: Annotated[Channel, channels] | None = None
    """Rate from the first node to the second, and back; unlimited by default."""
    rate_back: Annotated[Channel, channels] | None = None
    """Rate from the second node to the first; by default the same as `rate`."""
    latency: Annotated[Latency, latencies] = NO_LATENCY
    """One way; `{up: ..., down: ...}` where it is another from the second node to the first."""
    loss: Annotated[LinkLoss, link_losses] | None = None
    """Loss of packets, for instance `1 %`."""
    netem: str | dict[str, str] | None = None
    """The same in netem's words: `delay 100ms 20ms loss 1% rate 10mbit`, or `{up: ..., down: ...}`; units are tc's."""

    @model_validator(mode="before")
    @classmethod
    def _in_other_words(cls, data: Any) -> Any:
        return expanded(data, "rate", "rate_back")

    duplex: Literal["full", "half", "one_way"] = "full"
    """`half`: both directions share the rate; `one_way`: from the first node to the second only."""
    shared: bool = True
    """False: each flow is capped at the rate, whatever the others do."""


@dataclass(frozen=True)
class Reading:
    """How a graph file is read."""

    attributes: Mapping[str, str]
    names: str
    coordinates: Coordinates | None


@dataclass(frozen=True)
class FileLinks:
    """What was read of a file."""

    links: tuple[GraphLink, ...]
    directed: bool
    hint: str = ""
    """That the nodes have names beside their ids, where these were not asked for."""


def read_graph(file: str, reading: Reading) -> FileLinks:
    """The links of a graph file.

    YAML and JSON: `links: [{between: [a, b], rate: 40 Mbit/s, latency: 4 ms, ...}]`, networkx's node-link and adjacency
    forms, MiniEdit's and netlab's links. GraphML, GML and SNDlib's XML: links with attributes. All take and refuse the
    same attributes; a directed link is one way. Files that links name are looked for beside the graph file.

    Raises:
        NetworkError: if the file is missing or malformed; names the links and attributes.
    """
    path = Path(file)
    if not is_file(path):
        raise NetworkError(f"Graph file {file!r} not found (looked from {Path.cwd()}); give its path.")
    raw = read_raw(path)
    if not raw.links:
        raise NetworkError(
            f"{file}: it has no links; write links: [{{between: [a, b], rate: 40 Mbit/s}}, ...]."
        )
    wrong = strangers(raw.links, reading.attributes)
    if wrong:
        raise NetworkError(f"{file}: {wrong}")
    names = _names(raw, reading.names, file)
    found = list(_links(raw, reading, names, path))
    faults = [(place, one) for place, one in enumerate(found) if isinstance(one, str)]
    if faults:
        told = []
        for place, fault in faults[:_SHOWN]:
            line = line_of(path, raw.links[place].ends, place)
            told.append(f"{file}: {fault}{f' (line {line})' if line else ''}")
        more = f" ... and {len(faults) - _SHOWN} more." if len(faults) > _SHOWN else ""
        raise NetworkError("\n".join(told) + more)
    links = tuple(link for link in found if isinstance(link, GraphLink))
    return FileLinks(links, raw.directed, "" if reading.names else _hint(raw))


def _hint(raw: RawGraph) -> str:
    """Which attribute may name the nodes."""
    for attribute in ("label", "name"):
        labels = {node: str(held[attribute]) for node, held in raw.nodes.items() if attribute in held}
        if any(node != label for node, label in labels.items()):
            ids, texts = (", ".join(list(part)[:3]) for part in (labels, labels.values()))
            said = f"`names: {attribute}` takes that."
            return f" Its nodes have ids ({ids}, ...) and a {attribute} ({texts}, ...): {said}"
    return ""


def _names(raw: RawGraph, attribute: str, file: str) -> dict[str, str]:
    """Name of each node by its id."""
    ids = dict.fromkeys([*raw.nodes, *(end for link in raw.links for end in link.ends)])
    if not attribute:
        return {node: node for node in ids}
    names: dict[str, str] = {}
    for node in ids:
        held = raw.nodes.get(node, {})
        if attribute not in held:
            has = ", ".join(held) or "no attributes"
            raise NetworkError(f"{file}: names: node {node!r} has no {attribute!r}; it has {has}.")
        name = str(held[attribute])
        if name in names.values():
            raise NetworkError(
                f"{file}: names: two nodes have the {attribute} {name!r}; take another attribute, or ids."
            )
        names[node] = name
    return names


def _links(
    raw: RawGraph, reading: Reading, names: Mapping[str, str], path: Path
) -> Iterator[GraphLink | str]:
    """Each link, or what is wrong with it."""
    adapter = TypeAdapter(GraphLink)
    context = {**STRICT_UNITS, "folder": str(path.parent)}
    for link in raw.links:
        ends = [names.get(end, end) for end in link.ends]
        origin: dict[str, str] = {}
        try:
            fields, origin = named(link, reading.attributes)
            if raw.directed and fields.setdefault("duplex", "one_way") != "one_way":
                raise ValueError(
                    f"duplex: is {fields['duplex']!r} in a directed graph, whose links are one way"
                )
            length = fields.pop("length", None)
            if "latency" not in fields and (length is not None or reading.coordinates):
                fields["latency"] = f"{_propagation_s(length, raw, link.ends, reading.coordinates)!r} s"
            fields = {field: _plain(field, value) for field, value in fields.items()}
            yield adapter.validate_python({"between": ends, **fields}, context=context)
        except ValidationError as error:
            yield f"link {ends}: " + "; ".join(_words(item, origin) for item in error.errors())
        except ValueError as error:
            yield f"link {ends}: {error}"


def _propagation_s(
    length: Any, raw: RawGraph, ends: tuple[str, ...], coordinates: Coordinates | None
) -> float:
    """Of light in the link's cable."""
    if coordinates is None or length is not None:
        return parse_quantity(length, "m") / FIBRE_M_PER_S
    try:
        return coordinates.distance_m(*(raw.nodes.get(end, {}) for end in ends)) / FIBRE_M_PER_S
    except ValueError as error:
        if coordinates.otherwise is not None:
            return coordinates.otherwise
        raise ValueError(
            f"coordinates: one of its nodes {error}; give it, the link a latency, or say coordinates.otherwise"
        ) from error


def _plain(field: str, value: Any) -> Any:
    """A value as YAML has it: formats without types write `true`, and settings of a channel, as text."""
    is_text = isinstance(value, str) and (value.startswith("{") or field == "shared")
    return yaml_data(value) if is_text else value


def _words(item: Any, origin: Mapping[str, str]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    attribute = origin.get(str(item["loc"][0]) if item["loc"] else "", "")
    via = f" (its attribute {attribute!r})" if attribute and attribute != item["loc"][0] else ""
    bare = "has no unit" in item["msg"] and len(item["loc"]) <= 3 and not isinstance(item["input"], str)
    fix = (
        f"; or, if all are bare numbers, attributes: {{{attribute}: {item['loc'][0]} in UNIT}}"
        if bare
        else ""
    )
    match item["type"]:
        case "too_short" | "too_long":
            return f"{where}: names {len(item['input'])} nodes; a link joins two"
        case "union_tag_not_found":
            return f"{where}{via}: found {item['input']!r}; write a quantity with its unit, or a mapping with 'kind'"
    return f"{where}{via}: {item['msg']}{fix}"
