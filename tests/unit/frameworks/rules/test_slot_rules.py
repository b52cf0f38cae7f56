import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gapslsim.frameworks.framework import frameworks
from gapslsim.frameworks.slots import client_updates, participations, server_updates
from gapslsim.rng import stream
from tests.unit.frameworks.rules.support_rules import gradients


def test_mean_rule_weighs_clients_equally_and_needs_no_single_gradients() -> None:
    rule = server_updates["mean"]()
    got = rule.decide(gradients([(1.0, 2.0), (3.0, 0.0)]))
    assert got.update.tolist() == [2, 1]
    assert got.fates == ("train", "train")
    assert not rule.needs_client_gradients
    cost = rule.cost(3, 10)
    assert (cost.work_flop, cost.moved_bytes) == (30, 160)


def test_two_settings_say_which_cut_gradient_a_client_gets() -> None:
    def facts(kind: str, **settings: Any) -> tuple[float, bool]:
        rule = frameworks[kind](**settings).cut_rule  # type: ignore[attr-defined]
        return rule.shared_fraction, rule.average

    assert facts("parallel") == facts("psl") == (0.0, False)
    assert facts("parallel", cut_gradient="mean") == (0.0, True)
    assert facts("parallel", phi=0.25) == facts("epsl", phi=0.25) == (0.25, False)


@pytest.mark.parametrize("phi", [-0.1, 1.1])
@pytest.mark.parametrize("kind", ["parallel", "epsl"])
def test_phi_is_a_share(kind: str, phi: float) -> None:
    with pytest.raises(ValidationError, match="phi"):
        frameworks[kind](phi=phi)


G, W, W0 = (torch.tensor([1.0, 2.0]),), (torch.tensor([3.0, 5.0]),), (torch.tensor([1.0, 1.0]),)


def test_own_clients_follow_their_gradient() -> None:
    rule = client_updates["own"]()
    assert rule.trains
    assert rule.adjust(G, W, W0) == G
    assert rule.cost(10).work_flop == 0


def test_frozen_clients_do_not_train() -> None:
    rule = client_updates["frozen"]()
    assert not rule.trains
    with pytest.raises(RuntimeError, match=r"check ClientUpdate\.trains"):
        rule.adjust(G, W, W0)


def test_proximal_clients_are_pulled_to_the_start() -> None:
    rule = client_updates["proximal"](mu=0.5)
    assert rule.adjust(G, W, W0)[0].tolist() == [2, 4]  # 1 + (3-1)/2, 2 + (5-1)/2
    assert torch.equal(client_updates["proximal"](mu=0).adjust(G, W, W0)[0], G[0])
    cost = rule.cost(10)
    assert (cost.work_flop, cost.moved_bytes) == (30, 160)
    assert G[0].tolist() == [1, 2]


def test_proximal_gradient_is_that_of_half_mu_times_the_squared_distance() -> None:
    w = W[0].clone().requires_grad_()
    (want,) = torch.autograd.grad((G[0] * w).sum() + 0.3 / 2 * (w - W0[0]).square().sum(), w)
    torch.testing.assert_close(client_updates["proximal"](mu=0.3).adjust(G, W, W0)[0], want)


def test_everyone_takes_part_and_nothing_is_drawn() -> None:
    def none() -> np.random.Generator:
        raise AssertionError("a stream was made")

    assert participations["everyone"]().choose(4, none) == (0, 1, 2, 3)
    assert participations["everyone"]().expected_share(4) == 1


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 1000))
def test_a_sample_is_ascending_distinct_and_of_its_size(k: int, more: int, seed: int) -> None:
    rule = participations["sample"](k=k)
    random = partial(stream, seed, "participation", 1)
    chosen = rule.choose(k + more, random)
    assert len(chosen) == k
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(range(k + more))
    assert all(type(client) is int for client in chosen)
    assert chosen == rule.choose(k + more, random)


def test_sampling_is_fair() -> None:
    rule, random = participations["sample"](k=2), np.random.default_rng(0)
    counts = np.bincount([c for _ in range(2000) for c in rule.choose(5, lambda: random)], minlength=5)
    # Binomial(2000, 0.4): mean 800, standard deviation 22; five of them are within 100 of it.
    assert (abs(counts - 800) < 100).all()
    assert rule.expected_share(5) == pytest.approx(0.4)


def test_a_sample_larger_than_the_fleet_is_a_problem() -> None:
    rule = participations["sample"](k=6)
    (problem,) = rule.problems(5)
    assert problem == "participation.k is 6, but there are 5 clients; choose from 1 to 5"
    with pytest.raises(ValueError, match=r"participation.k is 6"):
        rule.choose(5, np.random.default_rng)
    with pytest.raises(ValidationError, match="greater than 0"):
        participations["sample"](k=0)


def test_rules_optimizers_and_schedules_are_read_without_torch() -> None:
    code = (
        "import sys, gapslsim.frameworks.slots as s, gapslsim.learning.optimizer as o\n"
        "for f in (s.server_updates, s.client_updates, s.participations, o.optimizers, o.schedules):"
        " assert list(f)\n"
        "s.server_updates['gapsl']().cost(3, 10); o.optimizers['adam']().cost(3)\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
