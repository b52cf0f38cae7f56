"""The forecast of peak memory is near what PyTorch allocates."""

from __future__ import annotations

import pytest
import torch

from gapslsim.measuring.memory import Peak, client_peak, peak_bytes, server_peak
from gapslsim.measuring.probes import Probe, ProbeCnn
from gapslsim.models.zoo.mlp import Mlp

pytestmark = pytest.mark.filterwarnings("ignore")

MLP = Probe("mlp", Mlp(hidden=(64, 48)), (100,))
CNN = Probe("cnn", ProbeCnn(stages=((8, 8), (16,)), norm="group", hidden=(32,)), (3, 16, 16))


def test_the_peak_counts_what_is_held_at_a_time() -> None:
    inputs = torch.zeros(1000)

    def call() -> torch.Tensor:
        first = inputs + 1  # 4,000 bytes
        second = first.repeat(3)  # 12,000 bytes more
        del first
        return second[:10].clone()

    assert peak_bytes(call) == pytest.approx(16_000, abs=200)


@pytest.mark.parametrize("probe", [MLP, CNN], ids=lambda probe: probe.name)
def test_forecasts_are_within_a_third_of_what_is_allocated(probe: Probe) -> None:
    for peak in (
        client_peak(probe, 32),
        server_peak(probe, 32, 4, keeps_client_gradients=False),
        server_peak(probe, 32, 4, keeps_client_gradients=True),
    ):
        assert 0.75 < peak.ratio < 1.34


def test_keeping_every_clients_gradient_takes_that_much_more() -> None:
    n_bytes = 4 * (64 * 48 + 48 + 48 * 10 + 10)  # the server-side parameters, float32
    apart = server_peak(MLP, 32, 20, keeps_client_gradients=True)
    summed = server_peak(MLP, 32, 20, keeps_client_gradients=False)
    assert apart.forecast_bytes - summed.forecast_bytes == 20 * n_bytes
    assert apart.measured_bytes - summed.measured_bytes == pytest.approx(20 * n_bytes, rel=0.1)


def test_the_ratio_is_forecast_over_measurement() -> None:
    assert Peak(forecast_bytes=120, measured_bytes=100).ratio == pytest.approx(1.2)
