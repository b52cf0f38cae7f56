"""What the smashed data of trained models gives away: from a training to the attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gapslsim.attacks.attack import Attack
from gapslsim.attacks.look import Leaks, look
from gapslsim.rng import stream_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from gapslsim.attacks.look import Travels
    from gapslsim.learning.learner import Learner
    from gapslsim.learning.setup import LearningSetup

__all__ = ["HasClientSides", "leaks_of_learner", "leaks_of_training"]


class HasClientSides(Protocol):
    """Trained models."""

    def client_side(self, n_blocks: int, client: int | None = None) -> nn.Module:
        """The first blocks of the network of a client, or of the mean of all; see `TrainedModels`."""


def leaks_of_learner(
    learner: Learner, attack: Attack, of_groups: tuple[int, ...], device: torch.device
) -> Leaks:
    """Of a training that has just ended; nothing where nothing was evaluated. See `leaks_of_training`."""
    trained = learner.trained(compute=True)
    return (
        Leaks() if trained is None else leaks_of_training(trained, learner.setup, attack, of_groups, device)
    )


def leaks_of_training(
    trained: HasClientSides, setup: LearningSetup, attack: Attack, of_groups: tuple[int, ...], device: torch.device
) -> Leaks:  # fmt: skip
    """Attacks the mean client-side model and those of some clients.

    The mean network is cut where the earliest cut of the clients is.

    Args:
        trained: the models as the last evaluation saw them.
        setup: what they were trained with.
        attack: settings.
        of_groups: whose models are looked at unless the settings say so.
        device: to compute on.
    """
    whose = attack.clients if attack.clients is not None else of_groups
    earliest = min(_cut(setup, client) for client in range(setup.n_clients if setup.segments else 1))
    sides = {-1: trained.client_side(earliest)}
    sides |= {client: trained.client_side(_cut(setup, client), client) for client in whose}
    sent = _travels(setup), setup.batch_size
    return look(sides, setup.data, setup.shards, attack, setup.seed, device, *sent)


def _cut(setup: LearningSetup, client: int) -> int:
    """Blocks before a client's cut."""
    if setup.segments is not None:
        return setup.segments.of_client(client)[0].last
    return setup.model.cut_index(setup.data.input_shape, setup.data.n_classes)


def _travels(setup: LearningSetup) -> Travels:
    """Smashed data as it arrives, after its codecs; nothing of an earlier message is fed back."""
    coding = setup.codings.get("activations")
    if coding is None:
        return lambda smashed, _: smashed

    def arrive(smashed: Tensor, number: int) -> Tensor:
        def seed_of(place: int) -> int:
            return stream_seed(setup.seed, "leakage", "codec", number, place)

        return coding.send(smashed, None, seed_of).values

    return arrive
