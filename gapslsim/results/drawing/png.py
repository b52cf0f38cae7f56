"""Pixels as a PNG file."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["png_of"]


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file of an image: grey [h, w], or red, green and blue [h, w, 3]."""
    from PIL import Image

    made = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(made, "PNG")
    return made.getvalue()
