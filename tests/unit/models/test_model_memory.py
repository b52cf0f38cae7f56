"""Peak memory, worked out by hand from made-up sizes."""

from __future__ import annotations

import pytest

from gapslsim.models.cost import SideCost
from gapslsim.models.memory import client_memory_bytes, server_memory_bytes
from gapslsim.work import NO_COST

SIDE = SideCost(
    forward=NO_COST,
    backward=NO_COST,
    n_parameters=250,
    n_trained=200,
    n_buffers=3,
    parameter_bytes=1000,
    trained_bytes=800,
    buffer_bytes=12,
    input_bytes=200,
    output_bytes=300,
    activation_bytes=7000,
    workspace_bytes=500,
)


def test_a_client_holds_weights_gradients_slots_buffers_input_kept_activations_and_the_cut_gradient() -> None:
    # sgd with momentum: weights, gradients, one slot; the cut gradient is as large as the output, 300
    assert client_memory_bytes(SIDE, n_slots=1) == 1000 + 2 * 800 + 12 + 200 + 7000 + 500 + 300
    assert client_memory_bytes(SIDE, n_slots=2) - client_memory_bytes(SIDE, n_slots=0) == 2 * 800


def test_no_cut_gradient_waits_where_the_client_holds_the_whole_model() -> None:
    found = client_memory_bytes(SIDE, n_slots=1, gets_cut_gradient=False)
    assert found == 1000 + 2 * 800 + 12 + 200 + 7000 + 500


def test_a_frozen_client_holds_weights_and_one_layer() -> None:
    assert client_memory_bytes(SIDE, n_slots=2, trains=False) == 1000 + 12 + 200 + 500


def test_a_server_holds_the_smashed_data_and_cut_gradients_of_all_clients() -> None:
    found = server_memory_bytes(SIDE, n_slots=1, n_clients=10, keeps_client_gradients=False)
    assert found == 1000 + 2 * 800 + 12 + 2 * 10 * 200 + 7000 + 500


def test_rules_that_need_them_cost_one_gradient_per_client_more() -> None:
    kept = server_memory_bytes(SIDE, n_slots=0, n_clients=10, keeps_client_gradients=True)
    assert kept - server_memory_bytes(SIDE, n_slots=0, n_clients=10, keeps_client_gradients=False) == 10 * 800


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="n_slots must be 0 or more, found -1"):
        client_memory_bytes(SIDE, n_slots=-1)
    with pytest.raises(ValueError, match="n_clients must be 1 or more, found 0"):
        server_memory_bytes(SIDE, n_slots=0, n_clients=0, keeps_client_gradients=True)
