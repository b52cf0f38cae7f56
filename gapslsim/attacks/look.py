"""Looks what the smashed data of client-side models gives away: the attack itself, from models to rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor, nn

from gapslsim.attacks._inputs import Inputs, inputs_of
from gapslsim.attacks.attack import Attack
from gapslsim.attacks.decoder import Error, decoder_for, train_decoder
from gapslsim.attacks.distance_correlation import (
    corrected_distance_correlation,
    distance_correlation,
    distances,
)
from gapslsim.attacks.similarity import psnr_db, ssim
from gapslsim.data.dataset import LoadedData
from gapslsim.learning.torch_random import drawing
from gapslsim.records import LeakageRow, PixelRow
from gapslsim.rng import stream_seed

__all__ = ["Leaks", "look"]

_BATCH: Final = 128
_MOST_BYTES: Final = 1 << 30
"""Of the smashed data of what is attacked, and of what the attacker knows."""
_N_PICTURES: Final = 6
_LONGEST_SIDE: Final = 64
"""Of pictures that are kept [pixels]."""

Travels = Callable[[Tensor, int], Tensor]
"""From what the client-side model gives for a mini-batch, and its number, to what the attacker sees."""
_Numbers = dict[str, tuple[float, float]]
"""Of each measure: its value, and that of who sees no smashed data."""


class Leaks(NamedTuple):
    """What was found."""

    rows: Sequence[LeakageRow] = ()
    pixels: Sequence[PixelRow] = ()
    """Of the first attacked images."""


@dataclass(frozen=True, eq=False)
class _Found:
    numbers: _Numbers
    made: Shaped[Tensor, "n ..."]
    """Reconstructions: pixels in [0, 1], standardised numbers or tokens."""
    guess: Shaped[Tensor, ...]
    """The same of who sees no smashed data, for any input."""


def look(
    sides: Mapping[int, nn.Module],
    data: LoadedData,
    shards: Sequence[NDArray[np.int64]],
    attack: Attack,
    seed: int,
    device: torch.device,
    travels: Travels = lambda smashed, number: smashed,
    message: int = 32,
) -> Leaks:
    """Attacks the smashed data of each client-side model, in evaluation mode.

    The attacker knows some inputs with their smashed data, for instance from queries to the model, and trains a decoder
    of their own on them: an inverse network as in [he2019]. They know neither weights nor labels.

    Args:
        sides: the client-side model of each client, on the CPU; -1 for their mean.
        data: that the run was tested on.
        shards: training samples of each client.
        attack: settings.
        seed: of the scenario.
        device: to compute on.
        travels: what becomes of smashed data on its way.
        message: samples that travel together.

    Raises:
        DataError: if there are too few inputs.
        ResultsError: if the decoder would be too large.
    """
    one = torch.from_numpy(np.ascontiguousarray(data.test.inputs[:1]))
    with torch.no_grad():
        sample_bytes = one.nbytes + max(side(one).nbytes for side in sides.values())
    inputs = inputs_of(data, shards, attack, seed, max(1, _MOST_BYTES // sample_bytes))
    rows: list[LeakageRow] = []
    pixels: list[PixelRow] = []
    known: list[tuple[nn.Module, _Found]] = []
    for client, side in sides.items():
        found = next((found for other, found in known if _are_alike(side, other)), None)
        if found is None:
            sent = _sent(side.to(device), inputs, device, message, travels, seed)
            found = _attacked(*sent, inputs, attack.epochs, seed)
            side.cpu()
            known.append((side, found))
        counts, how = (len(inputs.attacked), len(inputs.known)), (attack.auxiliary_from, attack.epochs)
        rows += [
            LeakageRow(client, name, value, guessed, *counts, *how)
            for name, (value, guessed) in found.numbers.items()
        ]
        if inputs.are_images:
            pixels.extend(_pixels(client, inputs, found))
    return Leaks(rows, pixels)


def _sent(
    side: nn.Module, inputs: Inputs, device: torch.device, message: int, travels: Travels, seed: int
) -> tuple[Tensor, Tensor]:
    """Smashed data of what the attacker knows, and of what is attacked, as it arrives."""
    parts = [batch for part in (inputs.known, inputs.attacked) for batch in torch.split(part, message)]
    with torch.no_grad(), drawing(stream_seed(seed, "leakage", "smashed"), device):
        sent = [travels(side(batch.to(device)), number).float() for number, batch in enumerate(parts)]
    whole = torch.cat(sent)
    return whole[: len(inputs.known)], whole[len(inputs.known) :]


def _attacked(known: Tensor, seen: Tensor, inputs: Inputs, epochs: int, seed: int) -> _Found:
    """What is found by smashed data of what is known in that of what is attacked."""
    numbers = _correlations(inputs.attacked.to(seen.device), seen, seed)
    spread, mean = known.std(0), known.mean(0)
    spread = torch.where(spread > 1e-6 * spread.max(), spread, torch.ones_like(spread))
    known, seen = (known - mean) / spread, (seen - mean) / spread
    reconstruct = _tokens if inputs.are_tokens else _values
    found = reconstruct(inputs, known, seen, epochs, seed)
    return _Found(numbers | found.numbers, found.made.cpu(), found.guess.cpu())


def _correlations(inputs: Shaped[Tensor, "n ..."], seen: Float[Tensor, "n ..."], seed: int) -> _Numbers:
    a, b = distances(inputs), distances(seen)
    random = torch.Generator().manual_seed(stream_seed(seed, "leakage", "shuffled"))
    order = torch.randperm(len(b), generator=random).to(b.device)
    shuffled = b[order][:, order]
    return {
        each.__name__: (each(a, b), each(a, shuffled))
        for each in (distance_correlation, corrected_distance_correlation)
    }


def _trained(
    known: Tensor, wanted: Tensor, n_tokens: int | None, error: Error, epochs: int, seed: int
) -> nn.Module:
    with drawing(stream_seed(seed, "leakage", "decoder"), torch.device("cpu")):
        shapes = tuple(known.shape[1:]), tuple(wanted.shape[1:])
        decoder = decoder_for(*shapes, n_tokens).to(known.device)
    random = torch.Generator().manual_seed(stream_seed(seed, "leakage", "batches"))
    return train_decoder(decoder, known, wanted, error, epochs, random)


def _values(inputs: Inputs, known: Tensor, seen: Tensor, epochs: int, seed: int) -> _Found:
    """Reconstruction of numbers; of images as pixels in [0, 1]."""
    low, width = inputs.range
    wanted, right = (
        ((part - low) / width).to(known.device, torch.float32) for part in (inputs.known, inputs.attacked)
    )
    guess = wanted.mean(0)
    decoder = _trained(known, wanted - guess, None, F.mse_loss, epochs, seed)
    with torch.no_grad():
        made = torch.cat([decoder(batch) for batch in torch.split(seen, _BATCH)]) + guess
    made = made.clamp(0.0, 1.0) if inputs.are_images else made
    error, of_guess = (
        float(F.mse_loss(one.double(), right.double())) for one in (made, guess.expand_as(right))
    )
    numbers = {"reconstructed": (1 - error / of_guess, 0.0)} if of_guess > 0 else {}
    numbers["mse"] = (error, of_guess)
    if inputs.are_images:
        numbers["psnr_db"] = (psnr_db(error), psnr_db(of_guess))
        alike, of_all = (float(ssim(one, right).mean()) for one in (made, guess.expand_as(right)))
        numbers["ssim"] = (alike, of_all)
    return _Found(numbers, made, guess)


def _tokens(inputs: Inputs, known: Tensor, seen: Tensor, epochs: int, seed: int) -> _Found:
    """Reconstruction of tokens; the guess is the commonest token of each place."""
    wanted, right = inputs.known.to(known.device), inputs.attacked.to(known.device)
    n_tokens = int(max(wanted.max(), right.max())) + 1
    guess = wanted.mode(0).values

    def error(logits: Tensor, tokens: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, -2), tokens.flatten())

    decoder = _trained(known, wanted, n_tokens, error, epochs, seed)
    with torch.no_grad():
        made = torch.cat([decoder(batch).argmax(-1) for batch in torch.split(seen, _BATCH)])
    share, of_guess = (float((one == right).double().mean()) for one in (made, guess))
    numbers = {"reconstructed": ((share - of_guess) / (1 - of_guess), 0.0)} if of_guess < 1 else {}
    return _Found(numbers | {"right_tokens": (share, of_guess)}, made, guess)


def _pixels(client: int, inputs: Inputs, found: _Found) -> list[PixelRow]:
    low, width = inputs.range
    right = (inputs.attacked[:_N_PICTURES] - low) / width
    shown = [_small(one) for one in (right, found.made[:_N_PICTURES], found.guess.expand_as(right))]
    return [
        PixelRow(client, int(inputs.places[at[0]]), *at[1:], *(int(pixels[at]) for pixels in shown))
        for at in np.ndindex(*shown[0].shape)
    ]


def _small(images: Float[Tensor, "n c h w"]) -> NDArray[np.uint8]:
    """Grey or red, green and blue, no larger than pictures shall be."""
    images = images[:, : 3 if images.shape[1] >= 3 else 1]
    if (longest := max(images.shape[2:])) > _LONGEST_SIDE:
        size = [max(1, side * _LONGEST_SIDE // longest) for side in images.shape[2:]]
        images = F.interpolate(images, size=size, mode="area")
    return np.asarray((255 * images.clamp(0, 1)).round().to(torch.uint8).numpy())


def _are_alike(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules have the same layers with equal weights."""
    of_a, of_b = a.state_dict(), b.state_dict()
    return str(a) == str(b) and all(map(torch.equal, of_a.values(), of_b.values()))
