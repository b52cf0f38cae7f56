"""Calls a template module with tensors that come from elsewhere, from several threads at once.

`torch.func.functional_call` puts tensors into the module for the time of the call, so two threads must not share one
module, and it costs as much as a small layer. A chain walks the layers instead and gives each its own tensors.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from gapslsim.learning.layers.stacked import StackedCall, stacked_call
from gapslsim.models.layer_types import form_of

__all__ = ["LayerChain"]

_Call = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor, bool], Tensor]


class _Stage(NamedTuple):
    """One layer: which parameters and buffers of the whole it takes, and its calls."""

    parameters: slice
    buffers: slice
    call: _Call
    stacked: StackedCall | None


class LayerChain:
    """The layers of a side in a row; pure, and safe to call from several threads.

    A max pooling after a ReLU is done before it, which leaves a quarter of the numbers to it: both orders give the same
    values and the same gradients, bit for bit, since ReLU keeps the order of positive numbers and stops the others.

    Args:
        module: the template; its own tensors are not used.
        stacks_all: whether layers without a stacked form of their own are stacked too; see `stacked`.
    """

    def __init__(self, module: nn.Module, stacks_all: bool = False) -> None:
        self._stages: list[_Stage] = []
        n_parameters = n_buffers = 0
        for layer in _pool_before_relu(_flat(module)):
            # Each takes what follows after those of the layers before it.
            parameters = slice(n_parameters, n_parameters := n_parameters + len(list(layer.parameters())))
            buffers = slice(n_buffers, n_buffers := n_buffers + len(list(layer.buffers())))
            call, stacked = _call(layer), stacked_call(layer, grouped=stacks_all)
            self._stages.append(
                _Stage(parameters, buffers, call, stacked or (_mapped(call) if stacks_all else None))
            )
        # A chain hands each layer tensors of its own, which would untie them: one template for all instead.
        if (n_parameters, n_buffers) != (len(list(module.parameters())), len(list(module.buffers()))):
            call = _Template(module)
            self._stages = [_Stage(slice(None), slice(None), call, _mapped(call) if stacks_all else None)]
        # All or nothing: a model that leaves the stack half way would have to come back into it.
        self.can_stack = all(stage.stacked is not None for stage in self._stages)
        """Whether several models of this shape can be called side by side."""

    def __call__(
        self,
        parameters: Sequence[Float[Tensor, "*_"]],
        buffers: Sequence[Shaped[Tensor, "*_"]],
        inputs: Shaped[Tensor, "b ..."],
        training: bool,
    ) -> Float[Tensor, "b ..."]:
        """Output of the last layer.

        Args:
            parameters: in the order of `module.parameters()`.
            buffers: in the order of `module.buffers()`; a norm that keeps statistics writes to them in training.
            inputs: a batch.
            training: whether dropout and batch norm behave as in training.
        """
        output = inputs
        for of_parameters, of_buffers, call, _ in self._stages:
            output = call(parameters[of_parameters], buffers[of_buffers], output, training)
        return output

    def stacked(
        self, parameters: Sequence[Float[Tensor, "n ..."]], inputs: Shaped[Tensor, "n b ..."]
    ) -> Float[Tensor, "n b ..."]:
        """Outputs in training mode of n models side by side, where `can_stack`; see `stacked`.

        Args:
            parameters: in the order of `module.parameters()`, those of all models in one.
            inputs: a batch for each model.
        """
        output = inputs
        for of_parameters, _, _, stacked in self._stages:
            assert stacked is not None
            output = stacked(parameters[of_parameters], output)
        return output


def _flat(module: nn.Module) -> list[nn.Module]:
    """Layers of nested `nn.Sequential` in order."""
    # Not `isinstance`: a subclass may have a forward pass of its own.
    if type(module) is not nn.Sequential:
        return [module]
    return [layer for child in module for layer in _flat(child)]


def _pool_before_relu(layers: list[nn.Module]) -> list[nn.Module]:
    for place in range(len(layers) - 1):
        if type(layers[place]) is nn.ReLU and type(layers[place + 1]) is nn.MaxPool2d:
            layers[place], layers[place + 1] = layers[place + 1], layers[place]
    return layers


def _call(layer: Any) -> _Call:
    given: Callable[[Tensor, Tensor, Tensor], Tensor]
    match form_of(layer):
        case "bare":  # nothing in it changes, so all threads may share it
            modes = (copy.deepcopy(layer).eval(), copy.deepcopy(layer).train())
            return lambda parameters, buffers, inputs, training: modes[training](inputs)
        case "linear":
            given = F.linear
        case "convolution":
            how = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}
            given = partial(F.conv2d, **how)
        case "group_norm":
            n_groups, eps = layer.num_groups, layer.eps
            given = lambda inputs, weight, bias: torch.group_norm(inputs, n_groups, weight, bias, eps)  # noqa: E731
        case _:
            return _Template(layer)
    return lambda parameters, buffers, inputs, training: given(inputs, *parameters)


def _mapped(call: _Call) -> StackedCall:
    """The stacked form of any layer without buffers and without random numbers."""
    return lambda parameters, inputs: torch.vmap(lambda own, batch: call(own, (), batch, True))(
        tuple(parameters), inputs
    )


class _Template:
    """Any other layer: `functional_call` on a copy per thread and mode."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._parameter_names = [name for name, _ in layer.named_parameters()]
        self._buffer_names = [name for name, _ in layer.named_buffers()]
        self._copies = threading.local()

    def __call__(
        self, parameters: Sequence[Tensor], buffers: Sequence[Tensor], inputs: Any, training: bool
    ) -> Any:  # between layers of one side more than a tensor may pass, as from an LSTM
        tensors: dict[str, Tensor] = dict(zip(self._parameter_names, parameters, strict=True))
        tensors.update(zip(self._buffer_names, buffers, strict=True))
        return functional_call(self._copy(training), tensors, (inputs,))

    def _copy(self, training: bool) -> nn.Module:
        # A copy per mode: a single one would have to be switched in each call, which walks over all its
        # layers.
        name = "training" if training else "evaluation"
        module: nn.Module | None = getattr(self._copies, name, None)
        if module is None:
            with torch.no_grad():
                module = copy.deepcopy(self._layer).train(training)
            setattr(self._copies, name, module)
        return module
