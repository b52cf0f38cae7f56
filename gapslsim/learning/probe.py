"""What a module does in a pass, found by passes and not by the classes of its layers.

Users bring layers of their own, and functions within them: dropout may be `F.dropout`, noise, a coin of Python's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from gapslsim.errors import ComponentError
from gapslsim.learning.torch_random import drawing, random_states

__all__ = ["PROBED", "Traits", "probe"]

PROBED = 4
"""Samples of the batches that a model is tried with: batch norm needs two, and more tell nothing new."""

_SEED = 1
_CLOSE = 1e-4
"""Largest difference, relative to the largest output, that rounding of unlike batch sizes may make."""
_IN_PLACE = (
    "a layer of the model writes to its input (`x += ...`, `F.relu_(x)`), which others still read; write "
    "`x = x + ...` and `F.relu(x)`."
)

_UNSTEADY = (
    "a layer of the model gives another output for the same input and the same seed: it draws from a generator of its "
    "own, or keeps something from call to call. Draw with torch's functions without `generator=` (or Python's "
    "`random`, or `numpy.random`), and keep what is kept in a buffer (`self.register_buffer`)."
)


class Traits(NamedTuple):
    """What the learner must know of one side of a model."""

    draws: bool = True
    """Whether a pass in training draws random numbers."""
    draws_elsewhere: bool = True
    """Whether it draws from Python's or NumPy's generators."""
    draws_in_evaluation: bool = True
    """Whether a pass in evaluation mode does."""
    mixes_samples: bool = True
    """Whether samples of a batch see one another in training, or a pass may leave statistics behind."""
    unused: tuple[nn.Parameter, ...] = ()
    """Parameters that no pass uses; as in torch they have no gradient, and no optimizer touches them."""


def probe(module: nn.Module, examples: Sequence[Shaped[Tensor, "b ..."]]) -> tuple[Traits, Sequence[Tensor]]:
    """Traits of a module; it and all random states are left as they were.

    Args:
        module: one side of a model.
        examples: three batches of one size, with unlike samples.

    Returns:
        The traits, and the output in training for each batch.

    Raises:
        ComponentError: if a pass fails, two passes with one seed differ, or a pass writes to its input.
    """
    trained = _Trial(module, training=True)
    outputs = [trained(batch) for batch in examples]
    if not all(_same(trained(batch), output) for batch, output in zip(examples, outputs, strict=True)):
        raise ComponentError(_UNSTEADY)
    judged = _Trial(module, training=False)
    for batch in examples:
        judged(batch)
    draws = trained.draws or trained.draws_elsewhere
    traits = Traits(
        draws,
        trained.draws_elsewhere or judged.draws_elsewhere,
        judged.draws or judged.draws_elsewhere,
        next(module.buffers(), None) is not None or (not draws and _mixes(trained, examples, outputs)),
        trained.unused(examples[0]),
    )
    return traits, outputs


class _Trial:
    """A copy of a module, for passes with one seed from one state; notes where they draw from.

    Args:
        module: one side of a model.
        training: whether passes are in training mode.
    """

    def __init__(self, module: nn.Module, training: bool) -> None:
        self._module = module
        self._copy = copy.deepcopy(module).train(training)
        self.draws = self.draws_elsewhere = False

    def __call__(self, batch: Tensor) -> Tensor:
        """The output.

        Raises:
            ComponentError: if there is none, or the input was written to.
        """
        with torch.no_grad():
            return self._run(batch.clone(), batch)

    def unused(self, batch: Tensor) -> tuple[nn.Parameter, ...]:
        """Parameters of the module that the output does not depend on."""
        own, wanted = (
            [parameter for parameter in module.parameters() if parameter.requires_grad]
            for module in (self._module, self._copy)
        )
        given = batch.detach().clone()
        if given.is_floating_point():
            given.requires_grad_()  # as smashed data do
        with torch.enable_grad():
            output = self._run(given, batch)
        if not wanted or not output.requires_grad:
            return tuple(own)
        found = torch.autograd.grad(output, wanted, torch.ones_like(output), allow_unused=True)
        return tuple(parameter for parameter, gradient in zip(own, found, strict=True) if gradient is None)

    def _run(self, given: Tensor, batch: Tensor) -> Tensor:
        with torch.no_grad():
            # Layers may keep running statistics, and what comes out may depend on them.
            for own, first in zip(self._copy.buffers(), self._module.buffers(), strict=True):
                own.copy_(first)
        with drawing(_SEED, batch.device, elsewhere=True):
            before = random_states(batch.device)
            try:
                output = self._copy(given)
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                if "deterministic implementation" in str(error):
                    raise  # no fault of the model's; see `numerics`
                raise ComponentError(
                    f"a pass of a batch of {len(batch)} through the model fails: {error}"
                ) from error
            after = random_states(batch.device)
        if not isinstance(output, Tensor):
            raise ComponentError(
                f"a side of the model gives a {type(output).__name__}, not one tensor; cut it where one tensor passes."
            )
        if not _same(given, batch):
            raise ComponentError(_IN_PLACE)
        self.draws |= before[0] != after[0]
        self.draws_elsewhere |= before[1] != after[1]
        return output


def _mixes(trained: _Trial, examples: Sequence[Tensor], alone: Sequence[Tensor]) -> bool:
    """Whether what comes out for a batch depends on the other batch in a joined pass, or on there being one."""
    first, *others = examples
    try:
        joined = [trained(torch.cat([first, other])) for other in others]
    except ComponentError:  # for instance a batch size that is written into the model
        return True
    pairs = [torch.cat([alone[0], other]) for other in alone[1:]]
    if not all(_close(output, pair) for output, pair in zip(joined, pairs, strict=True)):
        return True
    # Shapes are equal, and with them the kernels: nothing but the other batch can make a difference.
    beside, elsewhere = (output[: len(first)] for output in joined)
    return not _same(beside, elsewhere)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    scale = other.abs().max().clamp(min=torch.finfo(other.dtype).tiny)
    return bool(((one - other).abs() <= _CLOSE * scale).all())
