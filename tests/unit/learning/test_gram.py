"""Norms and angles from the Gram matrix are those from the gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gapslsim.learning import alignment


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 8),
    st.integers(0, 10_000),
    st.sampled_from([1e-20, 1.0, 1e15]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_norms_and_angles_agree_with_those_of_the_gradients(
    n: int, seed: int, scale: float, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(seed)
    rows = (torch.randn(n, 40, generator=random, dtype=torch.float64) * scale).to(dtype)
    leaders = torch.zeros(n, dtype=torch.bool)
    leaders[torch.randperm(n, generator=random)[: max(1, n // 2)]] = True
    leader = alignment.leader_gradient(rows, leaders)
    known = alignment.gram(rows)
    torch.testing.assert_close(alignment.norms(known), rows.double().norm(dim=1), rtol=1e-13, atol=0)
    found = alignment.angles_to_leader(rows, known, leaders)
    torch.testing.assert_close(found, alignment.angles_to(rows, leader), rtol=0, atol=1e-10)


def test_leaders_that_nearly_cancel_are_not_taken_from_the_gram_matrix() -> None:
    one = torch.tensor([1.0, 0.0, 0.0])
    rows = torch.stack([one, -one + 1e-4 * torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])])
    leaders = torch.tensor([True, True, False])
    assert alignment.leader_gradient(rows, leaders).tolist() == pytest.approx([0.0, 5e-5, 0.0])
    found = alignment.angles_to_leader(rows, alignment.gram(rows), leaders)
    assert found.tolist() == pytest.approx([torch.pi / 2, torch.pi / 2 - 1e-4, 0.0], abs=1e-9)


def test_a_client_that_leads_alone_is_at_angle_zero_to_the_last_digit() -> None:
    rows = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    leaders = torch.tensor([False, True, False])
    found = alignment.angles_to_leader(rows, alignment.gram(rows), leaders)
    assert float(found[1]) == pytest.approx(0.0, abs=1e-12)


def test_cancelled_leaders_are_at_a_right_angle_to_everyone() -> None:
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    leaders = torch.tensor([True, True])
    found = alignment.angles_to_leader(rows, alignment.gram(rows), leaders)
    assert found.tolist() == [torch.pi / 2, torch.pi / 2]
