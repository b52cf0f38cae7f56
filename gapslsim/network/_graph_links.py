"""Links of a graph, as a user writes them in the scenario or in a file: YAML, GraphML or node-link JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gapslsim.errors import NetworkError
from gapslsim.network.channel import Channel, channels
from gapslsim.network.latencies.constant import NO_LATENCY
from gapslsim.network.latency import Latency, latencies
from gapslsim.network.link_loss import LinkLoss, link_losses
from gapslsim.registry import component
from gapslsim.units import STRICT_UNITS

__all__ = ["GraphLink", "read_graph"]

_KEYS = ("name", "rate", "rate_back", "latency", "loss", "duplex", "shared")


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
    duplex: Literal["full", "half", "one_way"] = "full"
    """`half`: both directions share the rate; `one_way`: from the first node to the second only."""
    shared: bool = True
    """False: each flow is capped at the rate, whatever the others do."""


def read_graph(file: str) -> list[GraphLink]:
    """The links of a graph file; rates and latencies are text with units in all three formats.

    YAML: a mapping with `links: [{between: [a, b], rate: 40 Mbit/s, latency: 4 ms, ...}]`. GraphML and node-link
    JSON (networkx): edges with the same attributes; a directed edge is a link in one direction only.

    Raises:
        NetworkError: if the file is missing or malformed; names the link and the attribute.
    """
    path = Path(file)
    if not path.is_file():
        raise NetworkError(f"Graph file {file!r} not found (looked from {Path.cwd()}); give its path.")
    try:
        entries = list(_entries(path))
    except NetworkError:
        raise
    except Exception as error:
        raise NetworkError(f"{file} cannot be read as a graph: {error}") from error
    adapter = TypeAdapter(GraphLink)
    links = []
    for entry in entries:
        try:
            links.append(adapter.validate_python(entry, context=STRICT_UNITS))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise NetworkError(f"{file}: link {entry.get('between')}: {where}: {first['msg']}") from error
    return links


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix in (".yaml", ".yml"):
        import yaml

        document = yaml.safe_load(path.read_text())
        if not isinstance(document, Mapping) or not isinstance(document.get("links"), list):
            raise NetworkError(
                f"{path} has no list `links`; write links: [{{between: [a, b], rate: 40 Mbit/s}}, ...]"
            )
        yield from document["links"]
        return
    import networkx as nx

    if path.suffix == ".graphml":
        graph = nx.read_graphml(path, force_multigraph=True)
    elif path.suffix == ".json":
        document = json.loads(path.read_text())
        graph = nx.node_link_graph(document, edges="links" if "links" in document else "edges")
    else:
        raise NetworkError(f"{path} is no graph file; its name must end in .yaml, .yml, .graphml or .json.")
    for source, target, attributes in graph.edges(data=True):
        entry = {key: attributes[key] for key in _KEYS if key in attributes}
        entry["between"] = [str(source), str(target)]
        if graph.is_directed():
            entry["duplex"] = "one_way"
        if isinstance(entry.get("shared"), str):
            entry["shared"] = entry["shared"].lower() == "true"
        yield entry
