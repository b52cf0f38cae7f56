"""Small networks that are measured: layers of many shapes, in the surroundings that training gives them."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Literal, NamedTuple

from gapslsim.data.division import load_sound
from gapslsim.data.source import public_data_folder
from gapslsim.models.model import Model
from gapslsim.models.zoo.mlp import Mlp
from gapslsim.models.zoo.vit import Vit
from gapslsim.registry import component

if TYPE_CHECKING:
    from torch import nn

    from gapslsim.scenario.schema import Scenario

__all__ = ["Probe", "ProbeCnn", "probes", "scenario_probe"]


@component
class ProbeCnn(Model):
    """Convolutions in stages, each stage ending in a pooling, then linear layers. Never trained, only timed."""

    kind: Literal["probe_cnn"] = "probe_cnn"
    cut: int = 1
    """Convolution blocks on the client."""
    stages: tuple[tuple[int, ...], ...]
    """Output channels of the convolutions of each stage."""
    kernel: int = 3
    norm: Literal["none", "batch", "group"] = "none"
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    pool: Literal["max", "average"] = "max"
    hidden: tuple[int, ...] = (96,)

    def blocks(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[str, nn.Module]]:
        """Named blocks in order; see the base class."""
        from torch import nn

        from gapslsim.models import layers

        n_in, side = input_shape[0], input_shape[1]
        blocks: list[tuple[str, nn.Module]] = []
        for stage in self.stages:
            for place, n_out in enumerate(stage):
                last = place == len(stage) - 1 and side >= 2
                block = layers.named(
                    ("conv", nn.Conv2d(n_in, n_out, self.kernel, padding=self.kernel // 2)),
                    ("norm", layers.norm(self.norm, n_out, gcd(8, n_out))),
                    (self.activation, layers.activation(self.activation)),
                    ("pool", layers.pool(self.pool) if last else None),
                )
                blocks.append((f"conv{len(blocks) + 1}", block))
                n_in, side = n_out, side // 2 if last else side
        return blocks + layers.classifier(n_in * side * side, self.hidden, n_classes)

    def cut_index(self, input_shape: tuple[int, ...], n_classes: int) -> int:
        """Blocks on the client; see the base class."""
        return self.cut


class Probe(NamedTuple):
    """One network with its input."""

    name: str
    model: Model
    input_shape: tuple[int, ...]
    n_classes: int = 10


def probes(quick: bool) -> list[Probe]:
    """The networks of the standard measurement; `quick` leaves out the larger ones.

    None is a network of the zoo with its defaults, so that those are new ones to the profile. Most widths are multiples
    of 16, as in networks that people use: kernels are faster there than at 20 or 40 channels. Numbers of classes
    differ, so that the loss is timed at several sizes.
    """
    image, digit = (3, 32, 32), (1, 8, 8)
    chosen = [
        Probe("cnn-digits", ProbeCnn(stages=((24,), (48,), (40,)), norm="group", hidden=()), digit),
        Probe(
            "cnn-narrow", ProbeCnn(stages=((24, 32), (48, 48), (80, 96), (96, 96), (160, 144))), image, 100
        ),
        Probe(
            "cnn-wide", ProbeCnn(stages=((32,), (80,), (112, 112)), norm="group", hidden=(1200,)), image, 20
        ),
        Probe(
            "cnn-thin", ProbeCnn(stages=((8, 48), (16, 96), (48, 160)), norm="batch", pool="average"), image
        ),
        Probe("mlp", Mlp(hidden=(320, 192, 640, 96)), (784,)),
        Probe("vit", Vit(patch=4, dim=96, depth=2, heads=3, cut=1), image, 50),
    ]
    if quick:
        return chosen
    return [
        *chosen,
        Probe("cnn-point", ProbeCnn(stages=((32, 64), (128, 128)), kernel=1, activation="gelu"), image),
        Probe("cnn-broad", ProbeCnn(stages=((48, 48), (96, 96), (192, 192), (320,)), hidden=(512,)), image),
        Probe(
            "cnn-large", ProbeCnn(stages=((24,), (40,), (72,), (136,)), kernel=5, norm="batch"), (3, 64, 64)
        ),
        Probe("mlp-wide", Mlp(hidden=(1536, 768, 1536), activation="gelu"), (3072,)),
        Probe("vit-wide", Vit(patch=8, dim=192, depth=3, heads=6, cut=1), (3, 64, 64)),
    ]


def scenario_probe(scenario: Scenario) -> Probe:
    """The model of a scenario, with the shape and classes of its data.

    Raises:
        DataError: if the data set is not there.
    """
    data = load_sound(scenario.data, public_data_folder(), scenario.seed, dry=True)
    return Probe(scenario.name, scenario.model, data.input_shape, data.n_classes)
