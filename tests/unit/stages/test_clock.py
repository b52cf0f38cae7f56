"""Samples that are kept, the rows that stand for them, and the machine's clock."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.stages.clock import MachineClock, keep, quantiles


def test_slow_samples_are_left_out_and_counted() -> None:
    kept = keep([1.0, 1.1, 1.2, 1.0, 7.0])
    assert kept.seconds == (1.0, 1.1, 1.2, 1.0)
    assert kept.n_outliers == 1
    assert kept.median_s == pytest.approx(1.05)


def test_samples_up_to_a_quarter_above_the_fast_ones_are_kept() -> None:
    assert keep([1.0, 1.0, 1.0, 1.25]).n_outliers == 0
    assert keep([1.0, 1.0, 1.0, 1.26]).n_outliers == 1


def test_most_samples_may_be_disturbed_but_one_fast_one_of_many_is_no_measure() -> None:
    assert keep([1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]).seconds == (1.0, 1.0)
    assert keep([0.1] + [3.0] * 15).n_outliers == 0


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40), st.integers(1, 9))
def test_quantiles_are_samples_in_order_and_never_more_than_asked(samples: list[float], n: int) -> None:
    chosen = quantiles(samples, n)
    assert len(chosen) == min(n, len(samples))
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(samples)


def test_seven_of_a_hundred_samples_keep_the_median() -> None:
    assert quantiles(list(range(100)), 7)[3] == 50


def test_one_thread_on_a_cpu_reads_processor_time_and_more_threads_wall_time() -> None:
    assert MachineClock(torch.device("cpu"), 1).now_s is time.process_time
    clock = MachineClock(torch.device("cpu"), 2)
    before = time.perf_counter()
    assert before <= clock.now_s() <= time.perf_counter()


@pytest.mark.parametrize(
    ("name", "module"), [("cuda:1", torch.cuda), ("cuda", torch.cuda), ("mps", torch.mps)]
)
def test_a_gpu_is_waited_for_at_each_reading_that_one_where_there_are_several(
    name: str, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[tuple[object, ...]] = []
    monkeypatch.setattr(module, "synchronize", lambda *device: waited.append(device))
    clock = MachineClock(torch.device(name), 1)
    assert clock.time(lambda: waited.append(("work",))) >= 0
    which = (torch.device(name),) if module is torch.cuda else ()
    assert waited == [which, ("work",), which]
