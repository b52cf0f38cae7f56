"""Codecs that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gapslsim.checks import codec
from gapslsim.learning.codec import Encoded, Part
from gapslsim.learning.codecs.float16 import Float16
from gapslsim.learning.codecs.quantise import Quantise
from gapslsim.registry import component


def broken(base: type = Float16, **methods: Any) -> Callable[[], Any]:
    def make() -> Any:
        return component(
            type("Broken", (base,), {"__module__": __name__, "__annotations__": {}, **methods})
        )()

    return make


def spoiled(self: Any, values: Any, random: Any) -> Encoded:
    values[0] += 1
    return Encoded((values.reshape(-1).half(),))


def unseeded(self: Any, values: Any, random: Any) -> Encoded:
    return Encoded(((values + torch.rand(values.shape)).reshape(-1).half(),))


LASTING = torch.Generator().manual_seed(0)


def lasting(self: Any, values: Any, random: Any) -> Encoded:
    drawn = torch.rand(values.shape, generator=LASTING, dtype=values.dtype)
    return Encoded(((values + drawn).reshape(-1).half(),))


CASES: list[tuple[Any, Any, str]] = [
    (
        codec.bytes_are_those_charged,
        broken(parts=lambda self, shape: (Part(shape[0], 16),)),
        "a part has 60 numbers, and 5 were announced",
    ),
    (
        codec.bytes_are_those_charged,
        broken(parts=lambda self, shape: (*Float16.parts(self, shape), Part(1, 32))),
        "1 parts are sent and 2 were announced",
    ),
    (
        codec.bytes_are_those_charged,
        broken(
            Quantise,
            parts=lambda self, shape: (
                *Quantise.parts(self, shape)[:2],
                Part(Quantise.parts(self, shape)[2].count, 7),
            ),
        ),
        "beyond 7 bits",
    ),
    (
        codec.what_arrives_has_the_shape_and_type_of_what_was_sent,
        broken(decode=lambda self, encoded, shape, dtype: encoded.parts[0].reshape(shape)),
        "what arrives is (5, 12) of torch.float16",
    ),
    (
        codec.what_arrives_has_the_shape_and_type_of_what_was_sent,
        broken(decode=lambda self, encoded, shape, dtype: encoded.parts[0].to(dtype)),
        "what arrives is (60,)",
    ),
    (
        codec.batches_may_be_empty_or_of_one_sample,
        broken(
            encode=lambda self, values, random: Encoded(((values / values.max()).reshape(-1).half(),)),
        ),
        "max()",
    ),
    (codec.encoding_repeats_with_its_seed, broken(encode=spoiled), "writes to values"),
    (codec.encoding_repeats_with_its_seed, broken(encode=unseeded), "gave something else the second time"),
    (codec.it_draws_only_if_it_says_so, broken(encode=lasting), "`draws` is False"),
    (codec.costs_do_not_fall_with_the_message, broken(encode_flop=-1.0), "it must be finite and 0 or more"),
]
NOTES: list[tuple[Any, Any, str]] = []
