"""Samples that are kept, the rows that stand for them, and the machine's clock."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.stages.clock import clock_of, keep, quantiles


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
    cpu = torch.device("cpu")
    assert clock_of(cpu, 1).now_s is time.process_time
    assert clock_of(cpu, 2).now_s is time.perf_counter


class _Event:
    """Of a GPU that needs 2 ms for each step asked of it: events have the time at which it comes to them."""

    asked = 0
    waits = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: object = "Apple's only one") -> None:
        assert stream in ("stream of cuda:1", "Apple's only one")
        self.at_ms = 2.0 * _Event.asked

    def synchronize(self) -> None:
        _Event.waits += 1

    def elapsed_time(self, end: _Event) -> float:
        assert _Event.waits, "not there yet"
        return end.at_ms - self.at_ms


@pytest.mark.parametrize("name", ["cuda:1", "mps"])
def test_a_gpu_tells_times_by_events_of_its_own_and_is_waited_for_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.mps.event, "Event", _Event)
    monkeypatch.setattr(torch.cuda, "Event", _Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(_Event, "waits", 0)
    monkeypatch.setattr(_Event, "asked", 0)
    clock = clock_of(torch.device(name), 4)

    def work(n: int) -> None:
        _Event.asked += n

    assert clock.time(lambda: work(3)) == pytest.approx(6e-3)
    marks = [clock.mark()]
    for n in (1, 0, 5):
        work(n)
        marks.append(clock.mark())
    assert clock.read(marks) == pytest.approx([0, 2e-3, 2e-3, 12e-3])
    assert _Event.waits == 2


def test_a_clock_without_events_waits_for_that_gpu_where_there_are_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[object] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("apple"))
    before_s = time.perf_counter()
    assert before_s <= clock_of(torch.device("cuda:1"), 1).now_s() <= time.perf_counter()
    clock_of(torch.device("mps"), 1).now_s()
    assert waited == [torch.device("cuda:1"), "apple"]
