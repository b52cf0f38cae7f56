"""Networks with several owners: states as parts of one network, the whole put together for evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gapslsim.learning.learner import Learner
from gapslsim.learning.messages import Weights
from gapslsim.learning.names import name_of
from gapslsim.learning.segmented_engine import SegmentedEngine
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.segments import Range, Segments, Stretch, two_parts
from gapslsim.models.split import whole
from gapslsim.models.zoo.cnn import Cnn
from tests.support import small_setup

PATHS = {
    "unlike cuts": two_parts([1, 2, 3], 4),
    "u-shape": Segments(((Stretch("client", 0, 1), Stretch("server", 1, 3), Stretch("client", 3, 4)),) * 3),
    "tiers": Segments(
        tuple(
            (Stretch("client", 0, 1), Stretch(f"server-edge-{i % 2}", 1, 2), Stretch("server", 2, 4))
            for i in range(3)
        )
    ),
}


def setup_with(segments: Segments | None) -> LearningSetup:
    setup = small_setup(
        3, n_train=30, batch_size=5, input_shape=(1, 8, 8), model=Cnn(channels=(4, 4, 8), norm="batch")
    )
    return replace(setup, segments=segments)


@pytest.mark.parametrize("shape", PATHS)
def test_the_states_along_a_path_are_the_whole_network(shape: str) -> None:
    setup = setup_with(PATHS[shape])
    learner = Learner(setup, SegmentedEngine(setup, torch.device("cpu"), torch.float64))
    module = whole(setup.model, setup.data.input_shape, setup.data.n_classes, setup.seed).double()
    for client in range(3):
        made = learner._whole(client).value
        for own, first in zip(made.parameters, module.parameters(), strict=True):
            assert torch.equal(own, first)
        assert len(made.buffers) == len(list(module.buffers()))


@pytest.mark.parametrize("shape", PATHS)
def test_every_view_sees_the_whole_network(shape: str) -> None:
    views = ("global", "clients", "ensemble", "local")
    rows = []
    for segments in (None, PATHS[shape]):
        setup = setup_with(segments)
        learner = (
            Learner(setup, SegmentedEngine(setup, torch.device("cpu"), torch.float64)) if segments else None
        )
        if learner is None:
            from gapslsim.learning.engine import Engine

            learner = Learner(setup, Engine(setup, torch.device("cpu"), torch.float64))
        learner.evaluate(views)
        rows.append([tuple(row) for row in learner.observed.accuracies])
    assert rows[0] == rows[1]


@pytest.mark.parametrize("shape", PATHS)
def test_the_bytes_of_a_state_are_those_of_its_tensors(shape: str) -> None:
    setup = replace(setup_with(PATHS[shape]), itemsize=4)
    learner = Learner(setup, SegmentedEngine(setup, torch.device("cpu"), torch.float32))
    assert setup.segments is not None
    for name in (*map(name_of, range(3)), *setup.segments.owners):
        state = learner.states[name].value
        size = sum(t.nbytes for t in (*state.parameters, *state.buffers))
        assert learner.holdings.of(name).size_bytes == size == learner.states[name].size_bytes


def test_a_part_of_a_state_is_what_lies_in_its_blocks() -> None:
    setup = setup_with(PATHS["u-shape"])
    stretches = SegmentedEngine(setup, torch.device("cpu")).stretches
    numbers = tuple(torch.tensor(float(i)) for i in range(6))  # conv1: weight, bias, norm x 2; then fc1: 2
    part = stretches.part(Weights(numbers, numbers[:3]), ((0, 1), (3, 4)), Range(3, 4))  # type: ignore[arg-type]
    assert part.parameters == numbers[4:]
    assert part.buffers == ()
