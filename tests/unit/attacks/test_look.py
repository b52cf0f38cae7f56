"""The attack on models whose smashed data gives away all, nothing, or what is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gapslsim.attacks._inputs import inputs_of
from gapslsim.attacks.attack import Attack
from gapslsim.attacks.decoder import decoder_for
from gapslsim.attacks.look import Leaks, look
from gapslsim.data.dataset import LoadedData, Samples
from gapslsim.data.datasets.digits import Digits
from gapslsim.data.datasets.text import Text
from gapslsim.errors import DataError, ResultsError

SHARDS = [np.arange(100), np.arange(100, 400)]
CPU = torch.device("cpu")


class Noise(nn.Module):
    """What comes out has nothing to do with what goes in."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn(len(x), *self.shape)


class Patches(nn.Module):
    """Tokens of a class token and four patches, as a transformer has them."""

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.unfold(x, 4, stride=4).transpose(1, 2)
        return torch.cat([torch.zeros_like(patches[:, :1]), patches], dim=1)


@pytest.fixture(scope="module")
def digits() -> LoadedData:
    return Digits().load(None, 1)


def attacked(side: nn.Module, data: LoadedData, **settings: Any) -> dict[str, tuple[float, float]]:
    return by_measure(look({-1: side.eval()}, data, SHARDS, Attack(**settings), 1, CPU))


def by_measure(leaks: Leaks) -> dict[str, tuple[float, float]]:
    return {row.measure: (row.value, row.baseline_value) for row in leaks.rows}


def table(n: int = 400, width: int = 6) -> LoadedData:
    """Numbers in unlike units, each independent."""
    units = np.linspace(1, 3, width, dtype=np.float32)
    rows = units * np.random.default_rng(3).normal(size=(n, width)).astype(np.float32)
    part = Samples(np.zeros(n, np.int64), lambda: rows)
    return LoadedData("table", part, part, 2, (width,))


@pytest.mark.parametrize("side", [nn.Identity(), Patches()], ids=["as it is", "as patches"])
def test_a_side_that_passes_inputs_on_gives_away_all(digits, side):
    found = attacked(side, digits)
    assert found["distance_correlation"][0] == pytest.approx(1.0, abs=1e-6)
    assert found["corrected_distance_correlation"][0] == pytest.approx(1.0, abs=1e-6)
    assert found["reconstructed"][0] > 0.93
    assert found["ssim"][0] > 0.97
    assert found["psnr_db"][0] > found["psnr_db"][1] + 12


def test_a_side_that_is_linear_and_can_be_turned_back_gives_away_all_of_a_table():
    found = attacked(nn.Linear(6, 24), table(), epochs=200)
    assert found["reconstructed"][0] > 0.98
    assert "ssim" not in found


@pytest.mark.parametrize("side", [Noise(16, 8, 8), Noise(20)], ids=["map", "vector"])
def test_noise_gives_away_nothing(digits, side):
    found = attacked(side, digits)
    assert abs(found["corrected_distance_correlation"][0]) < 0.15
    # No better than the mean image, up to what chance gives to one that was held out.
    assert found["reconstructed"][0] < 0.02
    assert found["mse"][0] > 0.98 * found["mse"][1]
    assert found["ssim"][0] < found["ssim"][1] + 0.02


def test_half_of_a_table_that_is_passed_on_is_half_of_it_reconstructed():
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :3]

    found = attacked(Half(), table(), epochs=200)
    assert found["reconstructed"][0] == pytest.approx(0.5, abs=0.08)


def test_the_guess_is_the_mean_of_what_the_attacker_knows(digits):
    inputs = inputs_of(digits, SHARDS, Attack(), 1, 10**6)
    low, width = inputs.range
    assert (low.item(), (low + width).item()) == (
        pytest.approx(-0.3053 / 0.376),
        pytest.approx((1 - 0.3053) / 0.376),
    )
    known, right = ((part - low) / width for part in (inputs.known, inputs.attacked))
    expected = float(((right - known.mean(0)) ** 2).mean())
    assert attacked(nn.Identity(), digits, epochs=1)["mse"][1] == pytest.approx(expected, rel=1e-5)


def test_tokens_are_told_where_each_has_a_vector_and_guessed_where_there_is_noise():
    text = Text(length=12, stride=7).load(None, 1)
    told = attacked(nn.Embedding(text.n_classes, 16), text, epochs=30)
    assert told["right_tokens"][0] > 0.95
    assert told["reconstructed"][0] == pytest.approx(
        (told["right_tokens"][0] - told["right_tokens"][1]) / (1 - told["right_tokens"][1])
    )
    assert "mse" not in told
    guessed = attacked(Noise(12, 16), text, epochs=5)
    assert abs(guessed["reconstructed"][0]) < 0.05


def test_the_same_seed_finds_the_same_and_draws_nothing_from_others(digits):
    before = torch.get_rng_state()
    side = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
    attack = Attack(epochs=3)
    first, again = (look({0: side}, digits, SHARDS, attack, 7, CPU) for _ in range(2))
    assert first == again
    assert look({0: side}, digits, SHARDS, attack, 8, CPU) != first
    torch.set_rng_state(before)
    look({0: nn.Identity()}, digits, SHARDS, attack, 7, CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_models_with_equal_weights_are_attacked_once_and_told_each(digits):
    calls = []

    class Counting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return super().forward(x.flatten(1))

    sides: Mapping[int, nn.Module] = {c: Counting(64, 4) for c in (-1, 0, 1)}
    sides[0].load_state_dict(sides[-1].state_dict())
    leaks = look(sides, digits, SHARDS, Attack(epochs=1, samples=100, auxiliary=100), 1, CPU)
    assert calls == [1, 1, 1, *[32, 32, 32, 4] * 4]
    mean, first, second = ([row[1:] for row in leaks.rows if row.client == c] for c in (-1, 0, 1))
    assert mean == first != second


def test_who_is_attacked_and_who_is_known_have_nothing_in_common(digits):
    inputs = inputs_of(digits, SHARDS, Attack(), 1, 10**6)
    assert len(inputs.attacked) == len(digits.test) // 2
    assert len(inputs.attacked) + len(inputs.known) == len(digits.test)
    assert np.array_equal(inputs.attacked.numpy(), digits.test.inputs[inputs.places])
    both = {row.tobytes() for row in inputs.attacked.numpy()} & {
        row.tobytes() for row in inputs.known.numpy()
    }
    assert not both


def test_what_is_known_may_be_training_data_of_all_or_of_client_0(digits):
    of_all = inputs_of(digits, SHARDS, Attack(auxiliary_from="train"), 1, 10**6)
    own = inputs_of(digits, SHARDS, Attack(auxiliary_from="client"), 1, 10**6)
    assert (len(of_all.known), len(own.known)) == (400, 100)
    assert np.array_equal(own.known.numpy(), digits.train.inputs[:100])
    assert len(own.attacked) == 256
    assert len(inputs_of(digits, SHARDS, Attack(), 1, most=20).known) == 20


def test_pictures_are_of_the_first_images_with_pixels_as_they_are(digits):
    leaks = look({-1: nn.Identity()}, digits, SHARDS, Attack(), 1, CPU)
    assert len(leaks.pixels) == 6 * 64
    places = inputs_of(digits, SHARDS, Attack(), 1, 10**6).places
    first = np.array([p.original for p in leaks.pixels if p.sample == places[0]]).reshape(8, 8)
    pixels = (digits.test.inputs[places[0], 0] * 0.376 + 0.3053) * 255
    assert np.abs(first - pixels).max() <= 0.51
    made = np.array([p.reconstruction for p in leaks.pixels])
    assert np.abs(made - np.array([p.original for p in leaks.pixels])).mean() < 12


def test_large_images_are_made_small_for_pictures():
    rows = np.random.default_rng(1).random((40, 4, 100, 80)).astype(np.float32)
    part = Samples(np.zeros(40, np.int64), lambda: rows)
    data = LoadedData("large", part, part, 2, (4, 100, 80))
    side = nn.AvgPool2d(10)
    pixels = look({-1: side}, data, SHARDS, Attack(epochs=1), 1, CPU).pixels
    assert [max(getattr(p, axis) for p in pixels) + 1 for axis in ("channel", "y", "x")] == [3, 64, 51]


def test_too_few_inputs_and_too_large_decoders_are_refused_in_words(digits):
    few = LoadedData(
        "few", digits.train, Samples(np.zeros(6, np.int64), lambda: digits.test.inputs[:6]), 10, (1, 8, 8)
    )
    with pytest.raises(DataError, match=r"3 inputs to attack and 3 .* are too few .*auxiliary_from: train"):
        attacked(nn.Identity(), few)
    with pytest.raises(ResultsError, match="too large to be reconstructed"):
        decoder_for((10**6,), (3, 8, 8))


@pytest.mark.parametrize(
    ("smashed", "image"),
    [
        ((16, 8, 8), (3, 32, 32)), ((16, 1, 1), (1, 7, 9)), ((5, 12, 12), (1, 10, 10)), ((17, 6), (3, 16, 16)),
        ((16, 6), (3, 16, 16)), ((20,), (1, 4, 4)), ((3, 5), (1, 4, 4)),
    ],
)  # fmt: skip
def test_decoders_give_images_of_the_right_shape_and_begin_with_nothing(smashed, image):
    made = decoder_for(smashed, image)(torch.randn(2, *smashed))
    assert made.shape == (2, *image)
    assert not made.any()
