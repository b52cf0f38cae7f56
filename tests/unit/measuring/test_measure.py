"""The whole measurement on a small network, its table, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gapslsim.calibration.table import read_table
from gapslsim.cli.main import main
from gapslsim.cli.measure import _plan
from gapslsim.measuring import probes as probes_module
from gapslsim.measuring.machine import machine_name
from gapslsim.measuring.measure import Plan, measure
from gapslsim.measuring.passes import Effort
from gapslsim.measuring.probes import Probe, ProbeCnn, probes
from gapslsim.measuring.table import COLUMNS, Machine, idle_row, link_row, write_table
from gapslsim.models.cost import split_cost
from gapslsim.models.model import Model
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.vgg16 import Vgg16
from gapslsim.stages.clock import MachineClock
from tests.unit.measuring.fakes import FakeClock

CPU = torch.device("cpu")
TINY = Probe("tiny", ProbeCnn(stages=((4,),), hidden=()), (1, 8, 8))
TWICE = Effort(least=2, most=2, budget_s=1.0)
MACHINE = Machine("board", "pytorch 0", 1, "15w", 7.5)
PLAN = Plan(
    [TINY], [2, 3], repeats=2, passes=TWICE, visits=2, steps=TWICE, n_clients=(2,), copy_bytes=(4096,),
    message_bytes=(1024, 65536), waits_s=(0.001,),
)  # fmt: skip


def run(*arguments: str) -> object:
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_a_measurement_covers_layers_calls_steps_rules_and_memory_and_can_be_read(tmp_path: Path) -> None:
    told: list[float] = []
    rows = measure(PLAN, MACHINE, CPU, MachineClock(1), lambda what, share: told.append(share))
    assert {(row.phase, row.kind) for row in rows} == {
        ("forward", "conv2d"), ("forward", "activation"), ("forward", "pool"), ("forward", "linear"),
        ("backward", "conv2d"), ("backward", "activation"), ("backward", "pool"), ("backward", "linear"),
        ("forward", "call"), ("backward", "call"), ("forward", "whole"), ("backward", "whole"),
        ("forward", "activation/loss"), ("backward", "activation/loss"),
        ("step", "optimizer/sgd"), ("step", "optimizer/adam"),
        ("other", "average"), ("other", "gram"), ("other", "copy"),
        ("other", "message"), ("other", "iteration"), ("other", "warm"), ("other", "cold"),
    }  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1.0
    rows += [idle_row(MACHINE, 2.0), link_row(MACHINE, "up", 100, 0.1, 0.01)]
    path = tmp_path / "table.csv"
    write_table(path, rows)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    table = read_table(path)
    assert len(table.compute) == len(rows) - 1
    assert len(table.links) == 1
    assert set(table.compute.power_mode) == {"15w"}


def test_networks_are_not_visited_again_once_enough_time_has_passed() -> None:
    told: list[str] = []
    clock = FakeClock(tick=1.0)
    plan = replace(PLAN, probes=[TINY] * 3, batch_sizes=[2], enough_s=0.5)
    measure(plan, MACHINE, CPU, clock, lambda what, share: told.append(what))
    assert told == ["tiny, batch 2"] * 3 + ["tiny, steps"] * 2 + ["memory", "messages and loops", "done"]


def test_layers_carry_the_costs_that_the_simulator_charges() -> None:
    rows = measure(PLAN, MACHINE, CPU, MachineClock(1), lambda what, share: None)
    costs = split_cost(TINY.model, TINY.input_shape, 10, 3)
    (conv,) = {
        (row.work_flop, row.moved_bytes, row.n_parameters, row.n_activations)
        for row in rows
        if row.name == "conv1.conv" and row.phase == "backward" and row.batch_size == 3
    }
    layer = next(layer for layer in costs.client.backward.layers if layer.name == "conv1.conv")
    assert conv == (layer.work_flop, layer.moved_bytes, layer.n_parameters, layer.n_activations)


@pytest.mark.parametrize("quick", [True, False])
def test_every_probe_can_be_cut_and_costed(quick: bool) -> None:
    chosen = probes(quick)
    assert len({probe.name for probe in chosen}) == len(chosen)
    for probe in chosen:
        cost = split_cost(probe.model, probe.input_shape, probe.n_classes, 2)
        assert cost.client.n_parameters > 0
        assert cost.server.n_parameters > 0


def test_no_layer_with_weights_of_the_networks_that_are_predicted_is_among_those_that_are_measured() -> None:
    def weighted(model: Model, input_shape: tuple[int, ...]) -> set[tuple[str, int, float]]:
        cost = split_cost(model, input_shape, 10, 1)
        layers = (*cost.client.forward.layers, *cost.server.forward.layers)
        return {(x.kind, x.n_parameters, x.work_flop) for x in layers if x.kind in ("conv2d", "linear")}

    measured = set().union(*(weighted(probe.model, probe.input_shape) for probe in probes(quick=True)))
    assert len(measured) > 30
    assert measured.isdisjoint(weighted(Cnn(channels=(16, 32, 32), cut=1), (1, 8, 8)))  # the quickstart's
    assert measured.isdisjoint(weighted(Vgg16(width=0.25), (3, 32, 32)))


def test_the_command_writes_one_table_and_shows_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probes_module, "probes", lambda quick: [TINY])
    monkeypatch.setattr("gapslsim.measuring.passes.Effort.rounds", lambda self, clock, warm_up: range(2))
    out = tmp_path / "m.csv"
    call = "measure --quick --threads 1 --name my-board --batch-sizes 2 --repeats 1 --idle-power 1.5 -o"
    assert run(*call.split(), str(out)) == 0
    shown = capsys.readouterr()
    assert f"rows for my-board (pytorch {torch.__version__} cpu, 1 threads) in {out}" in shown.out.replace(
        "\n", " "
    )
    assert "100% done" in shown.err
    assert "idle" in set(read_table(out).compute.kind)


@pytest.mark.parametrize(("threads", "load", "told"), [(2, 3.0, True), (2, 0.2, False), (1, 3.0, False)])
def test_a_busy_machine_is_told_where_the_clock_is_the_wall_time(
    threads: int, load: float, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load), raising=False)
    monkeypatch.setattr("gapslsim.measuring.measure.measure", lambda *_: [idle_row(MACHINE, 2.0)])
    assert run("measure", "--quick", "--threads", str(threads), "-o", str(tmp_path / "m.csv")) == 0
    assert ("The machine is busy (load 3.0)" in capsys.readouterr().err) == told


def test_two_threads_are_measured_with_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        "gapslsim.measuring.measure.step_rows", lambda *_: seen.append(torch.get_num_threads()) or iter(())
    )
    rows = measure(PLAN, MACHINE._replace(threads=2), CPU, MachineClock(2), lambda what, share: None)
    assert seen == [2]
    assert torch.get_num_threads() == 1
    assert {row.threads for row in rows} == {2}
    assert all(row.time_s > 0 for row in rows if row.time_s is not None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch-sizes", "8,x"], "write whole numbers"),
        (["--device", "cuda:77"], "finds no CUDA GPU on this machine"),
        (["--check", "quickstart"], "needs --profile"),
        (["-o", "no-such-folder/m.csv"], "make it first"),
        (["--quick", "--peer", "nowhere"], "write HOST:PORT"),
    ],
)
def test_wrong_calls_end_with_the_fix(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("measure", "-o", str(tmp_path / "m.csv"), *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_check_prints_measured_predicted_and_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.unit.measuring.test_check import SCENARIO

    monkeypatch.setattr("gapslsim.cli.measure._CHECK_S", 0.0)
    file = tmp_path / "tiny.yaml"
    file.write_text(SCENARIO)
    call = "measure --profile laptop-cpu --rounds 2 --threads 1 --check"
    assert run(*call.split(), str(file)) == 0
    shown = capsys.readouterr().out
    for word in ("client_forward", "server_step", "client_backward", "round", "measured", "predicted", "%"):
        assert word in shown


def test_boards_and_processors_are_named_after_what_the_system_says(tmp_path: Path) -> None:
    board, processor = tmp_path / "model", tmp_path / "cpuinfo"
    processor.write_text("processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\n")
    assert machine_name(CPU, board, processor) == "intel-core-i5-8250u-1-60ghz"
    board.write_text("Raspberry Pi 4 Model B Rev 1.1\0")
    assert machine_name(CPU, board, processor) == "raspberry-pi-4-model-b-rev-1-1"


def test_a_scenario_is_measured_at_the_batch_sizes_of_its_client_groups(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "base: quickstart.yaml\nname: own\nclients:\n"
        "  - {count: 1, device: jetson-nano, link: wifi, training: {batch_size: 5}}\n"
        "  - {count: 1, device: jetson-nano, link: wifi}\n"
    )
    (tmp_path / "quickstart.yaml").write_text(Path("scenarios/quickstart.yaml").read_text())
    scenario = str(tmp_path / "own.yaml")
    # 16 is quickstart's own; 8 and 32 are those of --quick.
    assert _plan([scenario], "", 1, quick=True).batch_sizes == [5, 8, 16, 32]
    assert _plan([scenario], "7", 1, quick=True).batch_sizes == [7]
