"""Carries the augmentation of training images out, each mini-batch by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gapslsim.data.augmentation import Places
from gapslsim.learning._layout import sent
from gapslsim.learning.setup import LearningSetup

__all__ = ["augment", "augmented"]


def augmented(
    setup: LearningSetup,
    inputs: Tensor,
    labels: Tensor,
    wanted: Sequence[tuple[int, int]],
    rows: Sequence[NDArray[np.int64]],
) -> list[tuple[Tensor, Tensor]]:
    """Augmented inputs [b, c, h, w] and labels [b] of each (client, step), made together.

    Args:
        setup: with the augmentation.
        inputs: of the training set.
        labels: of the training set.
        wanted: client and step of each mini-batch.
        rows: its samples.
    """
    augmentation = setup.augmentation
    assert augmentation is not None
    chosen = sent(torch.from_numpy(np.concatenate(rows)), inputs.device)
    images, sizes = inputs[chosen], [len(own) for own in rows]
    drawn = [
        augmentation.draw(setup.seed, client, step, size, *images.shape[2:])
        for (client, step), size in zip(wanted, sizes, strict=True)
    ]
    places = Places(np.concatenate([p.rows for p in drawn]), np.concatenate([p.columns for p in drawn]))
    made = torch.split(augment(images, places, augmentation.crop), sizes)
    return list(zip(made, torch.split(labels[chosen], sizes), strict=True))


def augment(images: Float[Tensor, "b c h w"], places: Places, border: int) -> Float[Tensor, "b c h w"]:
    """The images with every pixel taken from its place; they lie channels last, as the training set does.

    Args:
        images: a batch.
        places: from `Augmentation.draw`.
        border: zeros around each image, `Augmentation.crop`.
    """
    framed = F.pad(images, (border,) * 4)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = (sent(torch.from_numpy(p.copy()), images.device) for p in (places.rows, places.columns))
    return framed[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
