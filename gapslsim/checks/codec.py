"""Invariants of codecs: what is sent has the bytes that were charged, and what arrives follows from it alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gapslsim.checks._tools import check_costs, check_pure, noise
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.learning.codec import Codec
from gapslsim.learning.coding import Coding, Sent

if TYPE_CHECKING:
    from torch import Tensor

_SHAPES = ((5, 12), (4, 3, 2, 2), (3, 5, 6), (1, 12), (2, 1))
"""Flat features, images, sequences; one sample, one number each."""


def bytes_are_those_charged(codec: Codec) -> None:
    """What is sent has exactly the bytes that `parts` and `rest` tell, and no other values fit them.

    Give a `Part` for each tensor of `Encoded.parts`, with its count and bits; a dry run charges these.
    """
    import torch

    from gapslsim.learning.packing import packed, unpacked

    for values in _messages():
        sent, shape, itemsize = _sent(codec, values), tuple(values.shape), values.element_size()
        layout = Coding((codec,)).layout(shape, itemsize)
        about = f"for {shape} of {values.dtype}"
        n_parts = len(sent.tensors)
        require(n_parts == len(layout), f"{n_parts} parts are sent and {len(layout)} were announced {about}")
        try:
            message = packed(sent.tensors, layout)
        except ValueError as error:
            raise InvariantError(f"{error}, {about}") from None
        charged = Coding((codec,)).size_bytes(shape, itemsize)
        require(len(message) == charged, f"{len(message)} bytes are sent and {charged} charged {about}")
        read = unpacked(message, layout, [part.dtype for part in sent.tensors])
        arrived = Coding((codec,)).decode(read, shape, values.dtype)
        said = f"what is decoded from these bytes is not what the sender takes to arrive, {about}"
        require(torch.equal(arrived.nan_to_num(), sent.values.nan_to_num()), said)


def what_arrives_has_the_shape_and_type_of_what_was_sent(codec: Codec) -> None:
    """`decode` gives a finite tensor of the shape and type that it is asked for."""
    for values in _messages():
        arrived = _sent(codec, values).values
        kinds = [f"{tuple(each.shape)} of {each.dtype}" for each in (arrived, values)]
        require(kinds[0] == kinds[1], f"what arrives is {kinds[0]}, and was {kinds[1]}")
        require(bool(arrived.isfinite().all()), f"what arrives of {kinds[1]} is NaN or infinite")


def batches_may_be_empty_or_of_one_sample(codec: Codec) -> None:
    """It takes a message without samples, and one whose numbers are all alike.

    A minimum of nothing is an error in PyTorch, and a range may be 0: look at `values.numel()` first.
    """
    import torch

    for shape in _SHAPES:
        empty = torch.zeros(0, *shape[1:])
        arrived = _sent(codec, empty).values
        require(arrived.shape == empty.shape, f"of {tuple(empty.shape)} arrives {tuple(arrived.shape)}")
        alike = _sent(codec, torch.full(shape, 0.5)).values
        require(bool(alike.isfinite().all()), f"numbers that are all 0.5, {shape}, arrive as NaN or infinite")


def encoding_repeats_with_its_seed(codec: Codec) -> None:
    """The same message with the same stream is the same to the last bit, and nothing that is given is written to.

    Draw from the generator that `encode` gets, with `generator=random`; say `draws` if you do.
    """
    values = next(_messages())

    def call() -> list[Tensor]:
        made = _sent(codec, values)
        return [part.double() for part in (*made.tensors, made.values)]  # NumPy has no bfloat16

    check_pure("encode", call, {"values": values})


def it_draws_only_if_it_says_so(codec: Codec) -> None:
    """Another seed changes what arrives only where `draws` says so.

    Say True where encoding draws: without, it is given no stream.
    """
    import torch

    values = noise(5, (40, 12))[0]
    one, other = (_sent(codec, values, seed).values for seed in (1, 2))
    if codec.draws and torch.equal(one, other):
        raise InapplicableError("it draws, though not in a way that shows here")
    require(codec.draws or torch.equal(one, other), "another seed changes what arrives, and `draws` is False")


def costs_do_not_fall_with_the_message(codec: Codec) -> None:
    """Encoding and decoding cost something finite, 0 or more, and no less for more samples or numbers."""
    coding = Coding((codec,))
    for cost in (coding.encode_cost, coding.decode_cost):
        check_costs(lambda n, d, cost=cost: cost((n, d)), (1, 4), (4, 4), (4, 64))


def _messages() -> Iterator[Tensor]:
    for seed, shape in enumerate(_SHAPES):
        values = noise(seed, shape)[0]
        yield from (values, values.float())


def _sent(codec: Codec, values: Tensor, seed: int = 1) -> Sent:
    return Coding((codec,)).send(values, None, lambda place: seed + place)
