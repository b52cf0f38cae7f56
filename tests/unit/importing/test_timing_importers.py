"""Times of layers from TensorRT and PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gapslsim.importing.importer import ForeignError, importers, read_with
from tests.unit.importing.published import FILES
from tests.unit.importing.reading import column, imported


def test_trtexec_needs_to_know_what_was_computed(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="does not hold what was computed; give --set layers=FILE"):
        imported(tmp_path, "trtexec")
    made = imported(tmp_path, "trtexec", work_flop=3.6e9, device="nano")
    assert column(made, "time_s") == pytest.approx([2.0e-3, 2.2e-3])
    assert set(column(made, "kind")) == {"network"}
    assert set(column(made, "device")) == {"nano"}


PROFILE = """[
  { "count" : 100 }
, { "name" : "Reformatting 0", "timeMs" : 1.0, "averageMs" : 0.01, "medianMs" : 0.01, "percentage" : 1.0 }
, { "name" : "conv1 + relu1", "timeMs" : 50.0, "averageMs" : 0.5, "medianMs" : 0.49, "percentage" : 90.0 }
, { "name" : "pool1", "timeMs" : 5.0, "averageMs" : 0.05, "medianMs" : 0.05, "percentage" : 9.0 }
]
"""
LAYERS = {
    "Layers": [
        {"Name": "Reformatting 0", "LayerType": "Reformat", "Inputs": [], "Outputs": []},
        {
            "Name": "conv1 + relu1", "LayerType": "CaskConvolution", "ParameterType": "Convolution",
            "Inputs": [{"Dimensions": [2, 3, 8, 8]}], "Outputs": [{"Dimensions": [2, 16, 8, 8]}], "Kernel": [3, 3],
            "OutMaps": 16, "Weights": {"Type": "Half", "Count": 432}, "Bias": {"Type": "Half", "Count": 16},
        },
        {
            "Name": "pool1", "LayerType": "CaskPooling", "ParameterType": "Pooling", "WindowSize": [2, 2],
            "Inputs": [{"Dimensions": [2, 16, 8, 8]}], "Outputs": [{"Dimensions": [2, 16, 4, 4]}],
        },
    ]
}  # fmt: skip


def test_a_profile_of_trtexec_takes_its_shapes_from_the_layer_information(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(json.dumps(LAYERS))
    made = imported(tmp_path, "trtexec", PROFILE, layers=str(tmp_path / "layers.json"), batch_size=2)
    # 2 FLOP for each of 27 products per output, 2048 outputs; a window of 4 for 512 outputs.
    assert column(made, "kind") == ["conv2d", "pool"]
    assert column(made, "work_flop") == [2 * 27 * 2048, 4 * 512]
    assert column(made, "moved_bytes") == [4 * (384 + 2048 + 448), 4 * (2048 + 512)]
    assert column(made, "time_s") == pytest.approx([5e-4, 5e-5])
    assert made.notes == ("1 layers left out (reformats, or without shapes): Reformatting 0",)
    whole = imported(tmp_path, "trtexec", PROFILE, work_flop=1e6)
    assert column(whole, "time_s") == pytest.approx([5.6e-4])
    (tmp_path / "names.json").write_text('{"Layers": ["conv1 + relu1", "pool1"]}')
    with pytest.raises(
        ForeignError, match=r"no layers with shapes; export it with .*profilingVerbosity=detailed"
    ):
        imported(tmp_path, "trtexec", PROFILE, layers=str(tmp_path / "names.json"))


def test_layers_of_an_inference_are_a_sample_that_calibration_takes(tmp_path: Path) -> None:
    from gapslsim.calibration.samples import samples_of
    from gapslsim.calibration.table import read_table
    from gapslsim.cli.import_log import _written

    (tmp_path / "layers.json").write_text(json.dumps(LAYERS))
    made = imported(tmp_path, "trtexec", layers=str(tmp_path / "layers.json"), batch_size=2)
    _written(made, tmp_path / "table.csv")
    samples = samples_of(read_table(tmp_path / "table.csv").compute)
    assert samples.seconds.tolist() == pytest.approx([2.0e-3, 2.2e-3])
    assert samples.layers.kind.tolist() == ["conv2d", "pool"] * 2


def test_kineto_gives_forward_and_backward_of_a_layer(tmp_path: Path) -> None:
    made = imported(tmp_path, "kineto")
    assert column(made, "phase") == ["forward", "backward"]
    # The backward pass is that of addmm and of t, both parts of linear.
    assert column(made, "time_s") == pytest.approx([50e-6, 46e-6])
    # 4 x 2 outputs of 8 products; one product alone in the backward pass: the gradient of the weights.
    assert column(made, "work_flop") == [2 * 8 * 8, 2 * 8 * 8]
    assert "left out, being no layers: aten::sum" in made.notes[2]


def test_kernels_of_a_gpu_are_the_time_of_a_layer(tmp_path: Path) -> None:
    document = json.loads(FILES["kineto"])
    document["deviceProperties"] = [{"id": 0, "name": "NVIDIA A2"}]
    document["traceEvents"] += [
        {
            "ph": "X",
            "cat": "kernel",
            "name": "gemm",
            "ts": 300,
            "dur": 7,
            "tid": 7,
            "args": {"External id": 115},
        },
        {
            "ph": "X",
            "cat": "kernel",
            "name": "gemm",
            "ts": 400,
            "dur": 11,
            "tid": 7,
            "args": {"External id": 205},
        },
    ]
    made = imported(tmp_path, "kineto", json.dumps(document))
    assert column(made, "time_s") == pytest.approx([7e-6, 11e-6])
    assert set(column(made, "device")) == {"nvidia-a2"}


def test_a_trace_without_shapes_says_how_to_record_them(tmp_path: Path) -> None:
    text = FILES["kineto"].replace('"Input Dims"', '"Other"')
    with pytest.raises(ForeignError, match=r"it has no shapes; record with profile\(record_shapes=True\)"):
        imported(tmp_path, "kineto", text)


def test_a_real_trace_of_pytorch_has_the_costs_that_gapslsim_finds_for_the_same_network(
    tmp_path: Path,
) -> None:
    import torch
    from torch import nn

    from gapslsim.models._trace import Trace

    def network(device: str) -> nn.Module:
        with torch.device(device):
            return nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(8, 4, 1), nn.GroupNorm(2, 4), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 10),
            )  # fmt: skip

    trained, inputs = network("cpu"), torch.randn(4, 3, 16, 16)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True
    ) as profiler:
        trained(inputs).sum().backward()
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    made = read_with(importers["kineto"](), tmp_path / "trace.json")
    _, cost = Trace(network("meta"), inputs.to("meta")).run()
    for phase, layers in (("forward", cost.forward.layers), ("backward", cost.backward.layers[::-1])):
        rows = [dict(zip(made.columns, row, strict=True)) for row in made.rows]
        found = [
            (r["kind"], r["work_flop"], r["moved_bytes"], r["n_parameters"])
            for r in rows
            if r["phase"] == phase
        ]
        assert found == [(one.kind, one.work_flop, one.moved_bytes, one.n_parameters) for one in layers]
        assert all(row["time_s"] > 0 for row in rows)
