from importlib.util import find_spec
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from gapslsim.errors import NumericalError
from gapslsim.frameworks.slots import server_updates
from tests.unit.frameworks.rules.support_rules import gradients
from tests.unit.learning.reference_equations import family

pytest.importorskip("torchjd")

ROWS = torch.from_numpy(family("random", 4, 9, seed=1))


def rule(aggregator: str, **parameters: Any) -> Any:
    return server_updates["torchjd"](aggregator=aggregator, parameters=parameters)


def test_mean_and_sum_are_the_mean_and_the_sum() -> None:
    for name, want in (("Mean", ROWS.mean(0)), ("Sum", ROWS.sum(0))):
        got = rule(name).decide(gradients(ROWS))
        torch.testing.assert_close(got.update, want)
        assert got.fates == ("train",) * 4
        assert got.losses.tolist() == [1] * 4


def test_lists_of_numbers_become_tensors_of_the_gradients_type() -> None:
    got = rule("Constant", weights=[1.0, 0, 0, 2]).decide(gradients(ROWS))
    torch.testing.assert_close(got.update, ROWS[0] + 2 * ROWS[3])
    assert got.update.dtype == torch.float64


def test_mgda_conflicts_with_no_gradient() -> None:
    rows = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
    update = rule("MGDA").decide(gradients(rows)).update
    assert (rows @ update >= -1e-6).all()


@pytest.mark.parametrize("name", ["Random", "PCGrad", "GradDrop"])
def test_what_draws_follows_its_own_stream_and_leaves_the_global_one_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first = rule(name).decide(gradients(ROWS, seed=3)).update
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(first, rule(name).decide(gradients(ROWS, seed=3)).update)
    assert any(not torch.equal(first, rule(name).decide(gradients(ROWS, seed=s)).update) for s in range(4, 9))


def test_a_misspelt_aggregator_is_told_the_near_miss() -> None:
    with pytest.raises(ValidationError, match=r"aggregator 'UPgrad' is not one .* Did you mean 'UPGrad'"):
        rule("UPgrad")


@pytest.mark.parametrize("name", ["Aggregator", "WeightedAggregator", "MeanWeighting", "__name__"])
def test_what_is_no_aggregator_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is not one of TorchJD's"):
        rule(name)


def test_an_unknown_or_missing_parameter_is_named() -> None:
    with pytest.raises(ValidationError, match=r"parameters.n_byzantin: .* Did you mean 'n_byzantine'"):
        rule("Krum", n_byzantin=1)
    with pytest.raises(ValidationError, match=r"parameters of TorchJD's Krum: .*n_byzantine"):
        rule("Krum")


def test_an_aggregator_whose_memory_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gapslsim.frameworks.rules._torchjd_memory.MEMORIES", {})
    with pytest.raises(ValidationError, match="GradVac remembers former rounds in a way that is not known"):
        rule("GradVac")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("CAGrad", "cvxpy", "cagrad"),
        ("NashMTL", "ecos", "nash_mtl"),
        ("UPGrad", "quadprog", "quadprog_projector"),
        ("DualProj", "quadprog", "quadprog_projector"),
    ],
)
def test_a_missing_extra_is_named(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(wanted: str) -> object:
        return None if wanted == package else find_spec(wanted)

    monkeypatch.setattr("torchjd._mixins.find_spec", find)
    with pytest.raises(ValidationError) as refused:
        rule(name, **({"c": 0.5} if name == "CAGrad" else {}))
    told = str(refused.value)
    assert f"aggregator {name}: a package that it needs is missing" in told
    assert package in told
    assert f'pip install "torchjd[{extra}]"' in told
    assert 'pip install "gapslsim[torchjd]"' in told


def test_non_finite_gradients_are_refused() -> None:
    with pytest.raises(NumericalError, match="client 1 is NaN or infinite in round 2"):
        rule("Mean").decide(gradients([(1.0, 2.0), (float("nan"), 1.0)], round=2))


def test_cost_is_gram_matrix_and_combination() -> None:
    assert rule("Mean").cost(3, 10).work_flop == 180 + 30
