"""The tensor operations of split learning, each a pure function of states and batches.

States come in and new states go out; nothing is written to. Losses are means over a mini-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from gapslsim.kernels import Compiling, Precision
from gapslsim.learning.compiling import compiled
from gapslsim.learning.criterion import CROSS_ENTROPY, Criterion
from gapslsim.learning.layers.chain import LayerChain
from gapslsim.learning.messages import Weights, WholeWeights
from gapslsim.learning.optimizer import Optimizer
from gapslsim.learning.precision import in_full, passing
from gapslsim.learning.probe import Traits, probe
from gapslsim.learning.state import OptimizerState, SideState
from gapslsim.learning.torch_random import drawing

__all__ = [
    "Side",
    "Tape",
    "differentiate",
    "flatten",
    "mean_weights",
    "train_locally",
    "unflatten",
    "with_frozen",
]


_CLOSE = 0.05
"""Largest difference of stacked passes to those of one model, relative to the largest output: several times what
bfloat16 rounds."""


@dataclass(frozen=True, eq=False)
class Tape:
    """A forward pass that can be differentiated: kept from a client's forward to its backward pass."""

    output: Float[Tensor, "*_"]
    parameters: tuple[Float[Tensor, "*_"], ...]
    """Leaves that the output depends on."""
    buffers: tuple[Shaped[Tensor, "*_"], ...]
    """Buffers after the pass (running statistics)."""


class Side:
    """One side of the split model: the module is a template, its tensors come from states.

    Args:
        module: layers of this side; never trained itself.
        optimizer: how this side takes a step.
        planned_steps: optimizer steps planned in all, for learning-rate schedules; None if unknown.
        examples: three batches of one size that may enter it, to find out what it does; without them it is taken to
            draw random numbers and to mix samples, which is right for every module but slower.
        stacks_all: whether models are stacked whatever their layers are; tried with the examples.
        precision: of passes.
        compiling: of passes.

    Raises:
        ComponentError: if a pass does not repeat with its seed.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        planned_steps: int | None,
        examples: Sequence[Shaped[Tensor, "b ..."]] = (),
        stacks_all: bool = False,
        precision: Precision = "float32",
        compiling: Compiling = "none",
    ) -> None:
        self.module = module
        self.precision: Precision = precision
        self.optimizer = optimizer
        self.planned_steps = planned_steps
        self.traits: Traits = Traits()
        self.example_outputs: Sequence[Tensor] = ()
        """What comes out for each of the examples in training."""
        if examples:
            self.traits, self.example_outputs = probe(module, examples)
        self._chain = LayerChain(module, stacks_all)
        self._call: Callable[..., Tensor] = self._chain.__call__
        self._call_stacked: Callable[..., Tensor] = self._chain.stacked
        for parameter in self.traits.unused:
            # Torch's optimizers leave what has no gradient as it is, weight decay included.
            parameter.requires_grad_(False)
        # Frozen weights are a part of the module and not of its states: no gradient, no optimizer, no message.
        self.frozen = {
            place: parameter.detach().clone()
            for place, parameter in enumerate(module.parameters())
            if not parameter.requires_grad
        }
        """By their places in `module.parameters()`."""
        self._begins_anew = False
        self._can_stack = self._chain.can_stack and (stacks_all or precision != "bfloat16")
        if stacks_all and examples and self.stackable:
            self._can_stack = self._stacks(examples[:2])
        # After the trials: layers make copies of themselves in the first pass of each mode, which no kernel does.
        if compiling != "none" and examples:
            self.predict(self.initial(), examples[0])
            self.forward(self.initial(), examples[0], 0)
        self._call, self._call_stacked = (
            compiled(call, compiling) for call in (self._call, self._call_stacked)
        )

    def with_optimizer(self, optimizer: Optimizer) -> Side:
        """The same side of another client, which has an optimizer of its own."""
        side = copy(self)
        side.optimizer, side._begins_anew = optimizer, True
        return side

    @property
    def draws(self) -> bool:
        """Whether a pass in training draws random numbers."""
        return self.traits.draws

    @property
    def mixes_samples(self) -> bool:
        """Whether samples of a batch see one another in training, or a pass may leave statistics behind."""
        return self.traits.mixes_samples

    def seeded(
        self, seed: int, device: torch.device, *, training: bool = True
    ) -> AbstractContextManager[None]:
        """Around a pass: its own random stream, if it draws from any."""
        # A stream per operation, whatever ran before: a replayed or reordered run draws the same masks.
        if not (self.traits.draws if training else self.traits.draws_in_evaluation):
            return nullcontext()
        return drawing(seed, device, elsewhere=self.traits.draws_elsewhere)

    def all_parameters(
        self, trained: Sequence[Float[Tensor, "*_"]], n_models: int | None = None
    ) -> Sequence[Float[Tensor, "*_"]]:
        """Those of a state and the frozen ones, in the order of `module.parameters()`.

        Args:
            trained: of a state; of several side by side, [n_models, ...] each.
            n_models: how many; None for one alone.
        """
        if n_models is None or not self.frozen:
            return with_frozen(trained, self.frozen)
        return with_frozen(trained, {i: t.expand(n_models, *t.shape) for i, t in self.frozen.items()})

    def initial(self) -> SideState:
        """The state of the template's own weights, with a fresh optimizer."""
        parameters = tuple(p.detach().clone() for p in self.module.parameters() if p.requires_grad)
        buffers = tuple(b.detach().clone() for b in self.module.buffers())
        return SideState(parameters, buffers, self.optimizer.initial(parameters))

    def forward(self, state: SideState | Weights, inputs: Shaped[Tensor, "b ..."], seed: int) -> Tape:
        """Forward pass in training mode.

        Args:
            state: parameters and buffers.
            inputs: of this side, a batch.
            seed: of this operation's own random stream (dropout).
        """
        # Detached views, not copies: fresh leaves, so that the graph of one pass never reaches into another.
        parameters = tuple(p.detach().requires_grad_() for p in state.parameters)
        # Batch norm writes its statistics in place, and the state that came in must stay as it was.
        buffers = tuple(b.clone() for b in state.buffers)
        with self.seeded(seed, inputs.device), passing(self.precision, inputs.device):
            output = self._call(self.all_parameters(parameters), buffers, inputs, training=True)
        return Tape(in_full(output), parameters, buffers)

    @property
    def stackable(self) -> bool:
        """Whether `forward_stacked` can be called."""
        return self._can_stack and not self.draws and not self.mixes_samples

    def _stacks(self, examples: Sequence[Shaped[Tensor, "b ..."]]) -> bool:
        """Whether two models side by side give what each gives alone; not where `torch.vmap` refuses a layer."""
        state = self.initial()
        given = [batch.detach() for batch in examples]

        def found(tape: Tape) -> list[Tensor]:
            made = [tape.output.detach()]
            return [*made, *differentiate(tape.output.square().sum(), tape.parameters)]

        try:
            twice = [p.expand(2, *p.shape) for p in state.parameters]
            beside = found(self.forward_stacked(twice, torch.stack(given)))
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            return False
        alone = zip(*(found(self.forward(state, batch, 0)) for batch in given), strict=True)
        return all(
            one.shape == other.shape
            and (not one.numel() or bool((one - other).abs().amax() <= _CLOSE * other.abs().amax()))
            for one, other in zip(beside, map(torch.stack, alone), strict=True)
        )

    def forward_stacked(
        self, parameters: Sequence[Float[Tensor, "n ..."]], inputs: Shaped[Tensor, "n b ..."]
    ) -> Tape:
        """Forward passes of n models side by side, in training mode; none sees the others.

        Args:
            parameters: of the n models; a view that repeats one tensor will do.
            inputs: a batch for each model.
        """
        leaves = tuple(parameter.detach().requires_grad_() for parameter in parameters)
        with passing(self.precision, inputs.device):
            output = self._call_stacked(self.all_parameters(leaves, len(inputs)), inputs)
        return Tape(in_full(output), leaves, ())

    def predict(
        self, state: SideState | Weights, inputs: Shaped[Tensor, "b ..."], seed: int = 0
    ) -> Float[Tensor, "b ..."]:
        """Forward pass in evaluation mode, without gradients.

        Args:
            state: parameters and buffers.
            inputs: of this side, a batch.
            seed: for modules that draw random numbers in evaluation too.
        """
        device = inputs.device
        with torch.no_grad(), self.seeded(seed, device, training=False), passing(self.precision, device):
            output = self._call(self.all_parameters(state.parameters), state.buffers, inputs, training=False)
        return in_full(output)

    def backward(self, tape: Tape, output_gradient: Float[Tensor, "*_"]) -> tuple[Float[Tensor, "*_"], ...]:
        """Gradients of the parameters, given that of the output; none for a side that has none to learn."""
        return differentiate(tape.output, tape.parameters, output_gradient)

    def slots_of(self, state: SideState) -> OptimizerState:
        """What the optimizer of this side goes on with."""
        # The common initial state, and one that was installed anew, has the slots of the usual optimizer.
        if self._begins_anew and not state.n_updates:
            return self.optimizer.initial(state.parameters)
        return state.optimizer

    def update(
        self,
        state: SideState,
        gradients: tuple[Float[Tensor, "*_"], ...],
        buffers: tuple[Shaped[Tensor, "*_"], ...],
    ) -> SideState:
        """State after one optimizer step."""
        parameters, optimizer = self.optimizer.step(
            state.parameters,
            self.optimizer.clipped(gradients),
            self.slots_of(state),
            state.n_updates,
            self.planned_steps,
        )
        return SideState(parameters, buffers, optimizer, state.n_updates + 1)


def with_frozen(
    trained: Sequence[Float[Tensor, "*_"]], frozen: Mapping[int, Float[Tensor, "*_"]]
) -> Sequence[Float[Tensor, "*_"]]:
    """All parameters in the order of a module: those of a state, and the frozen ones by their place."""
    if not frozen:
        return trained
    given = iter(trained)
    return [frozen[i] if i in frozen else next(given) for i in range(len(trained) + len(frozen))]


def differentiate(
    output: Float[Tensor, "*_"],
    inputs: Sequence[Float[Tensor, "*_"]],
    output_gradient: Float[Tensor, "*_"] | None = None,
    *,
    again: bool = False,
    keeps: bool = False,
) -> tuple[Float[Tensor, "*_"], ...]:
    """Gradients of an output; 0 for what this pass did not use, which is no error.

    Args:
        output: a scalar, unless its own gradient is given.
        inputs: leaves, or none.
        output_gradient: of the shape of the output.
        again: whether the gradients can be differentiated themselves.
        keeps: whether the graph stays, for those of another output.
    """
    if not inputs:
        return ()
    if not output.requires_grad:
        return tuple(map(torch.zeros_like, inputs))
    return torch.autograd.grad(
        output,
        inputs,
        output_gradient,
        retain_graph=again or keeps,
        create_graph=again,
        allow_unused=True,
        materialize_grads=True,
    )


def flatten(tensors: Sequence[Float[Tensor, "*_"]], like: Float[Tensor, "*_"]) -> Float[Tensor, " d"]:
    """All elements in one vector; of no tensors, an empty one of the kind of `like`."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors]) if tensors else like.new_empty(0)


def unflatten(
    vector: Float[Tensor, " d"], like: Sequence[Float[Tensor, "*_"]]
) -> tuple[Float[Tensor, "*_"], ...]:
    """The inverse of `flatten`: views of `vector` in the shapes of `like`."""
    if not like:
        return ()
    pieces = torch.split(vector, [tensor.numel() for tensor in like])
    return tuple(piece.view_as(tensor) for piece, tensor in zip(pieces, like, strict=True))


def mean_weights(weights: Sequence[Weights | SideState], shares: Sequence[float]) -> Weights:
    """Weighted mean of parameters and buffers; integer buffers are taken from the first.

    Args:
        weights: of the same shapes.
        shares: non-negative, summing to one.
    """

    def mean(models: list[tuple[Shaped[Tensor, "*_"], ...]]) -> tuple[Shaped[Tensor, "*_"], ...]:
        # Batch norm counts its batches in an integer, of which a weighted mean has no meaning.
        mixed = [place for place, tensor in enumerate(models[0]) if tensor.is_floating_point()]
        found = [tensor if place in set(mixed) else tensor.clone() for place, tensor in enumerate(models[0])]
        if mixed:
            # In order of the clients, one after the other: the sum is then the same on every machine.
            total = torch._foreach_mul([models[0][place] for place in mixed], shares[0])
            for model, share in zip(models[1:], shares[1:], strict=True):
                torch._foreach_add_(total, torch._foreach_mul([model[place] for place in mixed], share))
            for place, tensor in zip(mixed, total, strict=True):
                found[place] = tensor
        return tuple(found)

    return Weights(mean([w.parameters for w in weights]), mean([w.buffers for w in weights]))


def train_locally(
    client: Side,
    server: Side,
    start: WholeWeights,
    batches: Sequence[tuple[Shaped[Tensor, "b ..."], Shaped[Tensor, "b ..."], int]],
    first_step: int = 0,
    criterion: Criterion = CROSS_ENTROPY,
) -> tuple[WholeWeights, float]:
    """Local training of the whole model with the optimizer of the client side, from a fresh optimizer state.

    Args:
        client: the layers before the cut.
        server: the layers after the cut.
        start: the global model.
        batches: inputs, labels and the seed of each step.
        first_step: steps that this client took before; where the learning-rate schedule stands.
        criterion: the loss.

    Returns:
        The trained weights and the mean loss over the steps.
    """
    parameters = start.client.parameters + start.server.parameters
    n_client = len(start.client.parameters)
    buffers = (start.client.buffers, start.server.buffers)
    # Fresh in each call, as FedAvg's clients keep no momentum between rounds.
    optimizer = client.optimizer.initial(parameters)
    losses: list[Tensor] = []
    for step, (inputs, labels, seed) in enumerate(batches):
        lower = client.forward(Weights(parameters[:n_client], buffers[0]), inputs, seed)
        # The next seed: with that of the lower half both would draw the same numbers.
        upper = server.forward(Weights(parameters[n_client:], buffers[1]), lower.output, seed + 1)
        loss = criterion.mean(upper.output, labels)
        found = client.optimizer.clipped(differentiate(loss, lower.parameters + upper.parameters))
        parameters, optimizer = client.optimizer.step(
            parameters, found, optimizer, first_step + step, client.planned_steps
        )
        buffers = (lower.buffers, upper.buffers)
        # Detached, so that no step's graph is kept alive; read once, as each read waits for the device.
        losses.append(loss.detach())
    trained = WholeWeights(
        Weights(parameters[:n_client], buffers[0]), Weights(parameters[n_client:], buffers[1])
    )
    return trained, float(np.mean(torch.stack(losses).tolist()))
