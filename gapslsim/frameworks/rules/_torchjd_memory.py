"""What TorchJD's aggregators with memory remember, taken out of them and put back, as tensors. Imports torch.

An aggregator is made anew in every round; with its memory put back it gives what one that was kept would give. The
memory is that of the rows, so the same clients must take part in every round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

__all__ = ["MEMORIES", "Memory"]


class Memory(ABC):
    """How one class of aggregators is made to remember."""

    @abstractmethod
    def put_back(self, aggregator: Any, memory: Mapping[str, Tensor], matrix: Tensor) -> None:
        """Fills a fresh aggregator; `memory` is what `take` gave and is never written to.

        Args:
            aggregator: a fresh one.
            memory: not empty.
            matrix: the gradients that it is about to see, [S, d].
        """

    @abstractmethod
    def take(self, aggregator: Any) -> dict[str, Tensor]:
        """What it remembers after a call."""


class _GradVac(Memory):
    """The running mean of the cosines between every two gradients, [S, S]."""

    def put_back(self, aggregator: Any, memory: Mapping[str, Tensor], matrix: Tensor) -> None:
        weighting = aggregator.gramian_weighting
        # A clone, as the aggregator writes into it, and a state that was handed over stays as it was.
        weighting._phi_t = memory["cosines"].cpu().clone()
        # The aggregator compares this with what it sees, and would forget everything if they differed.
        weighting._state_key = (len(matrix), matrix.dtype)

    def take(self, aggregator: Any) -> dict[str, Tensor]:
        return {"cosines": aggregator.gramian_weighting._phi_t}


class _NashMTL(Memory):
    """The weights of the last solution, [S], and how many rounds were seen."""

    def put_back(self, aggregator: Any, memory: Mapping[str, Tensor], matrix: Tensor) -> None:
        weighting = aggregator.weighting
        weighting.prvs_alpha = memory["weights"].cpu().numpy().copy()
        # At 0 it sets up its problem and solves it; what it does elsewhere depends on the remainder alone.
        weighting.step = float(memory["n_rounds"]) % weighting.update_weights_every

    def take(self, aggregator: Any) -> dict[str, Tensor]:
        weighting = aggregator.weighting
        return {
            "weights": torch.from_numpy(weighting.prvs_alpha.copy()),
            "n_rounds": torch.tensor(weighting.step % weighting.update_weights_every, dtype=torch.float64),
        }


class _PCD(Memory):
    """The running mean of the squared norms, [S], and how many rounds were seen."""

    def put_back(self, aggregator: Any, memory: Mapping[str, Tensor], matrix: Tensor) -> None:
        weighting = aggregator.gramian_weighting
        weighting._sq_norm_ema = memory["squared_norms"].cpu()
        weighting._n_steps = memory["n_rounds"].cpu()
        weighting._state_key = len(matrix)

    def take(self, aggregator: Any) -> dict[str, Tensor]:
        weighting = aggregator.gramian_weighting
        return {"squared_norms": weighting._sq_norm_ema, "n_rounds": weighting._n_steps}


class _ExcessMTL(Memory):
    """The sums of the squared gradients, [S, d]; weights, first excess risks and their sum in warm-up, [S]."""

    _PARTS: Final = {
        "weights": "_weights",
        "squares": "_sq_grad_sum",
        "first_risks": "_initial_w",
        "warmup_risks": "_warmup_w_sum",
    }

    def put_back(self, aggregator: Any, memory: Mapping[str, Tensor], matrix: Tensor) -> None:
        weighting = aggregator.weighting
        for name, attribute in self._PARTS.items():
            if name in memory:
                setattr(weighting, attribute, memory[name].to(matrix.device).clone())
        weighting._n_steps = int(memory["n_rounds"])
        weighting._state_key = (*matrix.shape, matrix.dtype, matrix.device)

    def take(self, aggregator: Any) -> dict[str, Tensor]:
        weighting = aggregator.weighting
        held = {name: getattr(weighting, attribute) for name, attribute in self._PARTS.items()}
        return {
            "n_rounds": torch.tensor(weighting._n_steps),
            **{name: value for name, value in held.items() if value is not None},
        }


MEMORIES: Final[Mapping[str, Memory]] = {
    "ExcessMTL": _ExcessMTL(),
    "GradVac": _GradVac(),
    "NashMTL": _NashMTL(),
    "PCD": _PCD(),
}
"""By the name of the aggregator's class."""
