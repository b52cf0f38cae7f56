"""Reads every graph file of a folder as `network: {kind: graph}` does, and counts what is read and what is refused.

    python analysis/published_graphs.py FOLDER

Graphs are public and not shipped: the Topology Zoo (GraphML, GML), topohub (JSON, GML), SNDlib (XML).
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from gapslsim.errors import NetworkError
from gapslsim.network._graph_files import read_raw
from gapslsim.network._propagation import Coordinates
from gapslsim.network.channels.constant import Constant
from gapslsim.network.fleet import AccessLink, Fleet
from gapslsim.network.topologies.graph import Graph

SUFFIXES = (".graphml", ".gml", ".json", ".xml")
MEANINGS = {
    "LinkSpeedRaw": "rate in bit/s",
    "dist": "length in km",
    "preInstalledModule.capacity": "rate in Mbit/s",
}


def graph(file: Path) -> Graph:
    """The settings that the how-to gives for such a file; ends of the first link are the server and the clients."""
    raw = read_raw(file)
    held = {name for link in raw.links for name in link.attributes}
    placed = any("Longitude" in node for node in raw.nodes.values())
    server, client = raw.links[0].ends
    return Graph(
        file=str(file),
        attributes={name: said for name, said in MEANINGS.items() if name in held} | {"*": "ignore"},
        coordinates=Coordinates(otherwise=2e-3) if placed else None,
        default_rate=Constant(rate=1e9),
        parallel="sum",
        server=server,
        gateways=(client,),
    )


def main(folder: Path) -> None:
    """Prints how many files of each form are read, and why others are not."""
    link = Constant(rate=1e7)
    fleet = Fleet((AccessLink("client-0", link, link),))
    read: Counter[str] = Counter()
    begun_s = time.perf_counter()
    for file in sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES):
        try:
            graph(file).router(fleet)
            read[file.suffix] += 1
        except (NetworkError, IndexError) as error:
            print(f"{file.name}: {error}")
            read["refused"] += 1
    print(f"{dict(read)} in {time.perf_counter() - begun_s:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
