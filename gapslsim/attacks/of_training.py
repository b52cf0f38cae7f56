"""What the smashed data of trained models gives away: from a training to the attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from gapslsim.attacks.attack import Attack
from gapslsim.attacks.look import Leaks, look
from gapslsim.data.dataset import LoadedData

if TYPE_CHECKING:
    import torch
    from torch import nn

    from gapslsim.learning.learner import Learner

__all__ = ["HasClientSides", "leaks_of_learner", "leaks_of_training"]


class HasClientSides(Protocol):
    """Trained models."""

    def client_side(self, client: int | None = None) -> nn.Module:
        """The client-side model of a client, or the mean of all; see `TrainedModels`."""


def leaks_of_training(
    trained: HasClientSides,
    data: LoadedData,
    shards: Sequence[NDArray[np.int64]],
    attack: Attack,
    of_groups: tuple[int, ...],
    seed: int,
    device: torch.device,
) -> Leaks:
    """Attacks the mean client-side model and those of some clients.

    Args:
        trained: the models as the last evaluation saw them.
        data: that they were trained and tested on.
        shards: training samples of each client.
        attack: settings.
        of_groups: whose models are looked at unless the settings say so.
        seed: of the scenario.
        device: to compute on.
    """
    whose = attack.clients if attack.clients is not None else of_groups
    sides = {-1: trained.client_side(), **{client: trained.client_side(client) for client in whose}}
    return look(sides, data, shards, attack, seed, device)


def leaks_of_learner(
    learner: Learner, attack: Attack, of_groups: tuple[int, ...], device: torch.device
) -> Leaks:
    """The same of a training that has just ended; nothing where nothing was evaluated."""
    trained, setup = learner.trained(compute=True), learner.setup
    if trained is None:
        return Leaks()
    return leaks_of_training(trained, setup.data, setup.shards, attack, of_groups, setup.seed, device)
