"""Codecs in order: the bytes of a message from its shape, what is sent, and what arrives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gapslsim.learning.codec import Codec, Encoded, Part, Shape, Where, n_columns
from gapslsim.work import Cost, LayerCost

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Coding", "Sent"]

_FLOAT = 4
"""Bytes of a number in what computing costs, as for all layers."""

Streams = Callable[[int], int]
"""From a codec's place in the list to the seed of what it draws for one message."""


class Sent(NamedTuple):
    """One message on its way."""

    tensors: tuple[Tensor, ...]
    """What is sent, in the order of `Coding.layout`."""
    values: Tensor
    """What the receiver makes of it."""
    residual: Tensor | None
    """What was lost, for the next message; None without error feedback."""
    where: Where | None = None
    """Which numbers were sent, where some are left out."""


@dataclass(frozen=True)
class Coding:
    """What is done to every message of one way; at least one codec.

    Args:
        codecs: in order; each encodes what the one before left.
    """

    codecs: tuple[Codec, ...]

    @property
    def draws(self) -> bool:
        """Whether encoding draws random numbers."""
        return any(codec.draws for codec in self.codecs)

    @cached_property
    def feedback_from(self) -> int | None:
        """Place of the first codec whose loss, with that of all after it, is fed back; None for nothing."""
        return next((place for place, codec in enumerate(self.codecs) if codec.feeds_back), None)

    def problems(self) -> list[str]:
        """What does not go together, in words that say what to change; empty if nothing."""
        found = []
        kinds = [codec.kind for codec in self.codecs]
        shape: Shape | None = (2, 8)
        for place, codec in enumerate(self.codecs[:-1]):
            shape = None if shape is None else codec.rest(shape)
            if shape is None:
                found.append(
                    f"{kinds[place]} leaves nothing to {kinds[place + 1]}; write {kinds[place]} as the last of the list"
                )
                break
        n_fed_back = sum(codec.feeds_back for codec in self.codecs)
        if n_fed_back > 1:
            found.append(
                "error_feedback is given twice; the first feeds back what all after it lose, so leave out the others"
            )
        if n_fed_back and "noise" in kinds[self.feedback_from :]:
            found.append(
                "error_feedback before noise would carry a sample into later messages, past the clipping; write noise "
                "first, or leave error_feedback out"
            )
        return found

    def layout(self, shape: Shape, itemsize: int) -> tuple[Part, ...]:
        """How many numbers of how many bits are sent, part by part; the last part is what no codec took.

        Args:
            shape: of the message.
            itemsize: bytes of a number without codec.
        """
        parts: list[Part] = []
        left: Shape | None = shape
        for codec in self.codecs:
            assert left is not None
            parts += codec.parts(left)
            left = codec.rest(left)
        if left is not None:
            parts.append(Part(left[0] * n_columns(left), 8 * itemsize))
        return tuple(parts)

    def n_sent(self, shape: Shape) -> int | None:
        """Numbers of each sample that are sent; None where none is left out."""
        return next((n for codec in self.codecs if (n := codec.n_sent(shape)) is not None), None)

    def size_bytes(self, shape: Shape, itemsize: int) -> int:
        """Exact bytes of a message; each part begins at a whole byte."""
        return sum(part.size_bytes for part in self.layout(shape, itemsize))

    def encode_cost(self, shape: Shape) -> Cost:
        """What encoding costs its sender."""
        return self._cost(shape, "encode")

    def decode_cost(self, shape: Shape) -> Cost:
        """What decoding costs its receiver."""
        return self._cost(shape, "decode")

    def _cost(self, shape: Shape, what: str) -> Cost:
        """A layer per codec: it reads its tensor and writes its parts and what it leaves, or the other way round."""
        layers = []
        left: Shape | None = shape
        for codec in self.codecs:
            assert left is not None
            n, rest = left[0] * n_columns(left), codec.rest(left)
            moved = _FLOAT * n + sum(part.size_bytes for part in codec.parts(left))
            moved += _FLOAT * rest[0] * n_columns(rest) if rest is not None else 0
            flop = n * (codec.encode_flop if what == "encode" else codec.decode_flop)
            if flop:  # One that does nothing, such as decoding noise, moves nothing either.
                name = f"{what} {codec.kind}"
                layers.append(LayerCost(name, "codec", "other", flop, moved, 0, n, max(left[0], 1)))
            left = rest
        return Cost(tuple(layers if what == "encode" else reversed(layers)))

    def send(self, values: Tensor, residual: Tensor | None, seed_of: Streams) -> Sent:
        """Encodes and decodes one message.

        Args:
            values: float [n, ...].
            residual: what the last message of this sender and way lost, row by row; None for nothing.
            seed_of: seeds of what the codecs draw.
        """
        steps: list[tuple[Encoded, Shape]] = []
        left, fed_back = values, values
        for place, codec in enumerate(self.codecs):
            if place == self.feedback_from:
                left = fed_back = left if residual is None else left + _rows_like(residual, left)
            steps.append((codec.encode(left, _generator(codec, seed_of, place, left)), tuple(left.shape)))
            rest = steps[-1][0].rest
            left = left if rest is None else rest
        tensors = [part for step, _ in steps for part in step.parts]
        last = steps[-1][0].rest
        sent = tuple(tensors) if last is None else (*tensors, last.reshape(-1))
        arrived, lost = self._decoded(steps, values.dtype, fed_back)
        # A second codec that leaves numbers out does so within the first.
        return Sent(sent, arrived, lost, next((step.where for step, _ in steps if step.where), None))

    def _decoded(
        self, steps: Sequence[tuple[Encoded, Shape]], dtype: torch.dtype, fed_back: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What arrives, and what of the tensor that error feedback looks at was lost."""
        rest, lost = steps[-1][0].rest, None
        for place in reversed(range(len(self.codecs))):
            encoded, shape = steps[place]
            rest = self.codecs[place].decode(Encoded(encoded.parts, rest), shape, dtype)
            if fed_back is not None and place == self.feedback_from:
                lost = fed_back - rest
        assert rest is not None
        return rest, lost

    def decode(self, tensors: Sequence[Tensor], shape: Shape, dtype: torch.dtype) -> Tensor:
        """What the receiver makes of what was sent, from that and the shape of the message alone."""
        steps: list[tuple[Encoded, Shape]] = []
        left: Shape | None = shape
        sent = iter(tensors)
        for codec in self.codecs:
            assert left is not None
            steps.append((Encoded(tuple(next(sent) for _ in codec.parts(left))), left))
            left = codec.rest(left)
        if left is not None:
            steps[-1] = steps[-1][0]._replace(rest=next(sent).reshape(left)), steps[-1][1]
        return self._decoded(steps, dtype)[0]


def _generator(codec: Codec, seed_of: Streams, place: int, like: Tensor) -> torch.Generator | None:
    """The stream of one codec and message."""
    if not codec.draws:
        return None
    import torch

    return torch.Generator(like.device).manual_seed(seed_of(place))


def _rows_like(residual: Tensor, values: Tensor) -> Tensor:
    """As many rows of what was lost as the message has; zeros where it has more."""
    import torch

    missing = values.new_zeros((max(0, len(values) - len(residual)), *values.shape[1:]))
    return torch.cat([residual[: len(values)], missing])
