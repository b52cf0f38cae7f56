"""Opens an image file: only formats that hold pixels, and only as many pixels as a photograph has."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Final

from gapslsim.regular_files import check_regular

__all__ = ["MOST_PIXELS", "opened_image"]

MOST_PIXELS: Final = 89_478_485
"""Of one image, as Pillow warns of; decoded they take 270 MB."""
_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Others of Pillow start programs (EPS) or are never what a folder of samples holds."""


def opened_image(given: Path | bytes) -> Any:
    """A Pillow image that is not decoded yet.

    Raises:
        OSError: if it is none, or has too many pixels; SyntaxError and ValueError, as Pillow does, if it is broken.
    """
    from PIL import Image

    if isinstance(given, Path):
        check_regular(given)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(given) if isinstance(given, bytes) else given, formats=_FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise OSError(f"it has more than {MOST_PIXELS:,} pixels") from error
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise OSError(f"it has {image.width} x {image.height} pixels; the most is {MOST_PIXELS:,}")
    return image
