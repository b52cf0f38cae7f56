"""Checks that models share: the range of a cut and the shape of an input. Needs no torch."""

from __future__ import annotations

__all__ = ["check_classes", "check_cut", "image_shape"]


def check_cut(kind: str, cut: int, n_blocks: int, counted: str) -> int:
    """The number of blocks on the client, if each side keeps at least one of `n_blocks`.

    Args:
        kind: the model's kind, for the message.
        cut: what the user asks for.
        n_blocks: blocks that a cut counts, those of the server included.
        counted: what a cut counts and where a good one lies, for the message.

    Raises:
        ValueError: if the cut is not in [1, n_blocks - 1]; the message gives the range.
    """
    last = n_blocks - 1
    if not 1 <= cut <= last:
        raise ValueError(
            f"cut must be from 1 to {last} for this {kind} ({counted}), found {cut}; change `cut`."
        )
    return cut


def check_classes(kind: str, n_classes: int) -> None:
    """Raises ValueError unless there is at least 1 class."""
    if n_classes < 1:
        raise ValueError(f"n_classes must be 1 or more for {kind}, found {n_classes}.")


def image_shape(kind: str, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """An input's (channels, height, width).

    Raises:
        ValueError: if the inputs are not images.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"model {kind} needs images of shape (channels, height, width), found inputs of shape"
            f" {tuple(input_shape)}; use model kind 'mlp', or data that are images."
        )
    channels, height, width = input_shape
    return channels, height, width
