"""An attacker's decoder: a network from smashed data back to inputs, trained on inputs that the attacker knows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from gapslsim.errors import ResultsError

__all__ = ["Error", "decoder_for", "train_decoder"]

_WIDTH: Final = 64
_HIDDEN: Final = 256
_MOST_WEIGHTS: Final = 40_000_000
"""Of one layer: 160 MB, four times as much in training."""
_BATCH: Final = 32
_RATE: Final = 2e-3
_HELD_OUT: Final = 0.1
"""Share of what the attacker knows that tells when to stop."""

Error = Callable[[Tensor, Tensor], Tensor]
"""Mean error of a batch of outputs against what they should be."""


def decoder_for(
    smashed_shape: tuple[int, ...], input_shape: tuple[int, ...], n_tokens: int | None = None
) -> nn.Module:
    """A decoder with a linear path beside a deep one, since what is linear is learnt from few samples.

    Maps to images are decoded by convolutions at the map's own resolution and a pixel shuffle; tokens with a vector for
    each one by one; everything else as one vector.

    Args:
        smashed_shape: of one sample.
        input_shape: of one input.
        n_tokens: of the vocabulary; None for numbers.

    Returns:
        From smashed data [b, *smashed_shape] to numbers [b, *input_shape], or to logits of tokens [b, T, n_tokens].

    Raises:
        ResultsError: if it would be too large to be trained.
    """
    if n_tokens is not None:
        if len(smashed_shape) == 2 and smashed_shape[0] == input_shape[0]:
            return _Vectors((smashed_shape[1],), (n_tokens,))
        return _Vectors(smashed_shape, (*input_shape, n_tokens))
    if len(input_shape) == 3 and (as_map := _map_of(smashed_shape)) is not None:
        return nn.Sequential(_AsMap(as_map), _Images(as_map, input_shape))
    return nn.Sequential(nn.Flatten(), _Vectors((math.prod(smashed_shape),), input_shape))


def train_decoder(
    decoder: nn.Module,
    smashed: Float[Tensor, "m ..."],
    inputs: Shaped[Tensor, "m ..."],
    error: Error,
    epochs: int,
    random: torch.Generator,
) -> nn.Module:
    """Trains it by Adam, and keeps the weights with the least error on a tenth that is held out.

    Args:
        decoder: fresh, on the device of the data.
        smashed: of what the attacker knows.
        inputs: what the attacker knows, as the decoder shall give it.
        error: to make small.
        epochs: passes over the other nine tenths.
        random: on the CPU; shuffles.
    """
    order = torch.randperm(len(inputs), generator=random)
    n_held = max(2, round(_HELD_OUT * len(inputs)))
    held, rest = order[:n_held].to(inputs.device), order[n_held:]
    optimizer = torch.optim.Adam(decoder.parameters(), lr=_RATE)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, kept = math.inf, copy.deepcopy(decoder.state_dict())
    for epoch in range(epochs + 1):
        decoder.eval()
        with torch.no_grad():
            now = float(error(decoder(smashed[held]), inputs[held]))
        if now < best:
            best, kept = now, copy.deepcopy(decoder.state_dict())
        if epoch == epochs:
            break
        decoder.train()
        shuffled = rest[torch.randperm(len(rest), generator=random)].to(inputs.device)
        for batch in torch.split(shuffled, _BATCH):
            optimizer.zero_grad()
            error(decoder(smashed[batch]), inputs[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        rate.step()
    decoder.load_state_dict(kept)
    return decoder.eval()


def _map_of(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Channels, height and width of smashed data that lies in the plane as the image does; None if it does not.

    The tokens of a transformer [T, d] are its patches row by row, perhaps after one that stands for the whole.
    """
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        side = math.isqrt(shape[0])
        if shape[0] - side * side in (0, 1) and side > 1:
            return shape[1], side, side
    return None


class _AsMap(nn.Module):
    """Smashed data as a map; a map stays as it is."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, smashed: Float[Tensor, "b ..."]) -> Float[Tensor, "b c h w"]:
        """The last h x w of the tokens, without one before them."""
        if smashed.ndim == 4:
            return smashed
        patches = smashed[:, -self._shape[1] * self._shape[2] :]
        return patches.transpose(1, 2).reshape(len(smashed), *self._shape)


class _Images(nn.Module):
    """From a map to images: each place of the map becomes a square of pixels, as in [shi2016]."""

    def __init__(self, shape: tuple[int, int, int], image: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        self._size = image[1:]
        factor = max(1, math.ceil(image[1] / height), math.ceil(image[2] / width))
        n_out = image[0] * factor**2
        _check_size(9 * _WIDTH * max(channels, n_out))
        self._straight = nn.Conv2d(channels, n_out, 3, padding=1)
        self._deep = nn.Sequential(
            nn.Conv2d(channels, _WIDTH, 3, padding=1), nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.ReLU(),
            nn.Conv2d(_WIDTH, n_out, 3, padding=1),
        )  # fmt: skip
        self._shuffle = nn.PixelShuffle(factor)
        _begin_at_zero(self._straight, self._deep[-1])

    def forward(self, smashed: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k H W"]:
        """Pixels; what lies beyond the image is cut off."""
        pixels: Tensor = self._shuffle(self._straight(smashed) + self._deep(smashed))
        return pixels[:, :, : self._size[0], : self._size[1]]


class _Vectors(nn.Module):
    """From the last dimensions of smashed data to others."""

    def __init__(self, shape: tuple[int, ...], out: tuple[int, ...]) -> None:
        super().__init__()
        n_in, n_out = math.prod(shape), math.prod(out)
        _check_size(_HIDDEN * max(n_in, n_out))
        self._n_dims, self._out = len(shape), out
        # Where it would be too large what is linear has to pass the deep path.
        self._straight = nn.Linear(n_in, n_out) if n_in * n_out <= _MOST_WEIGHTS else None
        self._deep = nn.Sequential(
            nn.Linear(n_in, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, n_out)
        )  # fmt: skip
        _begin_at_zero(*filter(None, (self._straight, self._deep[-1])))

    def forward(self, smashed: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Numbers or logits."""
        flat = smashed.flatten(smashed.ndim - self._n_dims)
        made: Tensor = self._deep(flat) if self._straight is None else self._straight(flat) + self._deep(flat)
        return made.reshape(*made.shape[:-1], *self._out)


def _begin_at_zero(*layers: nn.Module) -> None:
    """So that training begins with the guess of who sees nothing."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


def _check_size(n_weights: int) -> None:
    if n_weights > _MOST_WEIGHTS:
        raise ResultsError(
            f"leakage: the attacker's decoder would have a layer of {n_weights:,} weights, more than "
            f"{_MOST_WEIGHTS:,}: smashed data or inputs are too large to be reconstructed here"
        )
