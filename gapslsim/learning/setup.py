"""What a learner is made of: data and its division, model, optimizers, batch size, seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gapslsim.data.augmentation import Augmentation
from gapslsim.data.batches import BatchPlan
from gapslsim.data.dataset import LoadedData
from gapslsim.kernels import Compiling, Precision
from gapslsim.learning.auxiliary import Auxiliary
from gapslsim.learning.codec import Codec, Way
from gapslsim.learning.codecs.none import NoCodec
from gapslsim.learning.coding import Coding
from gapslsim.learning.loss import Loss
from gapslsim.learning.losses.cross_entropy import CrossEntropy
from gapslsim.learning.optimizer import Optimizer
from gapslsim.models.model import Model
from gapslsim.models.segments import Segments
from gapslsim.registry import content_of, is_shipped
from gapslsim.work import content_key

__all__ = ["LearningSetup"]


@dataclass(frozen=True, eq=False)
class LearningSetup:
    """Everything that training depends on, and nothing that the clock depends on alone."""

    data: LoadedData
    shards: Sequence[NDArray[np.int64]]
    """Training samples of each client, indices into `data.train`."""
    model: Model
    batch_size: int
    client_optimizer: Optimizer
    server_optimizer: Optimizer
    seed: int
    planned_rounds: int | None
    """T of Eq. (2); None if unknown."""
    itemsize: int = 4
    """Bytes per parameter and activation."""
    planned_client_steps: int | None = None
    """Optimizer steps that a client-side model is expected to take, for schedules."""
    planned_server_steps: int | None = None
    """Optimizer steps that the server is expected to take, for schedules."""
    augmentation: Augmentation | None = None
    """What is done to training images, mini-batch by mini-batch."""
    loss: Loss = field(default_factory=CrossEntropy)
    """What models are trained by."""
    batch_sizes: tuple[int, ...] | None = None
    """Of each client, where they are not all alike."""
    client_optimizers: tuple[Optimizer, ...] | None = None
    """Of each client's model, where they are not all alike."""
    compile: Compiling = "none"
    """How passes are compiled."""
    precision: Precision = "float32"
    """Of products and convolutions in passes."""
    codecs: Mapping[Way, tuple[Codec, ...]] = field(default_factory=dict)
    """Of what travels between client and server, by its way; in order."""
    gradients_follow: bool = False
    """Whether of cut gradients only what stands where activations were sent travels."""
    sends_frozen: bool = False
    """Whether clients are sent the weights that nobody trains; of no account to what is trained."""
    segments: Segments | None = None
    """Who owns which blocks, where that is not client and server with one cut, the model's, for all."""
    auxiliary: Auxiliary | None = None
    """What clients take a local loss with, if they do."""

    @property
    def n_clients(self) -> int:
        """Number of clients."""
        return len(self.shards)

    def cut_of(self, client: int) -> int | None:
        """Blocks on a client, where clients are cut unlike; else None: where the model says."""
        segments = self.segments
        return None if segments is None or segments.clients_are_alike else segments.cut(client)

    @cached_property
    def batches(self) -> BatchPlan:
        """Which samples a client's n-th mini-batch holds."""
        return BatchPlan(self.seed, self.shards, self.batch_sizes or self.batch_size)

    def optimizer_of(self, client: int) -> Optimizer:
        """Of a client's model."""
        return self.client_optimizer if self.client_optimizers is None else self.client_optimizers[client]

    def auxiliary_optimizer(self, client: int) -> Optimizer:
        """Of a client's auxiliary network."""
        own = None if self.auxiliary is None else self.auxiliary.optimizer
        return own or self.optimizer_of(client)

    @cached_property
    def codings(self) -> Mapping[Way, Coding]:
        """What is done to messages of each way; those that stay as they are are not there."""
        kept = {way: tuple(c for c in given if c.kind != "none") for way, given in self.codecs.items()}
        if self.gradients_follow and not kept.get("gradients"):
            kept["gradients"] = (NoCodec(),)
        return {way: Coding(given) for way, given in kept.items() if given}

    @cached_property
    def key(self) -> str:
        """Content key of the set-up; every operation's key begins with it."""
        settings: dict[str, Any] = {
            "data": self.data.key,
            "model": content_of(self.model),
            **({} if is_shipped(self.model) else {"weights": self._initial_weights()}),
            "batch_size": self.batch_size,
            "client": content_of(self.client_optimizer),
            "server": content_of(self.server_optimizer),
            "seed": self.seed,
            "planned_rounds": self.planned_rounds,
            "planned_client_steps": self.planned_client_steps,
            "planned_server_steps": self.planned_server_steps,
            "itemsize": self.itemsize,
            "loss": content_of(self.loss),
            "augmentation": None if self.augmentation is None else content_of(self.augmentation),
            "batch_sizes": None if self.batch_sizes is None else list(self.batch_sizes),
            "clients": [content_of(optimizer) for optimizer in self.client_optimizers or ()],
            **({} if self.precision == "float32" else {"precision": self.precision}),
            **({} if self.compile == "none" else {"compile": self.compile}),
            **({"codecs": coded} if (coded := self._codec_settings()) else {}),
            **({"gradients_follow": True} if self.gradients_follow else {}),
            **({} if self.segments is None else {"segments": [list(path) for path in self.segments.paths]}),
            **({} if self.auxiliary is None else {"auxiliary": content_of(self.auxiliary)}),
        }
        return content_key("setup", settings)

    def _codec_settings(self) -> dict[str, Any]:
        return {way: [content_of(codec) for codec in coding.codecs] for way, coding in self.codings.items()}

    def _initial_weights(self) -> str:
        """Digest of the weights that a user's own model begins with: it may read them from anywhere."""
        from torch import uint8

        from gapslsim.models.split import build

        split = build(self.model, self.data.input_shape, self.data.n_classes, self.seed)
        digest = hashlib.sha256()
        for side in (split.client, split.server):
            for tensor in (*side.parameters(), *side.buffers()):
                digest.update(f"{tuple(tensor.shape)} {tensor.dtype} {tensor.requires_grad}".encode())
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(uint8).numpy().data)
        return digest.hexdigest()

    @cached_property
    def shard_keys(self) -> tuple[str, ...]:
        """Content key of each client's shard."""
        return tuple(content_key("shard", np.asarray(shard).tolist()) for shard in self.shards)

    @cached_property
    def shards_key(self) -> str:
        """Content key of the division among all clients."""
        return content_key("shards", None, *self.shard_keys)
