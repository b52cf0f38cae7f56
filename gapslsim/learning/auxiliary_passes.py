"""Passes through the auxiliary networks with which clients take a loss of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gapslsim.errors import NumericalError
from gapslsim.learning._layout import sent
from gapslsim.learning.criterion import Criterion
from gapslsim.learning.messages import Smashed
from gapslsim.learning.operation import Alignment
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.state import SideState
from gapslsim.learning.tensors import Side, differentiate
from gapslsim.models.split import initial_blocks
from gapslsim.rng import stream, stream_seed

__all__ = ["AuxiliaryPasses", "LocalStep"]


@dataclass(frozen=True, eq=False)
class LocalStep:
    """What a client's own loss leaves."""

    state: SideState
    """Of the auxiliary network."""
    cut: Tensor
    """Gradient of the mean loss at the cut, [b, *smashed_shape]."""
    loss: float
    """The mean loss of the mini-batch, before any update."""


class AuxiliaryPasses:
    """The layers of auxiliary networks, and what is done with them.

    Args:
        setup: the network, its optimizers, the seed.
        client: layers of clients, whose examples show what the network does.
        server: the server's.
        device: torch device.
        dtype: of parameters.
        criterion: the loss.
    """

    def __init__(
        self,
        setup: LearningSetup,
        client: Side,
        server: Side,
        device: torch.device,
        dtype: torch.dtype,
        criterion: Criterion,
    ) -> None:
        assert setup.auxiliary is not None
        self._setup, self._server, self._criterion = setup, server, criterion
        examples = client.example_outputs
        shape, n_classes = tuple(examples[0].shape[1:]), setup.data.n_classes
        # A seed of its own: with the model's, layers of one shape would begin alike.
        blocks = initial_blocks(setup.auxiliary, shape, n_classes, stream_seed(setup.seed, "auxiliary"))
        module = nn.Sequential(*(block for _, block in blocks)).to(device, dtype)
        self.side = Side(
            module,
            setup.auxiliary_optimizer(0),
            setup.planned_client_steps,
            examples,
            precision=setup.precision,
        )
        own = {client: setup.auxiliary_optimizer(client) for client in range(setup.n_clients)}
        self._of_client = {
            client: self.side.with_optimizer(optimizer)
            for client, optimizer in own.items()
            if optimizer != self.side.optimizer
        }

    def step(self, client: int, state: SideState, message: Smashed, trains: bool, round: int) -> LocalStep:
        """Local loss of a mini-batch, its gradient at the cut, and the network's own step if it takes one."""
        side, smashed = self._of_client.get(client, self.side), message.activations.detach().requires_grad_()
        tape = side.forward(state, smashed, 0)
        loss = self._criterion.mean(tape.output, message.labels)
        cut, *gradients = differentiate(loss, (smashed, *tape.parameters))
        # One look at the device, not two.
        lost, total = torch.stack([loss.detach(), cut.sum()]).tolist()
        if not math.isfinite(total + lost):
            raise NumericalError(
                f"round {round}, client {client}: its local loss or the gradient of it is not finite (loss "
                f"{lost}). Lower the learning rate (training.client.lr, framework.auxiliary.optimizer)."
            )
        return LocalStep(side.update(state, tuple(gradients), tape.buffers) if trains else state, cut, lost)

    def align(
        self,
        how: Alignment,
        state: SideState,
        server: SideState,
        kept: Sequence[Smashed],
    ) -> SideState:
        """The network after steps that bring its gradients at the cut near the server's.

        Each minimises the squared distance of both, summed over samples and elements.

        Args:
            how: by which steps.
            state: of the network.
            server: the server's state.
            kept: mini-batches that the server has kept.
        """
        side = self._of_client.get(how.client, self.side)
        smashed = torch.cat([message.activations for message in kept]).detach()
        labels = torch.cat([message.labels for message in kept])
        n, wanted = len(smashed), self._wanted(how, server, smashed, labels)
        random = stream(self._setup.seed, "align", how.client, how.round)
        for _ in range(how.epochs):
            order = sent(torch.from_numpy(random.permutation(n)), smashed.device)
            for rows in torch.split(order, how.batch_size):
                target = wanted[rows] if how.of_all else wanted[rows] * (n / len(rows))
                given = smashed[rows].requires_grad_()
                tape = side.forward(state, given, 0)
                loss = self._criterion.mean(tape.output, labels[rows])
                (found,) = differentiate(loss, (given,), again=True)
                distance = (found - target).square().sum()
                state = side.update(state, differentiate(distance, tape.parameters), tape.buffers)
        return state

    def _wanted(self, how: Alignment, server: SideState, smashed: Tensor, labels: Tensor) -> Tensor:
        """The server's gradients of the mean loss over all samples."""
        seed = stream_seed(self._setup.seed, "operation", "align", how.client, how.round)
        given = smashed.clone().requires_grad_()
        tape = self._server.forward(server, given, seed)
        (gradient,) = differentiate(self._criterion.mean(tape.output, labels), (given,))
        return gradient
