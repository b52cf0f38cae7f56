"""Pictures of channels and topologies: text for a terminal, matplotlib figures for files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gapslsim.network._routes import Edge, LinkSpec, Router
from gapslsim.network.channel import Channel
from gapslsim.rng import stream
from gapslsim.units import format_quantity, whole_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "channel_figure", "channel_text", "sample_channel", "topology_figure", "topology_lines",
]  # fmt: skip

_BARS = " ▁▂▃▄▅▆▇█"


def sample_channel(
    channel: Channel, duration_s: float, seed: int = 0, name: str = "shown"
) -> list[tuple[float, float]]:
    """Steps of a channel as (time [s], rate [bit/s]) from 0 up to a time, as a link of this name would see it."""
    points: list[tuple[float, float]] = []
    for time_s, rate in channel.steps(stream(seed, "channel", name)):
        if time_s >= duration_s:
            break
        points.append((time_s, rate))
    return points


def mean_rate(points: Sequence[tuple[float, float]], start_s: float, end_s: float) -> float:
    """Time-weighted mean of steps over an interval [bit/s]."""
    times, rates = zip(*points, strict=True)
    durations = np.diff(np.clip([*times, math.inf], start_s, end_s))
    return float(durations @ rates) / (end_s - start_s)


def channel_text(points: Sequence[tuple[float, float]], duration_s: float, width: int = 72) -> str:
    """A bar per column of a terminal, each the mean over its time, and three figures below."""
    edges = np.linspace(0.0, duration_s, width + 1)
    means = [mean_rate(points, a, b) for a, b in pairwise(edges.tolist())]
    top = max(means) or 1.0
    bars = "".join(_BARS[round(mean / top * (len(_BARS) - 1))] for mean in means)
    overall = mean_rate(points, 0.0, duration_s)
    rates = [rate for _, rate in points]
    return (
        f"{bars}\n0 s {'.' * (width - 8 - len(f'{duration_s:g}'))} {duration_s:g} s\n"
        f"mean {_short(overall)}, least {_short(min(rates))}, most {_short(max(rates))}, {len(points)} steps"
    )


def channel_figure(points: Sequence[tuple[float, float]], duration_s: float, title: str) -> Figure:
    """Rate over time as a step line."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    times = [time_s for time_s, _ in points] + [duration_s]
    rates = [rate / 1e6 for _, rate in points]
    axes.step(times, [*rates, rates[-1]], where="post", linewidth=1)
    axes.set(xlabel="time [s]", ylabel="rate [Mbit/s]", title=title, xlim=(0, duration_s))
    axes.set_ylim(bottom=0)
    return figure


def topology_lines(router: Router, most: int = 60) -> list[str]:
    """One line per pair of joined nodes with rate and latency; clients beyond `most` lines are counted only."""
    lines: list[str] = []
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in router.edges():
        a, b = sorted((edge.source, edge.target))
        pairs.setdefault((a, b), []).append(edge)
    for edges in pairs.values():
        first = edges[0]
        arrow = "-->" if len(edges) == 1 else "<->"
        labels = dict.fromkeys(_label(edge) for edge in edges)
        one_medium = (
            len(edges) == 2 and _medium(edges[0]) is _medium(edges[1]) and first.link.channel is not None
        )
        lines.append(
            f"{first.source} {arrow} {first.target}: {' / '.join(labels)}{' half duplex' if one_medium else ''}"
        )
    if len(lines) > most:
        return [*lines[:most], f"... and {len(lines) - most} more"]
    return lines


def topology_figure(router: Router, title: str, most: int = 150) -> Figure:
    """Nodes in layers by hops from the server, with capacities on the links.

    Args:
        router: of the network.
        title: of the figure.
        most: edges drawn at most, in order.
    """
    import networkx as nx
    from matplotlib.figure import Figure as Canvas

    graph = nx.Graph()
    labels: dict[tuple[str, str], str] = {}
    edges = list(router.edges())[: 2 * most]
    graph.add_nodes_from(
        sorted({node for edge in edges for node in (edge.source, edge.target)}, key=_by_number)
    )
    for edge in edges:
        graph.add_edge(edge.source, edge.target)
        key = (min(edge.source, edge.target), max(edge.source, edge.target))
        labels[key] = "\n".join(dict.fromkeys(filter(None, [labels.get(key, ""), _label(edge)])))
    root = "server" if "server" in graph else next(iter(graph))
    hops = nx.single_source_shortest_path_length(graph, root)
    nx.set_node_attributes(graph, {node: hops.get(node, 0) for node in graph}, "layer")
    figure = Canvas(figsize=(10, max(3.0, 0.45 * graph.number_of_nodes() ** 0.9)), layout="constrained")
    axes = figure.subplots()
    places = nx.multipartite_layout(graph, subset_key="layer")
    colors = ["#c6dbef" if node.startswith("client-") else "#fdd0a2" for node in graph]
    nx.draw_networkx(
        graph, places, ax=axes, node_color=colors, font_size=7, node_size=500, edge_color="#888888"
    )
    nx.draw_networkx_edge_labels(graph, places, labels, ax=axes, font_size=5)
    axes.set_title(title)
    axes.axis("off")
    return figure


def _by_number(node: str) -> tuple[str, int]:
    """Sorts `client-2` before `client-10`, and the first of a layer to its top."""
    name, _, text = node.rpartition("-")
    number = whole_number(text)
    return (node, 0) if number is None else (name, -number)


def _label(edge: Edge) -> str:
    channel = edge.link.channel
    if channel is None:
        rate = "unlimited"
    elif channel.constant_bit_per_s is not None:
        rate = _short(channel.constant_bit_per_s)
    else:
        mean = channel.mean_bit_per_s
        kind = getattr(channel, "kind", "varying")
        rate = kind if mean is None else f"{kind}, mean {_short(mean)}"
    link = edge.link
    latency = f", {link.latency_s * 1e3:g} ms" if link.latency_s else ""
    if link.varying is not None:
        latency = f", mean {link.latency_s * 1e3:g} ms ({getattr(link.varying, 'kind', 'varying')})"
    return (
        rate + latency + (f", loses {link.loss.probability:.3g} of packets" if link.loss is not None else "")
    )


def _medium(edge: Edge) -> LinkSpec:
    return edge.link.medium or edge.link


def _short(rate: float) -> str:
    return format_quantity(float(f"{rate:.3g}"), "bit/s")
