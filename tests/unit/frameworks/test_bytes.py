"""What is recorded is what is sent, and what is sent is the size of the tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from torch import Tensor

from gapslsim.frameworks.framework import frameworks
from gapslsim.network.messages import FluidNetwork
from gapslsim.work import Keyed
from tests.support import setup_for, stage

FREE = ("async_gapsl", "async_sfl", "async_sl", "buffered_sl", "gas", "pipelined_psl")


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors of a message."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif hasattr(value, "__dataclass_fields__"):
        yield from tensors_in([getattr(value, name) for name in value.__dataclass_fields__])


@pytest.mark.parametrize("kind", sorted(frameworks))
def test_bytes_recorded_are_bytes_sent_are_the_bytes_of_the_tensors(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gapslsim.sim.node import Node

    messages: list[tuple[str, int, int]] = []
    on_the_wire: list[float] = []
    send, broadcast = Node.send, Node.broadcast
    network_send, network_broadcast = FluidNetwork.send, FluidNetwork.broadcast

    def note(payload: Keyed[Any], n: int) -> None:
        size = sum(t.numel() * t.element_size() for t in tensors_in(payload.value))
        messages.extend([(payload.key, payload.size_bytes, size)] * n)

    def spy_send(self: Node, payload: Keyed[Any], to: Node, phase: str) -> Any:
        note(payload, 1)
        return send(self, payload, to, phase)

    def spy_broadcast(self: Node, payload: Keyed[Any], to: Any, phase: str) -> Any:
        note(payload, len(to))
        return broadcast(self, payload, to, phase)

    def spy_network(self: FluidNetwork, source: str, target: str, size: float) -> Any:
        on_the_wire.append(size)
        return network_send(self, source, target, size)

    def spy_network_broadcast(self: FluidNetwork, source: str, targets: Any, size: float) -> Any:
        on_the_wire.extend([size] * len(targets))
        return network_broadcast(self, source, targets, size)

    monkeypatch.setattr(Node, "send", spy_send)
    monkeypatch.setattr(Node, "broadcast", spy_broadcast)
    monkeypatch.setattr(FluidNetwork, "send", spy_network)
    monkeypatch.setattr(FluidNetwork, "broadcast", spy_network_broadcast)
    world = stage(setup_for(kind, 3)).run(frameworks[kind](), 2)

    assert messages
    for _, claimed, actual in messages:
        assert claimed == actual
    assert sorted(on_the_wire) == sorted(float(claimed) for _, claimed, _ in messages)
    spans = world.recorder.spans
    done = [s for s in spans if s.size_bytes and not s.phase.endswith("_in")]  # a handover is in two spans
    # A protocol without a barrier is ended while messages are under way.
    broken_off = [s for s in done if s.phase.startswith("cancelled_")]
    whole = Counter(s.size_bytes for s in done if s not in broken_off)
    under_way = Counter(claimed for _, claimed, _ in messages) - whole
    assert whole <= Counter(claimed for _, claimed, _ in messages)
    assert sum(s.size_bytes for s in broken_off) <= sum(size * n for size, n in under_way.items())
    if kind not in FREE:
        assert not under_way
