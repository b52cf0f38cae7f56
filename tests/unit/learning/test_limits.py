"""How much goes into one call: by the cache on a CPU, by all the memory that it has on a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from gapslsim.learning._layout import sent
from gapslsim.learning._limits import COLUMNS, limits_for
from tests.emulated import emulated

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def test_a_gpu_joins_what_a_pass_keeps_in_a_quarter_of_its_memory() -> None:
    side: Any = SimpleNamespace(workspace_bytes=1 << 20, activation_bytes=7 << 20)  # of a batch of 16
    with emulated(memory_bytes=64 << 30):
        limits = limits_for(GPU)
    # 16 GiB hold 2,048 batches of 8 MiB; side by side a quarter of that, for the patches of convolutions.
    assert limits.samples(limits.joined_bytes, side, 16) == 2048 * 16
    assert limits.samples(limits.stacked_bytes, side, 16) == 512 * 16
    # 1 GiB of float64 in 16 rows.
    assert limits.columns(16) == (1 << 30) // 128


def test_a_cpu_joins_what_fits_its_cache_whatever_a_pass_keeps() -> None:
    limits = limits_for(CPU)
    side: Any = SimpleNamespace(workspace_bytes=1 << 20, activation_bytes=7 << 20)
    assert limits.samples(limits.joined_bytes, side, 16) == 4 * 16
    assert limits.columns(3) == limits.columns(1000) == COLUMNS


def test_limits_do_not_follow_what_others_leave_free() -> None:
    # Or the same run would add up in another order tomorrow.
    with emulated(memory_bytes=64 << 30):
        empty = limits_for(GPU)
        torch.cuda.mem_get_info = lambda *_: (1 << 30, 64 << 30)
        assert limits_for(GPU) == empty


def test_what_is_sent_to_a_gpu_is_not_waited_for() -> None:
    with emulated() as log:
        there = sent(torch.arange(3), GPU)
        assert there.device == GPU
        assert (log.total("uploads"), log.total("queued_uploads")) == (0, 1)
    here = torch.arange(3)
    assert sent(here, CPU) is here
