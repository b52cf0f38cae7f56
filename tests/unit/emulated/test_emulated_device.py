"""The emulated device counts what a GPU would be asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.emulated import Log, emulated


def _counts(log: Log) -> tuple[int, int, int, int, int]:
    kinds = ("launches", "waits", "uploads", "queued_uploads", "mixed")
    return tuple(log.total(kind) for kind in kinds)  # type: ignore[return-value]


def test_products_are_launches_and_nothing_waits_for_them() -> None:
    with emulated() as log:
        given = torch.ones(3, 3, device="cuda")
        log.clear()
        product = (given @ given).t().reshape(9)  # a transposed matrix must be copied
        assert (product.device.type, _counts(log)) == ("cuda", (2, 0, 0, 0, 0))
        assert product.tolist() == [3.0] * 9
        assert log.total("waits") == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: t[0].item(),
        lambda t: bool((t > 0).all()),
        lambda t: t.cpu().numpy(),
        lambda t: t.to("cpu"),
        lambda t: t.tolist(),
        lambda t: t.nonzero(),
        lambda t: t[t > 0],
        lambda t: torch.bincount(t.long()),
        lambda t: torch.linalg.eigvalsh(torch.outer(t, t)),
    ],
)
def test_reads_masks_and_checked_results_wait_once(ask: Any) -> None:
    with emulated() as log:
        given = torch.ones(3, device="cuda")
        log.clear()
        ask(given)
        assert log.total("waits") == 1


def test_a_mask_that_is_filled_with_one_value_is_not_counted_first() -> None:
    with emulated() as log:
        given = torch.ones(3, device="cuda")
        given[given > 0] = 2.0
        assert log.total("waits") == 0
        assert given.tolist() == [2.0] * 3


def test_copies_to_the_device_wait_unless_they_come_from_pinned_memory() -> None:
    with emulated() as log:
        torch.ones(3).to("cuda", torch.float64)
        torch.ones(3).to("cuda", non_blocking=True)
        assert _counts(log)[2:4] == (2, 0)
        there = torch.ones(3).pin_memory().to("cuda", non_blocking=True)
        assert _counts(log)[2:4] == (2, 1)
        there[torch.tensor([0])]  # indices of the CPU are copied first
        there.new_tensor([1.0])
        assert _counts(log)[2:4] == (4, 1)


def test_tensors_of_two_devices_in_one_operation_are_told_and_scalars_may_come_from_the_cpu() -> None:
    with emulated() as log:
        there = torch.ones(3, device="cuda")
        there + torch.tensor(1.0)
        assert log.total("mixed") == 0
        there + torch.ones(3)
        assert log.total("mixed") == 1


def test_numbers_of_the_device_cannot_be_had_by_numpy() -> None:
    with emulated(), pytest.raises(TypeError, match="to numpy"):
        torch.ones(3, device="cuda").numpy()


def test_gradients_are_on_the_device_and_counted_by_line() -> None:
    with emulated() as log:
        layer = torch.nn.Linear(3, 2).to("cuda")
        layer(torch.ones(4, 3, device="cuda")).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.device.type == "cuda"
        assert log.total("mixed") == 0
        assert "launches" in log.report()


def test_mps_has_no_float64() -> None:
    with emulated("mps"):
        assert torch.ones(3, device="mps").device.type == "mps"
        with pytest.raises(TypeError, match="float64"):
            torch.ones(3, device="mps").double()


def test_outside_there_is_no_device() -> None:
    before = torch.cuda.is_available()
    with emulated(memory_bytes=5e9):
        assert torch.cuda.is_available()
        assert torch.cuda.mem_get_info() == (5 * 10**9, 5 * 10**9)
    assert torch.cuda.is_available() is before


def test_what_is_saved_there_is_read_there(tmp_path: Any) -> None:
    with emulated():
        torch.save({"a": torch.arange(3, device="cuda")}, tmp_path / "file.pt")
        read = torch.load(tmp_path / "file.pt", map_location="cuda:0", weights_only=True)["a"]
        assert read.device.type == "cuda"
        assert read.tolist() == [0, 1, 2]
