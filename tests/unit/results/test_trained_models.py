"""The trained networks that a run leaves: in Python and as a file."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from gapslsim import GapslsimError, Results, load_dict, simulate
from gapslsim.cli.main import main
from gapslsim.data.dataset import LoadedData
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.models.split import whole
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.registry import component
from gapslsim.results.store import load_results, write_results
from tests.worlds import small_scenario


def run(framework: Any = "psl", **sections: Any) -> tuple[Results, LoadedData]:
    """A run of clients with unlike classes, and its data."""
    sections.setdefault("data", {"partition": {"kind": "dirichlet", "alpha": 0.3}})
    scenario = load_dict(small_scenario(framework=framework, **sections))
    return simulate(scenario), scenario.data.load(None, scenario.seed)


def accuracy(model: nn.Module, data: LoadedData) -> float:
    with torch.no_grad():
        said = model(torch.from_numpy(data.test.inputs)).argmax(1).numpy()
    return float((said == data.test.labels).mean())


def plain_mlp() -> nn.Module:
    """The network of `small_scenario` as a user writes it who has PyTorch alone."""

    def block(**layers: nn.Module) -> nn.Module:
        return nn.Sequential(OrderedDict(layers))

    return block(
        hidden1=block(flatten=nn.Flatten(), linear=nn.Linear(8, 12), relu=nn.ReLU()),
        hidden2=block(linear=nn.Linear(12, 12), relu=nn.ReLU()),
        head=block(linear=nn.Linear(12, 4)),
    )


def recorded(results: Results, view: str) -> dict[int, float]:
    """Accuracy at the last evaluation, by client (-1 for a view of one model)."""
    table = results.evaluations
    last = table[(table["view"] == view) & (table["round"] == table["round"].max())]
    return dict(zip(last["client"].tolist(), last["accuracy"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("framework", "model"),
    [
        ("psl", {}), ("sfl", {}), ("fedavg", {}), ("async_sl", {}), ("sl", {}), ("gapsl", {}),
        ("psl", {"kind": "cnn", "cut": 2, "norm": "batch"}),
    ],
)  # fmt: skip
def test_the_model_of_each_view_has_the_accuracy_that_was_recorded_last(framework: str, model: Any) -> None:
    shape = [1, 8, 8] if model else [8]
    results, data = run(framework, model=model, data={"input_shape": shape})
    for view in ("global", "ensemble"):
        network = results.model(view)
        assert not network.training
        assert accuracy(network, data) == recorded(results, view)[-1]
    for client, expected in recorded(results, "clients").items():
        assert accuracy(results.model("clients", client), data) == expected


def test_the_model_of_the_local_view_is_the_clients_own() -> None:
    results, _ = run()
    own, local = results.model("clients", 2).state_dict(), results.model("local", 2).state_dict()
    assert all(torch.equal(own[name], local[name]) for name in own)


def test_a_model_is_a_copy_that_its_owner_may_train() -> None:
    results, data = run()
    network = results.model("global")
    before = accuracy(network, data)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.requires_grad
            parameter.zero_()
    assert accuracy(results.model("global"), data) == before


def test_models_are_those_of_the_last_evaluation_where_a_run_ends_between_two() -> None:
    results, data = run("async_sl", evaluation={"every": "3 rounds"}, stop={"simulated_time": "90 ms"})
    assert results.evaluations["time_s"].max() <= 0.09
    assert accuracy(results.model("global"), data) == recorded(results, "global")[-1]


@pytest.mark.parametrize("framework", ["psl", "async_gapsl", "gas"])
def test_the_file_is_read_by_safetensors_alone_and_gives_the_same_networks(
    framework: str, tmp_path: Path
) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    results, data = run(framework)
    file = tmp_path / "model.safetensors"
    results.save_models(file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        header = opened.metadata()
    assert header["scenario"] == results.scenario_yaml
    server_of = json.loads(header["server_of"])

    def network(*prefixes: str) -> nn.Module:
        made = plain_mlp()
        parts = [(key.partition("/"), tensor) for key, tensor in tensors.items()]
        made.load_state_dict({name: tensor for (of, _, name), tensor in parts if of in prefixes})
        return made.eval()

    assert accuracy(network("global"), data) == recorded(results, "global")[-1]
    for client, expected in recorded(results, "clients").items():
        name = f"client-{client}"
        assert accuracy(network(name, server_of[name]), data) == expected


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("globl",), "Did you mean 'global'?"),
        (("clients",), "give client as 0 to 3 (found None)"),
        (("local", 4), "give client as 0 to 3 (found 4)"),
        (("clients", -1), "give client as 0 to 3 (found -1)"),
        (("global", 0), "leave out client"),
        (("ensemble", 0), "leave out client"),
    ],
)
def test_a_model_that_there_is_not_is_refused_in_words(asked: Any, told: str) -> None:
    results, _ = run(stop={"rounds": 1})
    with pytest.raises(GapslsimError) as error:
        results.model(*asked)
    assert told in str(error.value)


def test_dry_runs_and_results_that_were_read_say_that_they_hold_no_model(tmp_path: Path) -> None:
    scenario = load_dict(small_scenario())
    dry, real = simulate(scenario, dry=True), simulate(scenario)
    for results in (dry, load_results(write_results(real, tmp_path / "run"))):
        with pytest.raises(GapslsimError, match="--save FILE"):
            results.model("global")
        with pytest.raises(GapslsimError, match="--save FILE"):
            results.save_models(tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()


def test_what_a_journal_knows_is_computed_for_its_models_alone(tmp_path: Path) -> None:
    scenario = load_dict(small_scenario())
    first = simulate(scenario, journal=tmp_path)
    again = simulate(scenario, journal=tmp_path)
    assert again.summary["journal"]["computed"] == 0
    with pytest.raises(GapslsimError, match="models=True"):
        again.model("global")
    asked = simulate(scenario, journal=JournalSettings(tmp_path), models=True)
    assert asked.summary["learning_sha256"] == first.summary["learning_sha256"]
    ours, theirs = asked.model("global").state_dict(), first.model("global").state_dict()
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def written(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all that `gapslsim run` says."""
    scenario = tmp_path / "small.yaml"
    scenario.write_text(yaml.safe_dump(small_scenario()))
    with pytest.raises(SystemExit) as ended:
        main(["run", str(scenario), "--out", str(tmp_path / "run"), *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), f"{said.out} {said.err}"


def test_run_save_writes_the_models_also_of_a_run_that_its_journal_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file

    files = [tmp_path / f"{n}.safetensors" for n in (1, 2)]
    assert written(capsys, tmp_path, "--save", str(files[0]))[0] == 0
    code, shown = written(capsys, tmp_path, "--resume", "--save", str(files[1]))
    assert code == 0
    assert f"Trained models in {files[1]}" in shown
    first, second = map(load_file, files)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--save", "model.pt"], ".safetensors"),
        (["--save", "no/such/place/model.safetensors"], "a directory that exists"),
        (["--dry", "--save", "model.safetensors"], "leave out --dry or --save"),
    ],
)
def test_what_cannot_be_saved_is_said_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    code, shown = written(capsys, tmp_path, *arguments)
    assert code == 2
    assert told in " ".join(shown.replace("│", " ").split())
    assert not (tmp_path / "run").exists()


@component
class Frozen(Mlp):
    """The network of `small_scenario` with a frozen weight on each side."""

    kind: Literal["mlp"] = "mlp"

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        made = super().blocks(input_shape, n_classes)
        for _, block in (made[0], made[1]):
            block.linear.weight.requires_grad_(False)  # type: ignore[union-attr]
        return made


@pytest.mark.parametrize("framework", ["psl", "sfl"])
def test_frozen_weights_are_in_the_model_and_in_the_file(framework: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    scenario = load_dict(small_scenario(framework=framework, data={"partition": {"kind": "dirichlet"}}))
    scenario = replace(scenario, model=Frozen(hidden=(12, 12), cut=1))
    results, data = simulate(scenario), scenario.data.load(None, scenario.seed)
    initial = whole(scenario.model, (8,), 4, scenario.seed).state_dict()
    own = results.model("global").state_dict()
    for name, tensor in initial.items():
        assert torch.equal(own[name], tensor) == (name in ("hidden1.linear.weight", "hidden2.linear.weight"))
    assert accuracy(results.model("global"), data) == recorded(results, "global")[-1]
    for client, expected in recorded(results, "clients").items():
        assert accuracy(results.model("clients", client), data) == expected
    results.save_models(tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    assert torch.equal(tensors["client-1/hidden1.linear.weight"], initial["hidden1.linear.weight"])
    assert torch.equal(tensors["server/hidden2.linear.weight"], initial["hidden2.linear.weight"])
