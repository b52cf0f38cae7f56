"""The device that tensors are computed on: chosen, refused in words, and told."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gapslsim import load, simulate
from gapslsim.cli.main import main
from gapslsim.errors import ScenarioError
from gapslsim.learning.journal.compatibility import compatibility
from gapslsim.learning.torch_random import drawing, random_states
from gapslsim.results.report._tables import provenance_table
from gapslsim.results.report.data import gather
from gapslsim.results.store import load_results, write_results
from gapslsim.results.tables import end_table
from gapslsim.torch_device import _driver, check_precision, choose_device, computed_on
from tests.emulated import emulated

SMALL = ["data={kind: synthetic, n_train: 100, n_test: 10}", "model={kind: mlp, cut: 1}", "stop.rounds=1"]


def test_auto_is_the_first_gpu_where_there_is_one_and_else_the_cpu() -> None:
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with emulated():
        assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)
        assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("foo", "found 'foo'; write auto, cpu, cuda, cuda:1 or mps"),
        ("cuda:x", "found 'cuda:x'"),
        ("mps", "PyTorch finds no Apple GPU here; write auto or cpu"),
        ("cuda", "PyTorch finds no CUDA GPU on this machine .*; write auto or cpu"),
    ],
)
def test_what_is_no_device_here_is_refused_with_what_to_write(name: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=f"^--device: .*{why}"):
        choose_device(name, "--device")


def test_a_second_gpu_that_is_not_there_is_refused_with_those_that_are() -> None:
    with emulated(), pytest.raises(ScenarioError, match="GPUs that PyTorch finds here are cuda:0; write one"):
        choose_device("cuda:1")


@pytest.mark.parametrize("device", ["cuda", "foo", "mps"])
@pytest.mark.parametrize("command", [["run", "quickstart", "--quiet"], ["measure"]])
def test_commands_end_with_one_sentence_and_code_2(
    command: list[str], device: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--device", device, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"found '{device}'" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_run_and_validate_say_which_gpu_auto_has_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    changes = [part for change in SMALL for part in ("--set", change)]
    with emulated():
        for command in (["run", "quickstart", "--out", str(tmp_path / "out")], ["validate", "quickstart"]):
            with pytest.raises(SystemExit) as ended:
                main([*command, *changes])
            assert not ended.value.code
            told = " ".join(capsys.readouterr())
            assert "cuda:0 (Emulated GPU)" in told
            assert "(training.device: auto)" in told


def test_a_timing_run_needs_no_gpu_and_says_nothing_of_one() -> None:
    assert (
        simulate(load("quickstart", set=[*SMALL, "training.device=cuda"]), dry=True).summary["computed_on"]
        is None
    )


def test_tf32_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ScenarioError, match=r"^training\.precision: .*NVIDIA's GPUs alone.*computes on cpu; write float32"
    ):
        simulate(load("quickstart", set=[*SMALL, "training.precision=tf32", "clock.precision=float32"]))
    with emulated():
        check_precision("tf32", torch.device("cuda", 0))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        with pytest.raises(ScenarioError, match="Emulated GPU does not have"):
            check_precision("tf32", torch.device("cuda", 0))


@pytest.mark.parametrize("framework", ["gapsl", "sfl"])
def test_apples_gpu_trains_though_it_has_no_float64(framework: str) -> None:
    changes = [
        *SMALL,
        "stop.rounds=3",
        f"framework={framework}",
        "model={kind: mlp, cut: 1, hidden: [16, 16]}",
    ]
    on_cpu = simulate(load("quickstart", set=[*changes, "training.device=cpu"]))
    with emulated("mps") as log:
        on_apple = simulate(load("quickstart", set=[*changes, "training.device=mps"]))
        with pytest.raises(ScenarioError, match="nobody has tried on Apple's GPUs; write float32"):
            check_precision("bfloat16", torch.device("mps"))
    assert on_apple.summary["computed_on"] == {"device": "mps:0", "precision": "float32"}
    assert log.total("launches") > 100
    assert log.total("mixed") == 0
    for table, column in (("losses", "loss"), ("evaluations", "accuracy"), ("evaluations", "loss")):
        np.testing.assert_allclose(
            getattr(on_apple, table)[column], getattr(on_cpu, table)[column], rtol=1e-4
        )


def test_dropout_is_found_on_apples_gpu_too_and_draws_as_on_the_cpu() -> None:
    with emulated("mps"):
        place = torch.device("mps", 0)
        before = random_states(place)
        with drawing(3, place):
            inside = random_states(place)
            torch.rand(2)
            assert random_states(place) != inside
        assert random_states(place) == before


def test_a_run_says_what_computed_it_in_its_summary_its_provenance_and_its_report(tmp_path: Path) -> None:
    with emulated():
        results = simulate(
            load("quickstart", set=[*SMALL, "training.precision=bfloat16", "clock.precision=float32"])
        )
    told = results.summary["computed_on"]
    assert (told["device"], told["name"], told["precision"]) == ("cuda:0", "Emulated GPU", "bfloat16")
    assert told["deterministic"] is True
    assert {"cuda", "cudnn", "driver"} <= told.keys()
    write_results(results, tmp_path / "run")
    assert load_results(tmp_path / "run").provenance["computed_on"] == told
    assert json.loads((tmp_path / "run/summary.json").read_text())["computed_on"] == told
    from rich.console import Console

    line = "cuda:0 (Emulated GPU), bfloat16, deterministic"
    assert line in provenance_table(gather([tmp_path / "run"]))
    console = Console(width=100, file=io.StringIO())
    console.print(end_table(results.summary))
    assert line in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_cpu_needs_no_name_of_a_gpu() -> None:
    assert computed_on(torch.device("cpu"), "float32", True) == {"device": "cpu", "precision": "float32"}


def test_the_driver_is_read_where_the_system_says_it(tmp_path: Path) -> None:
    file = tmp_path / "version"
    assert _driver(file) is None
    file.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
        "GCC version:  gcc version 12.2.0\n"
    )
    assert _driver(file) == "550.54.15"


def test_a_journal_is_that_of_a_kind_of_gpu_with_its_libraries_whichever_of_them_it_is() -> None:
    with emulated():
        one, other = (compatibility({}, device, "float32") for device in ("cuda:0", "cuda:1"))
    assert one == other
    assert (one["device"], one["accelerator"]) == ("cuda", "Emulated GPU")
    assert {"cuda", "cudnn"} <= one.keys()


def test_a_journal_made_on_a_cpu_is_found_again_whatever_is_said_of_gpus(tmp_path: Path) -> None:
    for deterministic, replayed in (("true", False), ("false", True)):
        changes = [*SMALL, f"training.deterministic={deterministic}"]
        told = simulate(load("quickstart", set=changes), journal=tmp_path / "journal").summary["journal"]
        assert (told["replayed"] > 0) is replayed
