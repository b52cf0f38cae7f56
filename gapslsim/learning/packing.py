"""Bits as they are sent: whole numbers without gaps between them, floats as they lie in memory; and back again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gapslsim.learning.codec import Part

__all__ = ["packed", "unpacked"]


def packed(tensors: Sequence[Tensor], layout: Sequence[Part]) -> bytes:
    """A message; each part begins at a whole byte.

    Args:
        tensors: parts in order, int64 codes or floats, each of any shape.
        layout: numbers and bits of each.

    Raises:
        ValueError: if a part is no such numbers.
    """
    made = []
    for tensor, part in zip(tensors, layout, strict=True):
        count, bits = part.count, part.bits
        if tensor.numel() != count:
            raise ValueError(f"a part has {tensor.numel()} numbers, and {count} were announced")
        if tensor.is_floating_point():
            if tensor.element_size() * 8 != bits:
                raise ValueError(f"a part is {tensor.dtype}, and numbers of {bits} bits were announced")
            flat = tensor.detach().cpu().reshape(-1)
            made.append(flat.view(torch.uint8).numpy().tobytes() if count else b"")
        else:
            codes = tensor.reshape(-1).cpu().numpy()
            if codes.size and not (codes.min() >= 0 and codes.max() < 2**bits):
                raise ValueError(f"a part has codes from {codes.min()} to {codes.max()}, beyond {bits} bits")
            made.append(np.packbits((codes[:, None] >> np.arange(bits)) & 1).tobytes())
    return b"".join(made)


def unpacked(data: bytes, layout: Sequence[Part], dtypes: Sequence[torch.dtype]) -> list[Tensor]:
    """The parts of a message, flat.

    Args:
        data: what `packed` made.
        layout: numbers and bits of each part.
        dtypes: of each part; int64 for codes.
    """
    parts, at = [], 0
    for part, dtype in zip(layout, dtypes, strict=True):
        count, bits = part.count, part.bits
        raw = np.frombuffer(data[at : at + part.size_bytes], dtype=np.uint8)
        at += part.size_bytes
        if dtype.is_floating_point:
            parts.append(torch.from_numpy(raw.copy()).view(dtype) if count else torch.empty(0, dtype=dtype))
        else:
            ones = np.unpackbits(raw, count=count * bits).reshape(count, bits).astype(np.int64)
            parts.append(torch.from_numpy((ones << np.arange(bits)).sum(1)))
    return parts
