"""Colours of all figures: of pages in light and dark, and of pictures, which are as pages are in light.

Series follow Okabe and Ito's palette, darkened for light and lightened for dark ground so that each has at least
three to one contrast with it; marks and dashes tell series apart without colour.
"""

from __future__ import annotations

from typing import Final

from gapslsim.results.categories import Category

__all__ = ["CATEGORY_DARK", "CATEGORY_LIGHT", "SERIES_DARK", "SERIES_LIGHT"]

SERIES_LIGHT: Final = (
    "#0067a8", "#c04f00", "#00785a", "#a8447f", "#8a6400", "#2a7fb8", "#5b3fb5", "#55595f",
)  # fmt: skip
SERIES_DARK: Final = (
    "#56b4e9", "#ff9a4d", "#35c99b", "#eb9ccb", "#f0bf3a", "#9fd2f5", "#b7a3ff", "#b9bec6",
)  # fmt: skip
CATEGORY_LIGHT: Final[dict[Category, str]] = {
    "client_compute": "#4a90c4", "uplink": "#e8a33d", "server_queue": "#b35c8e", "server_compute": "#2f9e79",
    "downlink": "#f3d36b", "waiting": "#e4e6e9",
}  # fmt: skip
"""What clients did; waiting is grey, so that what is done stands out."""
CATEGORY_DARK: Final[dict[Category, str]] = {
    "client_compute": "#5aa6db", "uplink": "#e0a04a", "server_queue": "#cf86b1", "server_compute": "#3fb48d",
    "downlink": "#d9bd5c", "waiting": "#3a3f47",
}  # fmt: skip
