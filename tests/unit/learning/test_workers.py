"""Threads over independent calls, and when they are used."""

from __future__ import annotations

import threading

import pytest
import torch

from gapslsim.learning.workers import Workers, choose_workers
from gapslsim.models.cost import split_cost
from gapslsim.models.zoo.cnn import Cnn
from gapslsim.models.zoo.mlp import Mlp


def test_results_come_in_order_whoever_ends_first() -> None:
    second_done = threading.Event()

    def first() -> int:
        assert second_done.wait(5)
        return 1

    def second() -> int:
        second_done.set()
        return 2

    assert Workers(2).together([first, second]) == [1, 2]


def test_one_worker_works_in_the_callers_thread() -> None:
    assert Workers(1).together([threading.get_ident] * 3) == [threading.get_ident()] * 3


def test_workers_have_as_many_threads_inside_an_operation_as_the_caller() -> None:
    assert set(Workers(2).together([torch.get_num_threads] * 4)) == {torch.get_num_threads()}


def test_calls_within_calls_do_not_wait_for_themselves() -> None:
    workers = Workers(2)

    def outer() -> list[int]:
        return workers.together([lambda: 1, lambda: 2])

    assert workers.together([outer] * 6) == [[1, 2]] * 6


def test_the_first_error_in_order_is_raised() -> None:
    def fail(what: str) -> None:
        raise ValueError(what)

    with pytest.raises(ValueError, match="one"):
        Workers(2).together([lambda: fail("one"), lambda: fail("two")])


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more, found 0"):
        Workers(0)


def test_auto_is_one_for_tiny_models_and_for_devices_that_are_not_the_cpu() -> None:
    tiny = split_cost(Mlp(hidden=(8,), cut=1), (6,), 3, 8)
    cnn = split_cost(Cnn(channels=(32, 64, 64), cut=1), (3, 16, 16), 10, 32)
    cpu = torch.device("cpu")
    assert choose_workers("auto", cpu, tiny) == 1
    assert choose_workers("auto", torch.device("cuda"), cnn) == 1
    assert choose_workers("auto", cpu, cnn) >= 1
    assert choose_workers(3, cpu, tiny) == 3
