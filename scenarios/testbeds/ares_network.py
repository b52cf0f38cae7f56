"""The network of the ARES testbed: three convolutions and two linear layers for CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from gapslsim import FAMILIES, Model, check_cut, component, image_shape

if TYPE_CHECKING:
    from torch import nn


@FAMILIES["model"].register
@component
class AresNetwork(Model):
    """VGG-like network of seven entries: conv, pool, conv, pool, conv, linear, linear.

    Each convolution (3x3, 32, 64 and 64 channels) is followed by batch norm and ReLU. No activation lies between the
    linear layers (4096-128 and 128-10 for CIFAR-10), as in the source: 582,986 values in the state dict.
    """

    kind: Literal["ares_network"] = "ares_network"
    cut: PositiveInt = 2
    """Entries on the client: 1 to 6."""

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """The seven entries in order."""
        from torch import nn

        from gapslsim import he_init, named

        channels, height, width = image_shape("ares_network", input_shape)

        def conv(n_in: int, n_out: int) -> nn.Module:
            return named(
                ("conv", nn.Conv2d(n_in, n_out, 3, padding=1)),
                ("norm", nn.BatchNorm2d(n_out)),
                ("relu", nn.ReLU()),
            )

        n_features = 64 * (height // 4) * (width // 4)
        return he_init(
            [
                ("conv1", conv(channels, 32)),
                ("pool1", nn.MaxPool2d(2)),
                ("conv2", conv(32, 64)),
                ("pool2", nn.MaxPool2d(2)),
                ("conv3", conv(64, 64)),
                ("fc1", named(("flatten", nn.Flatten()), ("linear", nn.Linear(n_features, 128)))),
                ("fc2", named(("linear", nn.Linear(128, n_classes)))),
            ]
        )

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Entries on the client."""
        return check_cut("ares_network", self.cut, 7, "conv1, pool1, conv2, pool2, conv3, fc1, fc2")
