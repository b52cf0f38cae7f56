"""Formulas of TR 38.901 on values worked out from the standard's tables with a pocket calculator."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from gapslsim.network._radio import los_probability, noise_dbm, path_loss_db, shannon_bit_per_s
from gapslsim.network.channels.wireless import Wireless


@pytest.mark.parametrize(
    ("place", "distance", "ghz", "sight", "base", "user", "expected"),
    [
        # d3D = sqrt(100^2 + 23.5^2) = 102.7241; log10 = 2.011672; 20 log10(2) = 6.0206; d'BP = 4*24*0.5*2e9/3e8 = 320
        ("uma", 100, 2.0, True, 25, 1.5, 28.0 + 22 * 2.011672 + 6.020600),
        # beyond d'BP: d3D = sqrt(1000^2 + 23.5^2) = 1000.2761, log10 = 3.0001199; log10(320^2 + 23.5^2) = 5.0126375
        ("uma", 1000, 2.0, True, 25, 1.5, 28.0 + 40 * 3.0001199 + 6.020600 - 9 * 5.0126375),
        ("uma", 100, 2.0, False, 25, 1.5, 13.54 + 39.08 * 2.011672 + 6.020600),
        # d3D = sqrt(100^2 + 8.5^2) = 100.3606; log10 = 2.0015632; 20 log10(3.5) = 10.881361; d'BP = 210 m
        ("umi", 100, 3.5, True, 10, 1.5, 32.4 + 21 * 2.0015632 + 10.881361),
        # d3D = sqrt(500^2 + 8.5^2) = 500.0722, log10 = 2.6990328; log10(210^2 + 8.5^2) = 4.6451496
        ("umi", 500, 3.5, True, 10, 1.5, 32.4 + 40 * 2.6990328 + 10.881361 - 9.5 * 4.6451496),
        # 21.3 log10(3.5) = 11.588649
        ("umi", 100, 3.5, False, 10, 1.5, 35.3 * 2.0015632 + 22.4 + 11.588649),
        # d3D = sqrt(20^2 + 2^2) = 20.09975; log10 = 1.3031907; 20 log10(28) = 28.943161
        ("inh_open", 20, 28.0, True, 3, 1, 32.4 + 17.3 * 1.3031907 + 28.943161),
        # 24.9 log10(28) = 36.034235
        ("inh_mixed", 20, 28.0, False, 3, 1, 38.3 * 1.3031907 + 17.30 + 36.034235),
    ],
)
def test_path_loss_is_that_of_table_7_4_1_1(
    place: str, distance: float, ghz: float, sight: bool, base: float, user: float, expected: float
) -> None:
    assert path_loss_db(place, distance, ghz * 1e9, sight, base, user) == pytest.approx(expected, abs=5e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["uma", "umi", "inh_mixed", "inh_open"])
def test_without_line_of_sight_the_loss_is_never_smaller(place: str) -> None:
    for distance in (1, 10, 50, 300, 2000):
        losses = [path_loss_db(place, distance, 6e9, sight, 10, 1.5) for sight in (True, False)]  # type: ignore[arg-type]
        assert losses[1] >= losses[0]


@pytest.mark.parametrize(
    ("place", "distance", "height", "expected"),
    [
        ("umi", 18, 1.5, 1.0),
        ("umi", 100, 1.5, 0.18 + math.exp(-100 / 36) * 0.82),  # = 0.2310
        ("uma", 100, 1.5, 0.18 + math.exp(-100 / 63) * 0.82),  # = 0.3477
        ("uma", 100, 23, (0.18 + math.exp(-100 / 63) * 0.82) * (1 + 1.25 * math.exp(-100 / 150))),
        ("inh_mixed", 1.2, 1, 1.0),
        ("inh_mixed", 5.9, 1, math.exp(-1)),  # (5.9 - 1.2) / 4.7 = 1
        ("inh_mixed", 39.1, 1, 0.32 * math.exp(-1)),  # (39.1 - 6.5) / 32.6 = 1
        ("inh_open", 5, 1, 1.0),
        ("inh_open", 40.4, 1, math.exp(-0.5)),  # (40.4 - 5) / 70.8 = 0.5
        ("inh_open", 260.7, 1, 0.54 * math.exp(-1)),  # (260.7 - 49) / 211.7 = 1
    ],
)
def test_line_of_sight_has_the_probability_of_table_7_4_2_1(
    place: str, distance: float, height: float, expected: float
) -> None:
    assert los_probability(place, distance, height) == pytest.approx(expected, rel=1e-12)  # type: ignore[arg-type]


def test_noise_and_shannon_rate() -> None:
    assert noise_dbm(20e6, 5) == pytest.approx(-174 + 73.0103 + 5, abs=1e-4)
    assert shannon_bit_per_s(1e6, 3.0, 1.0, 9.0) == 2e6
    assert shannon_bit_per_s(1e6, 3.0, 0.6, 9.0) == pytest.approx(1.2e6)
    assert shannon_bit_per_s(1e6, 1e9, 1.0, 5.5) == 5.5e6


def test_the_rate_of_a_link_worked_out_from_its_budget() -> None:
    channel = Wireless(
        place="umi", power=23, noise_figure=5, bandwidth=20e6, carrier=3.5e9, max_efficiency=50
    )
    # UMi, 100 m, line of sight: loss 85.3142 dB; noise -95.9897 dBm; SNR = 23 - 85.3142 + 95.9897 = 33.6755 dB = 2330.9
    assert channel.rate_bit_per_s(100, True) == pytest.approx(20e6 * math.log2(1 + 2330.9), rel=1e-5)


def test_ofdma_keeps_the_power_in_a_narrower_band_and_tdma_cuts_the_time() -> None:
    figures = {"place": "umi", "bandwidth": 20e6, "max_efficiency": 50.0}
    alone = Wireless(**figures).rate_bit_per_s(300, False)  # type: ignore[arg-type]
    tdma = Wireless(**figures, access="tdma", n_sharing=4).rate_bit_per_s(300, False)  # type: ignore[arg-type]
    ofdma = Wireless(**figures, access="ofdma", n_sharing=4).rate_bit_per_s(300, False)  # type: ignore[arg-type]
    assert tdma == pytest.approx(alone / 4)
    snr = 2 ** (alone / 20e6) - 1
    assert ofdma == pytest.approx(5e6 * math.log2(1 + 4 * snr), rel=1e-9)
    proportional = Wireless(**figures, access="tdma", share=0.5).rate_bit_per_s(300, False)  # type: ignore[arg-type]
    assert proportional == pytest.approx(alone / 2)


def test_a_client_at_rest_without_fading_has_one_rate() -> None:
    channel = Wireless(distance=50, line_of_sight="always", shadowing=False)
    assert list(channel.steps(np.random.default_rng(0))) == [(0.0, channel.rate_bit_per_s(50, True))]


def test_line_of_sight_is_drawn_with_its_probability() -> None:
    channel = Wireless(distance=100, shadowing=False, max_efficiency=50)
    seen = channel.rate_bit_per_s(100, True)
    rates = [next(channel.steps(np.random.default_rng(seed)))[1] for seed in range(2000)]
    share = np.mean([rate == seen for rate in rates])
    assert share == pytest.approx(0.2310, abs=4 * math.sqrt(0.23 * 0.77 / 2000))


@pytest.mark.parametrize(
    ("fading", "variance"), [("rayleigh", 1.0), ("rician", (1 + 2 * 7.943) / (1 + 7.943) ** 2)]
)
def test_fading_gains_have_mean_one_and_the_variance_of_their_kind(fading: str, variance: float) -> None:
    channel = Wireless(fading=fading)  # type: ignore[arg-type]
    random = np.random.default_rng(1)
    gains = [channel._gain(random) for _ in range(20000)]
    assert np.mean(gains) == pytest.approx(1.0, abs=0.03)
    assert np.var(gains) == pytest.approx(variance, rel=0.1)


def test_fading_blocks_have_the_coherence_time_and_placement_does_not_depend_on_fading() -> None:
    still = Wireless(max_efficiency=50)
    fading = Wireless(max_efficiency=50, fading="rayleigh", coherence_time=0.25)
    steps = fading.steps(np.random.default_rng(3))
    points = [next(steps) for _ in range(5)]
    assert [time_s for time_s, _ in points] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len({rate for _, rate in points}) == 5
    # The gain of each block, from the SNR with and without it, is what the fading's own stream holds.
    snr = 2 ** (next(still.steps(np.random.default_rng(3)))[1] / 20e6) - 1
    gains = [(2 ** (rate / 20e6) - 1) / snr for _, rate in points]
    seed = int(np.random.default_rng(3).integers(0, 2**63, size=2)[1])
    own = np.random.Generator(np.random.Philox(key=seed))
    assert gains == pytest.approx([float(np.sum((own.standard_normal(2)) ** 2) / 2) for _ in range(5)])


def test_a_moving_client_turns_at_the_ends_of_its_way() -> None:
    channel = Wireless(
        distance=10,
        nearest=10,
        farthest=30,
        speed=10,
        line_of_sight="always",
        shadowing=False,
        max_efficiency=50,
    )
    steps = channel.steps(np.random.default_rng(0))
    rates = [next(steps)[1] for _ in range(5)]
    assert rates == [channel.rate_bit_per_s(distance, True) for distance in (10, 20, 30, 20, 10)]


def test_drawn_places_fill_the_ring_by_area() -> None:
    channel = Wireless(nearest=10, farthest=110)
    distances = [channel._first_distance(np.random.default_rng(seed)) for seed in range(3000)]
    assert min(distances) >= 10
    assert max(distances) <= 110
    # Half of the area lies within sqrt((10^2 + 110^2) / 2) = 78.1 m.
    assert np.median(distances) == pytest.approx(78.1, abs=3)


def test_figures_outside_the_standard_or_the_way_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"0\.5 GHz and 100 GHz"):
        Wireless(carrier=200e9)
    with pytest.raises(ValidationError, match="within nearest and farthest"):
        Wireless(speed=1, distance=5)
    with pytest.raises(ValidationError, match="nearest must be below farthest"):
        Wireless(nearest=50, farthest=50)
