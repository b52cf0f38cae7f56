"""Which inputs are attacked, which the attacker knows, and in what numbers they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from gapslsim.attacks.attack import Attack
from gapslsim.data.dataset import LoadedData
from gapslsim.errors import DataError
from gapslsim.rng import stream

__all__ = ["Inputs", "inputs_of"]

_LEAST_ATTACKED = 4
_LEAST_KNOWN = 8


@dataclass(frozen=True, eq=False)
class Inputs:
    """As the client-side model takes them: float32 [n, *input_shape], or tokens as int64 [n, T]."""

    attacked: Shaped[Tensor, "n ..."]
    places: NDArray[np.int64]
    """Of the attacked ones in the test set."""
    known: Shaped[Tensor, "m ..."]

    @property
    def are_tokens(self) -> bool:
        """Whether they are tokens and not numbers."""
        return not self.known.is_floating_point()

    @property
    def are_images(self) -> bool:
        """Whether they are [channels, height, width]."""
        return self.known.ndim == 4 and not self.are_tokens

    @property
    def range(self) -> tuple[Float[Tensor, ...], Float[Tensor, ...]]:
        """What is taken off and divided by to judge errors.

        Of images the least value of a channel and its width, so that pixels lie in [0, 1] however they are
        normalised; of other numbers the mean and standard deviation of each.
        """
        known = self.known
        if not self.are_images:
            spread = known.std(0)
            return known.mean(0), torch.where(spread > 0, spread, torch.ones_like(spread))
        of_channel = torch.cat([known, self.attacked]).transpose(0, 1).flatten(1)
        low = of_channel.amin(1)
        width = of_channel.amax(1) - low
        width = torch.where(width > 0, width, torch.ones_like(width))
        return low[:, None, None], width[:, None, None]


def inputs_of(
    data: LoadedData, shards: Sequence[NDArray[np.int64]], attack: Attack, seed: int, most: int
) -> Inputs:
    """Draws them.

    Args:
        data: that the run was tested on.
        shards: training samples of each client.
        attack: how many, and from where.
        seed: of the scenario.
        most: that fit the memory, of each.

    Raises:
        DataError: if there are too few.
    """
    shuffled = stream(seed, "leakage", "inputs").permutation(len(data.test))
    is_shared = attack.auxiliary_from == "test"
    n = min(attack.samples, len(shuffled) // (2 if is_shared else 1), most)
    attacked, rest = np.sort(shuffled[:n]), shuffled[n:]
    source = data.test if is_shared else data.train
    if not is_shared:
        rest = np.concatenate(shards) if attack.auxiliary_from == "train" else shards[0]
        rest = stream(seed, "leakage", "auxiliary").permutation(rest)
    known = np.sort(rest[: min(attack.auxiliary, most)])
    if n < _LEAST_ATTACKED or len(known) < _LEAST_KNOWN:
        raise DataError(
            f"leakage: {n} inputs to attack and {len(known)} that the attacker knows are too few (of {len(data.test)} "
            f"test samples); {_LEAST_ATTACKED} and {_LEAST_KNOWN} are needed. Use more data, or write auxiliary_from: "
            "train."
        )
    return Inputs(
        torch.from_numpy(np.ascontiguousarray(data.test.inputs[attacked])),
        attacked,
        torch.from_numpy(np.ascontiguousarray(source.inputs[known])),
    )
