"""What a server that keeps smashed data holds, and what keeps a frozen client from sending the same ones each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gapslsim.learning.codec import Codec
from gapslsim.learning.holdings import Holdings
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.model import Model

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData

__all__ = ["codecs_change_because", "kept_bytes", "layers_change_because", "sample_bytes"]


def kept_bytes(setup: LearningSetup, holdings: Holdings) -> int:
    """Of all training samples as their clients send them, with labels: what the server holds in the end [B]."""
    return sum(len(s) * sample_bytes(setup, holdings, c) for c, s in enumerate(setup.shards))


def sample_bytes(setup: LearningSetup, holdings: Holdings, client: int) -> int:
    """Of one sample of a client as it is sent, with its label [B]."""
    coding = setup.codings.get("activations")
    if coding is None:
        return holdings.sample_bytes(client) + setup.data.label_bytes
    shape = (1, *holdings.smashed_shape(client))
    return coding.size_bytes(shape, setup.itemsize) + setup.data.label_bytes


def codecs_change_because(codecs: Sequence[Codec]) -> str:
    """Why what arrives of a sample differs from message to message, in words; empty if it does not."""
    for codec in codecs:
        if not codec.is_elementwise or codec.feeds_back:
            return f"what {codec.kind} makes of a sample depends on its mini-batch, on chance or on messages before it"
    return ""


def layers_change_because(model: Model, data: LoadedData, seed: int) -> str:
    """Why the layers before the cut give a sample other features in other mini-batches, in words; empty if not.

    Args:
        model: with the cut of the client that holds most blocks.
        data: that is trained on; its shapes alone are read.
        seed: of the initial weights, with which the layers are tried on noise.
    """
    import torch

    from gapslsim.learning.probe import PROBED, probe
    from gapslsim.models.split import build

    noise = torch.randn(3, PROBED, *data.input_shape, generator=torch.Generator().manual_seed(0))
    examples = (noise > 0).long() if data.input_dtype == "int64" else noise
    traits, _ = probe(build(model, data.input_shape, data.n_classes, seed).client, list(examples))
    if traits.draws:
        return "the clients' layers draw random numbers (dropout)"
    return "the clients' layers mix the samples of a mini-batch (batch norm)" if traits.mixes_samples else ""
