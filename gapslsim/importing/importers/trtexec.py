"""trtexec's exports (TensorRT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gapslsim.importing.importer import Imported, Importer, Source, importers, measurements
from gapslsim.measuring.table import COLUMNS, Machine, compute_row
from gapslsim.network.file_name import FileName
from gapslsim.registry import component
from gapslsim.work import LayerCost

__all__ = ["Trtexec"]

_KINDS = {
    "convolution": "conv2d", "caskconvolution": "conv2d", "caskdeconvolutionv2": "conv2d", "deconvolution": "conv2d",
    "fullyconnected": "linear", "matrixmultiply": "linear", "caskgemm": "linear", "gemm": "linear",
    "pooling": "pool", "caskpooling": "pool", "tiledpooling": "pool", "activation": "activation",
    "softmax": "activation", "elementwise": "activation", "pointwise": "activation", "pointwisev2": "activation",
    "normalization": "norm",
}  # fmt: skip
"""Layer types of `--exportLayerInfo`, in lower case, that have a kind here."""


@importers.register
@component
class Trtexec(Importer):
    """Forward times from `trtexec --exportTimes=FILE` (whole network) or `--exportProfile=FILE` (layer by layer).

    Neither holds what was computed. Give `layers`, the file of `--exportLayerInfo` with
    `--profilingVerbosity=detailed`; or `work_flop` of one inference, which then is one computation of kind `network`.
    """

    kind: Literal["trtexec"] = "trtexec"
    device: str = "tensorrt"
    """Name of the device in the table."""
    power_mode: str = ""
    """Power mode that was set, for instance 15w."""
    batch_size: Annotated[int, Field(ge=1)] = 1
    """Of the engine."""
    layers: FileName | None = None
    """JSON of `--exportLayerInfo`: shapes and weights of the layers."""
    work_flop: Annotated[float, Field(gt=0)] | None = None
    """FLOP of one inference of the batch, a multiply-accumulate being two."""
    moved_bytes: Annotated[float, Field(ge=0)] = 0.0
    """Bytes that one inference reads and writes."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """A list of inferences with `computeMs`, or a count and layers with `averageMs`."""
        return _is_times(source.json) or _is_profile(source.json)

    def read(self, source: Source) -> Imported:
        """A row per layer, of a profile or of inferences that were timed as one; without layers one per inference."""
        machine = Machine(self.device, "tensorrt", 1, self.power_mode)
        is_profile = _is_profile(source.json)
        if self.layers is None and self.work_flop is None:
            fix = "give --set layers=FILE, the JSON of --exportLayerInfo, or --set work_flop=... of one inference"
            raise source.fault(f"it does not hold what was computed; {fix}")
        key = "averageMs" if is_profile else "computeMs"
        times_s = [_ms(one, key, source) / 1e3 for one in source.json[is_profile:]]
        if self.layers is None:
            network = LayerCost(
                "inference",
                "network",
                "forward",
                self.work_flop or 0.0,
                self.moved_bytes,
                batch_size=self.batch_size,
            )
            each = [sum(times_s)] if is_profile else times_s
            note = "a network is one computation of kind network; with layers its parts are told apart"
            return measurements(
                [compute_row(machine, network, time_s) for time_s in each if time_s > 0], [note]
            )
        info = _layer_info(Path(self.layers))
        costs = {
            name: cost for name, one in info.items() if (cost := _cost(one, self.batch_size)) is not None
        }
        if not is_profile:
            return _together(machine, list(costs.values()), times_s)
        names = [str(one.get("name")) for one in source.json[1:]]
        timed = [
            (name, time_s)
            for name, time_s in zip(names, times_s, strict=True)
            if name in costs and time_s > 0
        ]
        lost = sorted({*names} - {name for name, _ in timed})
        notes = (
            [f"{len(lost)} layers left out (reformats, or without shapes): {', '.join(lost[:5])}"]
            if lost
            else []
        )
        return measurements([compute_row(machine, costs[name], time_s) for name, time_s in timed], notes)


def _together(machine: Machine, costs: Sequence[LayerCost], times_s: Sequence[float]) -> Imported:
    """Layers of each inference as a sample, whose first row has the time of all."""
    rows = [
        (
            *compute_row(machine, cost, time_s)._replace(threads=None, time_s=None if place else time_s),
            f"inference-{run}",
        )
        for run, time_s in enumerate(times_s)
        for place, cost in enumerate(costs)
    ]
    return replace(measurements([]), columns=(*COLUMNS, "sample"), rows=rows)


def _is_times(document: Any) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and isinstance(document[0], dict)
        and "computeMs" in document[0]
    )


def _is_profile(document: Any) -> bool:
    return (
        isinstance(document, list) and len(document) > 1 and all(isinstance(one, dict) for one in document)
        and "count" in document[0] and "averageMs" in document[1]
    )  # fmt: skip


def _ms(one: Mapping[str, Any], key: str, source: Source) -> float:
    value = one.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise source.fault(f"an entry has the {key} {value!r}: {str(one)[:80]}")
    return float(value)


def _layer_info(path: Path) -> dict[str, Mapping[str, Any]]:
    source = Source.of(path)
    found = source.json.get("Layers") if isinstance(source.json, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise source.fault(
            "it has no layers with shapes; export it with --exportLayerInfo=FILE --profilingVerbosity=detailed"
        )
    return {str(one.get("Name")): one for one in found}


def _cost(info: Mapping[str, Any], batch_size: int) -> LayerCost | None:
    """From shapes and weights; None for what computes nothing."""
    kind = _KINDS.get(str(info.get("ParameterType") or info.get("LayerType")).lower())
    kind = kind or _KINDS.get(str(info.get("LayerType")).lower())
    try:
        x, y = (prod(info[side][0]["Dimensions"]) for side in ("Inputs", "Outputs"))
    except (KeyError, IndexError, TypeError):
        return None
    if kind is None:
        return None
    weights, bias = (int((info.get(part) or {}).get("Count", 0)) for part in ("Weights", "Bias"))
    if kind in ("conv2d", "linear"):
        outputs = int(info.get("OutMaps") or info["Outputs"][0]["Dimensions"][-1])
        flop = 2.0 * y * weights / outputs
    else:
        window = prod(info.get("WindowSize") or [1]) if kind == "pool" else 8 if kind == "norm" else 1
        flop = float(y * window)
    n_parameters = weights + bias
    moved = 4.0 * (x + y + n_parameters)
    return LayerCost(str(info.get("Name")), kind, "forward", flop, moved, n_parameters, y, batch_size)
