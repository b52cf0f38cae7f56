from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gapslsim.planning.alone import Alone, Use
from gapslsim.planning.relaxed import least_of, time_of, value_at

GOALS = [
    {"round_time": 1.0},
    {"time_per_sample": 1.0},
    {"energy": 1.0},
    {"energy_per_sample": 2.0},
    {"bytes": 1.0},
    {"round_time": 1.0, "energy_per_sample": 3.0, "bytes": 0.01},
]


def one(stage_s, busy_s, lead_s=0.0, tail_s=0.0, samples=1.0) -> Alone:
    busy = np.array(busy_s, float)
    around = [np.where(busy > 0, s, np.inf) for s in (lead_s, tail_s)]
    return Alone(np.array(stage_s, float), Use(busy, *around), 0.0, 0.0, samples, 0.0, 0.0)


def drawn(random: np.random.Generator, n_stages: int = 3, n_stations: int = 2) -> Alone:
    use = Use(*random.exponential(1.0, (3, n_stages, n_stations)))
    return Alone(
        random.exponential(2.0, n_stages), use, *random.exponential(2.0, 3), *random.exponential(0.3, 2)
    )


def test_a_stage_takes_its_slowest_or_what_all_need_of_a_station_worked_by_hand():
    # First stage: 2 s alone; a link that both need for 3 s, first used after 0.5 s, 0.25 s before the end. Then 1 s.
    alone = [one([2, 1], [[3], [0]], 0.5, 0.5), one([1, 0.5], [[3], [0]], 1.0, 0.25)]
    assert time_of(alone) == 0.5 + 6 + 0.25 + 1


def test_ratios_are_found_where_a_larger_batch_pays_worked_by_hand():
    # Two groups on a server: 1 s and 1 sample, or 1.5 s and 3 samples, each. 3 s for 6 samples.
    options = [[one([0], [[1]], samples=1), one([0], [[1.5]], samples=3)] for _ in range(2)]
    value, picks = least_of(options, {"time_per_sample": 1.0}, 1)
    assert value == pytest.approx(0.5)
    assert picks == [1, 1]


@pytest.mark.parametrize("goals", GOALS, ids=lambda goals: "+".join(goals))
def test_the_least_of_all_choices_is_never_missed_from_above(goals):
    gaps = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        options = [[drawn(random) for _ in range(random.integers(1, 4))] for _ in range(4)]
        values = [value_at(alone, time_of(alone), goals) for alone in product(*options)]
        bound, picks = least_of(options, goals, 1)
        assert bound <= min(values) * (1 + 1e-9)
        assert all(pick < len(of_group) for pick, of_group in zip(picks, options, strict=True))
        gaps.append(1 - bound / min(values))
    assert np.mean(gaps) < 0.4


def test_where_one_stage_decides_the_bound_is_exact():
    for seed in range(60):
        random = np.random.default_rng(seed)
        options = [
            [one([random.exponential()], [[0.0]], samples=random.exponential()) for _ in range(3)]
            for _ in range(4)
        ]
        for goals in GOALS[:2]:
            least = min(value_at(alone, time_of(alone), goals) for alone in product(*options))
            assert least_of(options, goals, 1)[0] == pytest.approx(least, rel=1e-9)
