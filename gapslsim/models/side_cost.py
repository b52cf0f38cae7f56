"""What a network costs and the sizes that its memory is made of, each side for one batch."""

from __future__ import annotations

from dataclasses import dataclass

from gapslsim.work import Cost

__all__ = ["ChainCost", "SideCost", "SplitCost"]


@dataclass(frozen=True, eq=False)
class SideCost:
    """Cost of one side of a split network for one batch, and the sizes that its memory is made of."""

    forward: Cost
    """Layers in order. The server's last entry is the loss."""
    backward: Cost
    """Layers in reverse order: gradients of parameters and of inputs. A layer with nothing to learn before it needs no
    gradient of its input: the client's first one. The server's first layer needs one: the cut gradient."""
    n_parameters: int
    n_trained: int
    """Of those, the ones that are not frozen (`requires_grad_(False)`), of which gradients, optimizers, messages and
    averages are."""
    n_buffers: int
    """Elements of the running statistics of batch norms and the like."""
    parameter_bytes: int
    trained_bytes: int
    """Of the parameters that are not frozen."""
    buffer_bytes: int
    input_bytes: int
    """The batch that enters: of inputs at the client, of smashed data at the server."""
    output_bytes: int
    """The batch that leaves: smashed data, whose gradient has the same size, or logits."""
    activation_bytes: int
    """Forward tensors that autograd keeps for the backward pass: the distinct storages that are neither the side's
    input nor its parameters nor buffers. Attention keeps q, k, v, its output and one number per row (fused
    kernel)."""
    workspace_bytes: int
    """Inputs and outputs of the layer where they are largest: what a pass needs at a time beyond what is kept, be it
    values (forward) or their gradients (backward)."""


@dataclass(frozen=True, eq=False)
class SplitCost:
    """Cost of a split network for one batch."""

    client: SideCost
    server: SideCost
    smashed_shape: tuple[int, ...]
    """Shape of one sample's cut-layer activations, without the batch."""


@dataclass(frozen=True, eq=False)
class ChainCost:
    """Cost of a network in several stretches for one batch."""

    stretches: tuple[SideCost, ...]
    """In order; the last one ends with the loss."""
    shapes: tuple[tuple[int, ...], ...]
    """Shape of what one sample sends from each stretch to the next, without the batch."""
