"""trtexec's exports (TensorRT)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gapslsim.importing.importer import Imported, Importer, Source, importers, measurements
from gapslsim.measuring.table import Machine, Measurement, compute_row
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

    Neither holds what was computed. For a profile give `layers`, the file of `--exportLayerInfo` with
    `--profilingVerbosity=detailed`; for times, or instead, `work_flop` of one inference (see `gapslsim show model`).
    """

    kind: Literal["trtexec"] = "trtexec"
    device: str = "tensorrt"
    """Name of the device in the table."""
    power_mode: str = ""
    """Power mode that was set, for instance 15w."""
    batch_size: Annotated[int, Field(ge=1)] = 1
    """Of the engine."""
    layers: FileName | None = None
    """JSON of `--exportLayerInfo`: shapes and weights of the layers of a profile."""
    work_flop: Annotated[float, Field(gt=0)] | None = None
    """FLOP of one inference of the batch, a multiply-accumulate being two."""
    moved_bytes: Annotated[float, Field(ge=0)] = 0.0
    """Bytes that one inference reads and writes."""

    @classmethod
    def knows(cls, source: Source) -> bool:
        """A list of inferences with `computeMs`, or a count and layers with `averageMs`."""
        return _is_times(source.json) or _is_profile(source.json)

    def read(self, source: Source) -> Imported:
        """A row per inference, or per layer."""
        machine = Machine(self.device, "tensorrt", 1, self.power_mode)
        if _is_profile(source.json) and self.layers is not None:
            notes: list[str] = []
            rows = list(self._of_layers(machine, source, notes))
            return measurements(rows, notes)
        if self.work_flop is None:
            fix = "give --set work_flop=..., the FLOP of one inference"
            if _is_profile(source.json):
                fix = f"give --set layers=FILE, the JSON of --exportLayerInfo, or {fix[5:]}"
            raise source.fault(f"it does not hold what was computed; {fix}")
        whole = LayerCost(
            "inference", "whole", "forward", self.work_flop, self.moved_bytes, batch_size=self.batch_size
        )
        times = [_ms(one, "computeMs", source) for one in source.json] if _is_times(source.json) else [
            sum(_ms(one, "averageMs", source) for one in source.json[1:])
        ]  # fmt: skip
        note = "whole networks check a profile (gapslsim calibrate TABLE --profile ...) and are no layers to fit it to"
        return measurements([compute_row(machine, whole, ms / 1e3) for ms in times if ms > 0], [note])

    def _of_layers(self, machine: Machine, source: Source, notes: list[str]) -> Iterator[Measurement]:
        known = _layer_info(Path(str(self.layers)))
        unknown: list[str] = []
        for one in source.json[1:]:
            name, ms = str(one.get("name")), _ms(one, "averageMs", source)
            cost = _cost(known[name], self.batch_size) if name in known else None
            if cost is None or ms <= 0:
                unknown.append(name)
                continue
            yield compute_row(machine, cost, ms / 1e3, note="fused" if " + " in name else "")
        if unknown:
            notes.append(
                f"{len(unknown)} layers left out (reformats, or without shapes): {', '.join(unknown[:5])}"
            )


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
