"""Times the two sides of a split network, and every layer where it stands.

The passes are those of a device (`PlainSide`): a plain forward pass of the module in training
mode and `torch.autograd.grad` backward. Layers are timed in place, because a layer by itself finds its input in the
cache and its output's memory already mapped: it is faster than the same layer in a network. Forward, a moment is
marked as a layer is entered and left; backward, as the gradients of its output and of its input are complete. Passes
without any hook in them are timed in turn with those, and are the whole that the parts have to add up to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapslsim.kernels import Precision
from gapslsim.learning.optimizer import Optimizer
from gapslsim.measuring.probes import Probe
from gapslsim.models._trace import costed_layers
from gapslsim.models.cost import SideCost, split_cost
from gapslsim.models.split import build
from gapslsim.stages.clock import Clock
from gapslsim.stages.plain_side import PlainSide

__all__ = ["Effort", "SideTimes", "time_split"]

_PATIENCE, _FEWEST = 3.0, 3

Key = tuple[str, str]
"""(phase, layer)."""


@dataclass(frozen=True)
class Effort:
    """How often to repeat a pass: `least` times, and further until `budget_s` are gone, `most` times at most.

    Where `least` times would take more than three budgets, three times do: a slow device is to come to an end.
    """

    least: int
    most: int
    budget_s: float
    """Wall time."""
    warm_up: int = 2

    def rounds(self, clock: Clock, warm_up: Callable[[], object]) -> Iterator[int]:
        """Warms up, then counts the repeats."""
        for _ in range(self.warm_up):
            warm_up()
        begun_s = clock.wall_s()
        n = 0
        while n < self.most:
            gone = (clock.wall_s() - begun_s) / self.budget_s
            if n >= (self.least if gone <= _PATIENCE else _FEWEST) and gone > 1:
                return
            yield n
            n += 1


@dataclass(eq=False)
class SideTimes:
    """Seconds of the passes through one side, per repeat."""

    name: str
    cost: SideCost
    batch_size: int
    layers_s: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    whole_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Passes without hooks, by phase."""

    def add(self, other: SideTimes) -> None:
        """Takes over the times of another measurement of the same side."""
        for key, seconds in other.layers_s.items():
            self.layers_s[key] += seconds
        for phase, seconds in other.whole_s.items():
            self.whole_s[phase] += seconds


def time_split(
    probe: Probe,
    batch_size: int,
    optimizer: Optimizer,
    device: torch.device,
    clock: Clock,
    effort: Effort,
    precision: Precision = "float32",
) -> tuple[SideTimes, SideTimes]:
    """Times of both sides of a network for one batch size."""
    split = build(probe.model, probe.input_shape, probe.n_classes, seed=1)
    cost = split_cost(probe.model, probe.input_shape, probe.n_classes, batch_size)
    client = PlainSide(split.client, optimizer, device, precision=precision)
    server = PlainSide(split.server, optimizer, device, precision=precision)
    generator = torch.Generator().manual_seed(1)
    data = torch.randn(4 * batch_size, *probe.input_shape, generator=generator).to(device)
    chosen = torch.randperm(4 * batch_size, generator=generator)[:batch_size].to(device)
    labels = torch.randint(probe.n_classes, (batch_size,), generator=generator).to(device)
    smashed = torch.randn(batch_size, *cost.smashed_shape, generator=generator).to(device)
    times = (
        SideTimes(f"{probe.name}.client", cost.client, batch_size),
        SideTimes(f"{probe.name}.server", cost.server, batch_size),
    )
    _repeat(times[0], _ClientPass(client, clock, data, chosen, smashed), clock, effort)
    _repeat(times[1], _ServerPass(server, clock, smashed, labels), clock, effort)
    return times


def _repeat(times: SideTimes, one: _Pass, clock: Clock, effort: Effort) -> None:
    """Repeats with and without hooks in turn."""
    for _ in effort.rounds(clock, one.run):
        one.hooked = False
        for phase, seconds in one.run().items():
            times.whole_s[phase].append(seconds)
        one.hooked = True
        one.run()
        for key, seconds in one.layers_s().items():
            times.layers_s[key].append(seconds)


class _Pass(ABC):
    """Forward and backward through one side."""

    def __init__(self, side: PlainSide, clock: Clock, entering: Tensor) -> None:
        self.side = side
        self.entering = entering
        self._clock = clock
        self.hooked = False
        self.stamps: dict[tuple[str, str, str], Any] = {}
        """(phase, layer, start or end); the first stamp counts. Marks of the clock, and seconds after the run."""
        for name, layer in costed_layers(side.module):
            self._watch(name, layer)

    @abstractmethod
    def forward(self) -> Tensor:
        """From what enters the side to what backward begins with."""

    @abstractmethod
    def backward(self, output: Tensor) -> object:
        """The other way."""

    def run(self) -> dict[str, float]:
        """Runs both passes; returns the seconds of each."""
        self.stamps.clear()
        start = self._clock.mark()
        output = self.forward()
        middle = self._clock.mark()
        self.backward(output)
        # The layers whose inputs have no gradient end here: the first one.
        for phase, name, edge in list(self.stamps):
            if (phase, edge) == ("backward", "start"):
                self.stamp("backward", name, "end")
        marks = [start, middle, *self.stamps.values(), self._clock.mark()]
        start_s, middle_s, *stamps_s, end_s = self._clock.read(marks)
        self.stamps = dict(zip(self.stamps, stamps_s, strict=True))
        return {"forward": middle_s - start_s, "backward": end_s - middle_s}

    def layers_s(self) -> dict[Key, float]:
        """Seconds of each layer in the last hooked run."""
        return {
            (phase, name): self.stamps[phase, name, "end"] - start_s
            for (phase, name, edge), start_s in self.stamps.items()
            if edge == "start" and (phase, name, "end") in self.stamps
        }

    def stamp(self, phase: str, name: str, edge: str) -> None:
        """Notes the time, once."""
        if (phase, name, edge) not in self.stamps:
            self.stamps[phase, name, edge] = self._clock.mark()

    def stamp_gradient(self, tensor: Tensor, name: str, edge: str) -> None:
        """Notes the time when the gradient of a tensor is complete."""
        if tensor.requires_grad:
            hooks: Any = tensor  # torch leaves this method untyped
            hooks.register_hook(lambda gradient: self.stamp("backward", name, edge))

    def _watch(self, name: str, layer: nn.Module) -> None:
        def before(module: nn.Module, args: Any) -> None:
            if self.hooked:
                self.stamp("forward", name, "start")

        def after(module: nn.Module, args: Any, output: Tensor) -> None:
            if self.hooked:
                self.stamp("forward", name, "end")
                self.stamp_gradient(output, name, "start")
                for tensor in args:
                    if isinstance(tensor, Tensor):
                        self.stamp_gradient(tensor, name, "end")

        layer.register_forward_pre_hook(before)
        layer.register_forward_hook(after)


class _ClientPass(_Pass):
    """The client's: a batch is picked from the data; backward from a given cut gradient."""

    def __init__(
        self, side: PlainSide, clock: Clock, entering: Tensor, chosen: Tensor, cut_gradient: Tensor
    ) -> None:
        super().__init__(side, clock, entering)
        self._chosen, self._cut_gradient = chosen, cut_gradient

    def forward(self) -> Tensor:
        """From the data to smashed data."""
        return self.side(self.entering[self._chosen])

    def backward(self, output: Tensor) -> object:
        """From the cut gradient."""
        return self.side.backward(output, self._cut_gradient)


class _ServerPass(_Pass):
    """The server's for one client: from smashed data to the loss; backward to the cut gradient."""

    def __init__(self, side: PlainSide, clock: Clock, entering: Tensor, labels: Tensor) -> None:
        super().__init__(side, clock, entering)
        self._labels = labels

    def forward(self) -> Tensor:
        """From smashed data to the loss."""
        self.entering = self.entering.detach().requires_grad_()
        logits = self.side(self.entering)
        if self.hooked:
            self.stamp("forward", "loss", "start")
        loss = F.cross_entropy(logits, self._labels)
        if self.hooked:
            self.stamp("forward", "loss", "end")
            self.stamp_gradient(loss, "loss", "start")
            self.stamp_gradient(logits, "loss", "end")
        return loss

    def backward(self, output: Tensor) -> object:
        """To the cut gradient."""
        return self.side.backward_from_loss(output, self.entering)
