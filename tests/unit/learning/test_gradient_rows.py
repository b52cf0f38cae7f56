"""Gradients in the host's memory: the numbers of a matrix on the device, block by block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gapslsim import simulate
from gapslsim.assembly import memory_forecast
from gapslsim.errors import ScenarioError
from gapslsim.learning import alignment
from gapslsim.learning.gradient_rows import GradientRows, blocks_of, mean_of, new_rows, rows_of
from gapslsim.learning.memory_options import Ways
from tests.unit.learning.test_forecast import measured, scenario

D = 40_000
"""Columns: two whole blocks and a rest."""


def on_host(matrix: Tensor) -> GradientRows:
    rows = new_rows(len(matrix), matrix.shape[1], matrix[0])
    # Two at a time, as from passes side by side.
    for start in range(0, len(matrix), 2):
        rows.write(slice(start, min(start + 2, len(matrix))), matrix[start : start + 2])
    return rows


@pytest.fixture(params=[torch.float32, torch.float64])
def matrix(request: pytest.FixtureRequest) -> Tensor:
    made = torch.randn(5, D, generator=torch.Generator().manual_seed(0), dtype=request.param)
    # Nearly parallel to another, so that its angles are taken from the gradients themselves; and very small.
    made[3] = made[1] + 1e-4 * made[2]
    made[4] *= 1e-30
    return made


def test_rows_blocks_and_parts_of_rows_are_those_that_were_written(matrix: Tensor) -> None:
    rows = on_host(matrix)
    assert rows.shape == matrix.shape
    assert rows.dtype == matrix.dtype
    assert torch.equal(rows[3], matrix[3])
    assert torch.equal(torch.cat(list(blocks_of(rows, 700)), dim=1), matrix)
    some = rows_of(rows_of(rows, [4, 1, 3]), [2, 0])
    assert torch.equal(torch.cat(list(blocks_of(some, 700)), dim=1), matrix[[3, 4]])
    assert torch.equal(
        rows.sums,
        torch.stack([pair.sum(1) for pair in (matrix[:2], matrix[2:4])])
        .flatten()
        .new_tensor([*matrix[:2].sum(1), *matrix[2:4].sum(1), *matrix[4:].sum(1)]),
    )


def test_factors_are_applied_as_rows_come_and_leave_the_rows_alone(matrix: Tensor) -> None:
    rows, factors = on_host(matrix), [1.0, 0.5, 2.0, 0.25, 3.0]
    weighed = rows.times(factors)
    assert torch.equal(weighed[2], 2 * matrix[2])
    assert torch.equal(rows_of(weighed, [3])[0], 0.25 * matrix[3])
    assert torch.equal(rows[2], matrix[2])


def test_every_angle_and_every_mean_has_the_bits_of_the_matrix(matrix: Tensor) -> None:
    rows, leaders = on_host(matrix), torch.tensor([True, False, True, True, False])
    known = alignment.gram(matrix)
    assert all(map(torch.equal, alignment.gram(rows), known))
    assert torch.equal(alignment.pairwise_angles(rows, known), alignment.pairwise_angles(matrix, known))
    leader = alignment.leader_gradient(matrix, leaders)
    assert torch.equal(alignment.leader_gradient(rows, leaders), leader)
    for ask in (alignment.angles_to, lambda given, _: alignment.angles_to_leader(given, known, leaders)):
        assert torch.equal(ask(rows, leader), ask(matrix, leader))
    assert torch.equal(mean_of(rows, [0, 2, 4]), matrix[[0, 2, 4]].mean(0))
    assert torch.equal(mean_of(matrix, [1, 4], total=True), matrix[[1, 4]].sum(0))


@pytest.mark.parametrize("d", [1, 63, 16_384, 16_385, 3 * 16_384 + 5])
@pytest.mark.parametrize("n", [1, 4, 10, 33])
def test_the_mean_of_blocks_has_the_bits_of_the_mean_of_the_whole(n: int, d: int) -> None:
    whole = torch.randn(n, d, generator=torch.Generator().manual_seed(n))
    assert torch.equal(mean_of(whole, range(n)), whole.mean(0))


@pytest.mark.parametrize(
    "framework",
    [
        "{kind: gapsl}", "{kind: gapsl, gradient: steer, lambda: 0.3, reduction: sum}",
        "{kind: gapsl, gradient: exact, lambda: 0.1}", "{kind: non_gda}", "{kind: async_gapsl}", "{kind: async_sl}",
    ],
)  # fmt: skip
def test_a_run_learns_the_same_wherever_its_gradients_are(framework: str, tmp_path: Path) -> None:
    there, here = (
        simulate(scenario(tmp_path, framework, memory=f"{{gradients: {where}}}"))
        for where in ("host", "device")
    )
    assert there.summary["learning_sha256"] == here.summary["learning_sha256"]
    assert there.updates.equals(here.updates)
    assert there.alignment.equals(here.alignment)


def test_gradients_that_do_not_fit_go_to_the_host_within_the_limit(tmp_path: Path) -> None:
    here, there = (
        memory_forecast(scenario(tmp_path, model="vit", memory=f"{{passes: remade, gradients: {where}}}"))
        for where in ("device", "host")
    )
    small = scenario(tmp_path, model="vit", memory=f"{{limit: {there.peak_bytes + 1} B}}")
    plan = memory_forecast(small)
    assert plan == there
    assert plan.ways == Ways(remakes_passes=True, rows_on_host=True)
    # Six rows less one that is under way, in any case.
    assert here.peak_bytes - there.peak_bytes > 0.6 * plan.host_bytes
    # On a CPU both memories are one: what is counted is what the device and the host have together.
    taken, _ = measured(small)
    assert taken - plan.host_bytes == pytest.approx(plan.peak_bytes, rel=0.25)


@pytest.mark.parametrize(
    ("framework", "why"),
    [
        (
            "{kind: parallel, server_update: {kind: torchjd, aggregator: PCGrad}}",
            "reads all gradients at once",
        ),
        ("{kind: parallel, server_update: {kind: gapsl}, phi: 0.5}", "phi adds the shared samples' part"),
    ],
)
def test_who_needs_gradients_on_the_device_is_told_where_the_scenario_puts_them_elsewhere(
    framework: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(
        ScenarioError, match=rf"memory.yaml:11: training.memory.gradients: .*{why}.*write auto or"
    ):
        scenario(tmp_path, framework, memory="{gradients: host}")
    assert not memory_forecast(scenario(tmp_path, framework, memory="{passes: remade}")).ways.rows_on_host
