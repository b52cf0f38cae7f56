"""Traces of torch.profiler (Kineto)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gapslsim.importing._ops import OPS, OpCost
from gapslsim.importing.importer import Imported, Importer, Source, importers, measurements
from gapslsim.measuring.table import Machine, Measurement, compute_row
from gapslsim.registry import component
from gapslsim.work import LayerCost

__all__ = ["Kineto"]

_BACKWARD = "autograd::engine::evaluate_function: "


@importers.register
@component
class Kineto(Importer):
    """Times of layers from `profile(record_shapes=True)` and `export_chrome_trace`, forward and backward.

    Costs come from the recorded shapes; what is no layer (views, additions, losses, optimizers) is left out and named.
    With kernels of a GPU in the trace, a layer takes the time of its kernels, else that of the call.
    """

    kind: Literal["kineto"] = "kineto"
    device: str = ""
    """Name of the device in the table; by default that of the GPU, else `cpu`."""
    power_mode: str = ""
    """Power mode that was set, for instance 15w."""
    skip: int = 0
    """Calls of each layer to leave out, from the first one on: the first ones warm up."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """Has events of operations."""
        document = source.json
        events = document.get("traceEvents") if isinstance(document, dict) else None
        return isinstance(events, list) and any(
            isinstance(event, dict) and event.get("cat") in ("cpu_op", "Operator") for event in events
        )

    def read(self, source: Source) -> Imported:
        """A row for each call of a layer, and one for its backward pass."""
        document = source.json
        events = [
            e for e in document["traceEvents"] if isinstance(e, dict) and e.get("ph") == "X" and "dur" in e
        ]
        ops = sorted(
            (e for e in events if e.get("cat") in ("cpu_op", "Operator")), key=lambda e: (e["ts"], -e["dur"])
        )
        layers = [op for op in ops if op["name"] in OPS]
        if not layers:
            raise source.fault("it has no layers (aten::conv2d, aten::linear, ...)")
        if not any(_args(op).get("Input Dims") for op in layers):
            raise source.fault("it has no shapes; record with profile(record_shapes=True)")
        spans = _Spans(ops, [e for e in events if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")])
        machine = Machine(self.device or _device(document), "pytorch", 1, self.power_mode)
        rows: list[Measurement] = []
        seen: dict[tuple[Any, ...], int] = defaultdict(int)
        outer = [op for op in layers if not spans.is_inside_layer(op)]
        # The last one first: a call that makes no node has the number of the next one that does.
        nodes = [spans.backward_of(op) for op in reversed(outer)][::-1]
        for op, back in zip(outer, nodes, strict=True):
            cost = _cost(op, source)
            same = (op["name"], cost)
            seen[same] += 1
            if seen[same] > self.skip:
                rows += _rows(machine, op, cost, spans, back)
        other = sorted({op["name"] for op in ops if spans.is_outermost(op)} - set(OPS))
        notes = [
            f"{sum(row.phase == phase for row in rows)} {phase} rows" for phase in ("forward", "backward")
        ]
        if other:
            notes.append(
                f"left out, being no layers: {', '.join(other[:8])}{', ...' if len(other) > 8 else ''}"
            )
        if max(seen.values()) - self.skip < 2:
            notes.append(
                "each layer was called once, which is the first and slowest time: profile several steps"
            )
        return measurements(rows, notes)


def _rows(
    machine: Machine, op: Mapping[str, Any], cost: OpCost, spans: _Spans, nodes: list[dict[str, Any]]
) -> Iterator[Measurement]:
    shared = {
        "n_parameters": cost.n_parameters,
        "n_activations": cost.n_output,
        "batch_size": cost.batch_size,
    }
    name = op["name"].removeprefix("aten::")
    forward = LayerCost(name, cost.kind, "forward", cost.forward_flop, cost.forward_bytes, **shared)
    yield compute_row(machine, forward, spans.seconds(op))
    if nodes:
        flop, moved = cost.backward(spans.needs_input(nodes))
        backward = LayerCost(name, cost.kind, "backward", flop, moved, **shared)
        yield compute_row(machine, backward, sum(map(spans.seconds, nodes)))


def _cost(op: Mapping[str, Any], source: Source) -> OpCost:
    args = _args(op)
    shapes, settings = args.get("Input Dims") or [], args.get("Concrete Inputs") or []
    try:
        return OPS[op["name"]](shapes, [str(text) for text in settings])
    except (IndexError, TypeError, ValueError, SyntaxError, ZeroDivisionError) as error:
        fix = "export the trace with PyTorch 2.1 or later, which records strides and kernels"
        raise source.fault(
            f"{op['name']} with shapes {shapes} and arguments {settings} has no cost; {fix}"
        ) from error


def _args(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return event.get("args") or {}


def _device(document: Mapping[str, Any]) -> str:
    cards = document.get("deviceProperties") or [{}]
    return "-".join(str(cards[0].get("name", "cpu")).lower().split()) or "cpu"


class _Spans:
    """Which operations and kernels belong to which."""

    def __init__(self, ops: list[dict[str, Any]], kernels: list[dict[str, Any]]) -> None:
        self._starts: dict[object, list[float]] = defaultdict(list)
        self._by_thread: dict[object, list[dict[str, Any]]] = defaultdict(list)
        self._inside: set[int] = set()
        """Operations within a layer's."""
        self._outermost: set[int] = set()
        self._by_sequence: dict[object, list[dict[str, Any]]] = defaultdict(list)
        self._kernels: dict[object, list[dict[str, Any]]] = defaultdict(list)
        ends: dict[object, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for op in ops:
            thread = op.get("tid")
            self._starts[thread].append(op["ts"])
            self._by_thread[thread].append(op)
            any_end, layer_end = ends[thread]
            if op["ts"] >= any_end:
                self._outermost.add(id(op))
                any_end = op["ts"] + op["dur"]
            if op["ts"] < layer_end:
                self._inside.add(id(op))
            elif op["name"] in OPS:
                layer_end = op["ts"] + op["dur"]
            ends[thread] = any_end, layer_end
            if op["name"].startswith(_BACKWARD) and "Sequence number" in _args(op):
                self._by_sequence[_args(op)["Sequence number"]].append(op)
        for kernel in kernels:
            self._kernels[_args(kernel).get("External id")].append(kernel)

    def is_inside_layer(self, op: Mapping[str, Any]) -> bool:
        return id(op) in self._inside

    def is_outermost(self, op: Mapping[str, Any]) -> bool:
        return id(op) in self._outermost and not op["name"].startswith(_BACKWARD)

    def _within(self, op: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The operation and those that it calls."""
        thread = op.get("tid")
        starts = self._starts[thread]
        first, last = bisect_left(starts, op["ts"]), bisect_left(starts, op["ts"] + op["dur"])
        end = op["ts"] + op["dur"] + 1e-3
        return [one for one in self._by_thread[thread][first:last] if one["ts"] + one["dur"] <= end]

    def seconds(self, op: Mapping[str, Any]) -> float:
        """Of its kernels, where there are any in the trace; else of the call."""
        if not self._kernels:
            return float(op["dur"]) / 1e6
        ids = {_args(one).get("External id") for one in self._within(op)}
        return float(sum(kernel["dur"] for one in ids for kernel in self._kernels.get(one, ()))) / 1e6

    def backward_of(self, op: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Nodes of the backward pass that belong to it: they carry the sequence numbers of its calls, and come later.

        Each node is given once.
        """
        numbers = {
            _args(one)["Sequence number"] for one in self._within(op) if "Sequence number" in _args(one)
        }
        found = []
        for number in sorted(numbers):
            later = [node for node in self._by_sequence.get(number, ()) if node["ts"] > op["ts"]]
            if later:
                found.append(min(later, key=lambda node: float(node["ts"])))
                self._by_sequence[number].remove(found[-1])
        return found

    def needs_input(self, nodes: list[dict[str, Any]]) -> bool:
        """Whether the gradient of the input is computed: always, unless a mask or a single product says no."""
        calls = [call for node in nodes for call in self._within(node)]
        for call in calls:
            if call["name"] == "aten::convolution_backward":
                mask = (_args(call).get("Concrete Inputs") or [""])[-1]
                return not str(mask).startswith("[False")
        return [call["name"] for call in calls].count("aten::mm") != 1
