"""Geometry of one round's gradients, against figures worked out by hand and against plain definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.frameworks.framework import frameworks
from gapslsim.learning import alignment
from gapslsim.learning.geometry import MOST_PAIRED, Geometry, measure, ranks
from gapslsim.learning.learner import Learner
from gapslsim.learning.rules import AlignmentDetail
from tests.support import setup_for, small_setup, stage
from tests.unit.learning.reference_equations import family


def measured(rows: Any, update: Any = None, **more: Any) -> Geometry:
    matrix = torch.as_tensor(np.asarray(rows, dtype=np.float64))
    given: dict[str, Any] = {
        "clients": tuple(range(len(matrix))),
        "round": 3,
        "fates": ("train",) * len(matrix),
        "detail": None,
        **more,
    }
    return measure(matrix, None if update is None else torch.as_tensor(update, dtype=torch.float64), **given)


def test_three_gradients_in_the_plane() -> None:
    # East, north, west; the update is twice the unit vector to the north.
    geometry = measured([[1, 0], [0, 1], [-1, 0]], [0, 2])
    quarter = math.pi / 2
    assert [(p.client, p.other) for p in geometry.pairwise] == [(0, 1), (0, 2), (1, 2)]
    assert [p.angle_rad for p in geometry.pairwise] == pytest.approx([quarter, math.pi, quarter])
    assert [g.score_rad for g in geometry.gradients] == pytest.approx([1.5 * quarter, quarter, 1.5 * quarter])
    assert [g.angle_to_mean_rad for g in geometry.gradients] == pytest.approx([quarter, 0, quarter])
    assert [g.angle_to_update_rad for g in geometry.gradients] == pytest.approx([quarter, 0, quarter])
    assert [g.descends for g in geometry.gradients] == [False, True, False]
    assert [g.gradient_norm for g in geometry.gradients] == [1, 1, 1]
    assert [g.admitted for g in geometry.gradients] == [True] * 3
    (update,) = geometry.updates
    assert (update.round, update.n_clients, update.n_leaders, update.n_admitted) == (3, 3, 0, 3)
    assert update.mean_angle_rad == pytest.approx(4 / 3 * quarter)
    assert update.dispersion_rad == pytest.approx(np.std([1.5, 1, 1.5]) * quarter)
    assert update.conflicting_pairs == pytest.approx(1 / 3)
    assert (update.mean_norm, update.update_norm) == pytest.approx((1 / 3, 2))
    assert update.norm_ratio == pytest.approx(6)
    assert update.cos_to_mean == pytest.approx(1)
    assert update.descending_share == pytest.approx(1 / 3)
    assert math.isnan(update.selection_ratio)
    assert math.isnan(update.threshold_rad)
    # Singular values are sqrt(2) and 1.
    assert update.stable_rank == pytest.approx(3 / 2)
    share = math.sqrt(2) / (1 + math.sqrt(2))
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert update.effective_rank == pytest.approx(math.exp(entropy))


def test_without_an_update_nothing_is_said_of_it() -> None:
    geometry = measured([[1, 0], [0, 1]])
    (update,) = geometry.updates
    assert all(math.isnan(v) for v in (update.update_norm, update.norm_ratio, update.cos_to_mean))
    assert math.isnan(update.descending_share)
    assert all(math.isnan(g.angle_to_update_rad) and not g.descends for g in geometry.gradients)


def test_zero_gradients_have_no_rank_and_no_ratio() -> None:
    (update,) = measured(np.zeros((3, 4)), np.zeros(4)).updates
    assert math.isnan(update.stable_rank)
    assert math.isnan(update.effective_rank)
    assert math.isnan(update.norm_ratio)
    assert math.isnan(update.cos_to_mean)
    assert update.descending_share == 0


def test_what_the_rule_found_is_kept() -> None:
    detail = AlignmentDetail(
        score_rad=np.zeros(2),
        in_leader_set=np.array([True, False]),
        angle_to_leader_rad=np.zeros(2),
        admitted=np.array([False, True]),
        gradient_norm=np.zeros(2),
        threshold_rad=0.3,
        selection_ratio=0.5,
        dispersion_rad=0.0,
    )
    geometry = measured([[1, 0], [0, 1]], [1, 1], detail=detail, fates=("freeze", "train"))
    assert [(g.in_leader_set, g.admitted) for g in geometry.gradients] == [(True, False), (False, True)]
    (update,) = geometry.updates
    assert (update.n_leaders, update.n_admitted) == (1, 1)
    assert (update.threshold_rad, update.selection_ratio) == (0.3, 0.5)


def test_pairs_are_those_of_the_first_participants_and_everything_else_is_of_all() -> None:
    rows = family("random", MOST_PAIRED + 3, 5, seed=2)
    clients = tuple(range(7, 7 + len(rows)))
    geometry = measured(rows, rows.mean(0), clients=clients, fates=("train",) * len(rows))
    assert len(geometry.pairwise) == MOST_PAIRED * (MOST_PAIRED - 1) // 2
    assert max(p.other for p in geometry.pairwise) == 7 + MOST_PAIRED - 1
    assert len(geometry.gradients) == len(rows)
    angles = alignment.pairwise_angles(torch.from_numpy(rows))
    assert geometry.updates[0].mean_angle_rad == pytest.approx(
        float(angles.sum()) / (len(rows) * (len(rows) - 1))
    )


@pytest.mark.parametrize("kind", ["random", "tiny", "huge"])
@given(st.integers(2, 6), st.integers(0, 50))
def test_figures_are_those_of_their_definitions(kind: str, n: int, seed: int) -> None:
    scale = {"random": 1.0, "tiny": 1e-150, "huge": 1e150}[kind]
    rows = family("random", n, 7, seed=seed)
    update = family("random", 1, 7, seed=seed + 1000)[0]
    geometry = measured(rows * scale, update * scale)
    values = np.linalg.svd(rows, compute_uv=False)
    (got,) = geometry.updates
    assert got.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2)
    shares = values / values.sum()
    assert got.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    mean = rows.mean(0)
    lengths = np.linalg.norm(update), np.linalg.norm(mean)
    assert got.norm_ratio == pytest.approx(lengths[0] / lengths[1])
    assert got.cos_to_mean == pytest.approx(mean @ update / (lengths[0] * lengths[1]), abs=1e-9)
    assert got.descending_share == pytest.approx((rows @ update > 0).mean())


def test_ranks_of_parallel_and_of_orthogonal_gradients() -> None:
    one = torch.ones(4, 3, dtype=torch.float64) * torch.tensor([[1.0], [2.0], [-3.0], [1e-3]])
    assert ranks(alignment.gram(one)) == pytest.approx((1, 1), abs=1e-6)
    assert ranks(alignment.gram(torch.eye(4, dtype=torch.float64) * 5)) == pytest.approx((4, 4))


def learner_of(kind: Any, measures: bool, n_rounds: int = 3, **settings: Any) -> Learner:
    made = stage(setup_for(kind, 3))
    made.learner.measures_geometry = measures
    return made.run(frameworks[kind](**settings), n_rounds).learner


FREE = (
    "async_gapsl", "async_sfl", "async_sl", "buffered_sl", "cpsl", "cse_fsl", "cyclesl", "fsl_sage", "gas",
    "locsplitfed", "mp_sl", "splitfed_v1", "splitfed_v2", "splitfed_v3",
)  # fmt: skip
"""Their steps take fewer than all clients, or samples of all."""


@pytest.mark.parametrize("kind", sorted(set(frameworks) - {"fedavg", "sl", *FREE}))
def test_measuring_changes_no_bit_of_the_training(kind: str) -> None:
    on, off = (learner_of(kind, measures) for measures in (True, False))
    assert on.observed.learning_sha256() == off.observed.learning_sha256()
    for left, right in zip(on.server_state.value.parameters, off.server_state.value.parameters, strict=True):
        assert torch.equal(left, right)
    assert on.server_state.key == off.server_state.key
    assert [row.round for row in on.observed.updates] == [1, 2, 3]
    assert len(on.observed.gradients) == len(on.observed.pairwise) == 9
    assert off.observed.updates == off.observed.gradients == off.observed.pairwise == []


def test_the_update_of_psl_is_the_mean_gradient() -> None:
    for row in learner_of("psl", True).observed.updates:
        assert row.cos_to_mean == pytest.approx(1, abs=1e-9)
        assert row.norm_ratio == pytest.approx(1, abs=1e-9)


def test_the_geometry_of_gapsl_agrees_with_its_alignment_table() -> None:
    observed = learner_of("gapsl", True).observed
    for seen, own in zip(observed.gradients, observed.alignment, strict=True):
        assert (seen.round, seen.client, seen.in_leader_set, seen.admitted) == (
            own.round, own.client, own.in_leader_set, own.admitted,
        )  # fmt: skip
        assert (seen.score_rad, seen.gradient_norm) == (own.score_rad, own.gradient_norm)
    of_round = {row.round: row for row in observed.alignment}
    for row in observed.updates:
        own = of_round[row.round]
        assert (row.dispersion_rad, row.selection_ratio, row.threshold_rad) == (
            own.dispersion_rad, own.selection_ratio, own.threshold_rad,
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["sl", "fedavg"])
def test_frameworks_whose_server_sees_one_gradient_or_none_have_no_geometry(kind: str) -> None:
    assert learner_of(kind, True).observed.updates == []


def test_batch_norm_statistics_are_those_of_the_training_pass_alone() -> None:
    from gapslsim.models.zoo.cnn import Cnn

    states = []
    for measures in (True, False):
        setup = small_setup(2, model=Cnn(channels=(2, 3), norm="batch", cut=1), input_shape=(1, 8, 8))
        made = stage(setup)
        made.learner.measures_geometry = measures
        states.append(made.run(frameworks["psl"](), 2).learner.server_state.value)
    assert states[0].buffers
    for left, right in zip(states[0].buffers, states[1].buffers, strict=True):
        assert torch.equal(left, right)
