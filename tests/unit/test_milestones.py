"""When gradients are measured; evaluation and stop conditions are tested by whole runs."""

import pytest

from gapslsim.milestones import Milestones, Position
from gapslsim.scenario.limits import Evaluation, Every, Stop


def due(geometry: Every | None, rounds_per_epoch: int = 4, n_rounds: int = 12) -> list[int]:
    """Rounds that are measured; a round takes 2 s."""
    milestones = Milestones(Every(10, "rounds"), Stop(rounds=n_rounds), geometry)
    return [
        round
        for round in range(1, n_rounds + 1)
        if milestones.geometry_is_due(Position(round - 1, (round - 1) / rounds_per_epoch, 2.0 * (round - 1)))
    ]


@pytest.mark.parametrize(
    ("text", "rounds"),
    [
        ("1 round", list(range(1, 13))),
        ("5 rounds", [1, 6, 11]),
        ("20 rounds", [1]),
        ("1 epoch", [1, 5, 9]),
        ("0.1 epochs", list(range(1, 13))),
        ("7 s", [1, 5, 8, 12]),
    ],
)
def test_the_first_round_is_measured_and_then_one_per_interval(text: str, rounds: list[int]) -> None:
    assert due(Every.parse(text)) == rounds


def test_without_an_interval_nothing_is_measured() -> None:
    assert due(None) == []


@pytest.mark.parametrize(
    ("geometry", "sees", "interval"),
    [
        (None, True, Every(1, "rounds")),
        (None, False, None),
        ("never", True, None),
        ("5 rounds", False, Every(5, "rounds")),
        ("5 rounds", True, Every(5, "rounds")),
    ],
)
def test_unless_said_otherwise_it_comes_where_the_server_sees_each_clients_gradient(
    geometry: str | None, sees: bool, interval: Every | None
) -> None:
    assert Evaluation(geometry=geometry).geometry_interval(sees) == interval  # type: ignore[arg-type]
