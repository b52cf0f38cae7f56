"""Codecs: what is sent has the bytes that were charged, and what arrives follows from it alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from gapslsim.errors import ComponentError
from gapslsim.learning.codec import Codec, codecs
from gapslsim.learning.codecs.dropout_quantise import _chances, _drawn
from gapslsim.learning.coding import Coding
from gapslsim.learning.packing import packed, unpacked

KINDS = sorted(codecs)


def coding(*members: Any) -> Coding:
    """From kinds, or pairs of a kind and its settings."""
    pairs = [(member, {}) if isinstance(member, str) else member for member in members]
    return Coding(tuple(codecs[kind](**given) for kind, given in pairs))


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def seeds(place: int) -> int:
    return 11 + place


shares = st.floats(0.01, 1.0)
bits = st.integers(1, 16)
rounding = st.sampled_from(["nearest", "stochastic"])
LAST: Any = st.one_of(
    st.sampled_from([codecs["float16"](), codecs["bfloat16"](), codecs["none"]()]),
    st.builds(
        codecs["quantise"], bits=bits, per=st.sampled_from(["tensor", "channel", "sample"]), rounding=rounding
    ),
    st.builds(codecs["dropout_quantise"], share=shares, bits=bits, rounding=rounding),
)
BEFORE: Any = st.one_of(
    st.builds(codecs["top_k"], share=shares, randomised=st.sampled_from([0.0, 0.2])),
    st.builds(
        codecs["noise"],
        distribution=st.sampled_from(["gaussian", "laplace"]),
        clip=st.sampled_from([None, 1.0]),
    ),
)
SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 7)) | st.tuples(
    st.integers(0, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3)
)


@settings(max_examples=150, deadline=None)
@given(before=st.lists(BEFORE, max_size=2), last=st.none() | LAST, shape=SHAPES, is_double=st.booleans())
@example(before=[], last=codecs["quantise"](bits=3, per="channel"), shape=(4, 5, 6), is_double=False)
def test_what_is_encoded_has_the_bytes_charged_and_says_all_that_arrives(
    before: list[Codec], last: Codec | None, shape: tuple[int, ...], is_double: bool
) -> None:
    members = (*before, *([] if last is None else [last]))
    if not members:
        return
    dtype = torch.float64 if is_double else torch.float32
    chain, values = Coding(members), noise(*shape, dtype=dtype)
    sent = chain.send(values, None, seeds)
    layout = chain.layout(shape, dtype.itemsize)
    message = packed(sent.tensors, layout)
    assert len(message) == chain.size_bytes(shape, dtype.itemsize)
    read = chain.decode(unpacked(message, layout, [part.dtype for part in sent.tensors]), shape, dtype)
    assert torch.equal(read, sent.values)
    assert (read.shape, read.dtype) == (values.shape, dtype)
    assert torch.equal(chain.send(values, None, seeds).values, read)  # repeats with its seed


@pytest.mark.parametrize(
    ("members", "shape", "n_bytes"),
    [
        (["float16"], (4, 10), 80),
        (["bfloat16"], (4, 10), 80),
        # Least value and step in float32, 40 codes of 3 bits.
        ([("quantise", {"bits": 3})], (4, 10), 4 + 4 + 15),
        ([("quantise", {"bits": 8, "per": "channel"})], (4, 3, 2, 2), 12 + 12 + 48),
        ([("quantise", {"bits": 8, "per": "channel"})], (4, 7, 3), 12 + 12 + 84),  # sequences: the last axis
        ([("quantise", {"bits": 1, "per": "sample"})], (4, 10), 16 + 16 + 5),
        # One of ten numbers in float32 and its place in 4 bits.
        (["top_k"], (4, 10), 2 + 16),
        ([("top_k", {"share": 0.3}), ("quantise", {"bits": 4})], (4, 10), 6 + 8 + 6),
        # 100 bits for 100 features, 25 ranges, 25 codes of 8 bits for each of 4 samples.
        (["dropout_quantise"], (4, 100), 13 + 100 + 100 + 100),
        (["noise"], (4, 10), 160),
        (["noise", "float16"], (4, 10), 80),
        (["none"], (4, 10), 160),
        (["top_k"], (4, 1), 0 + 16),  # the only place needs no bits
    ],
)
def test_bytes_are_those_worked_out_by_hand(members: list[Any], shape: tuple[int, ...], n_bytes: int) -> None:
    assert coding(*members).size_bytes(shape, 4) == n_bytes


def test_quantising_errs_by_half_a_step_at_most() -> None:
    values = noise(6, 3, 4, 4)
    for bits_of in (1, 4, 8, 16):
        arrived = coding(("quantise", {"bits": bits_of, "per": "channel"})).send(values, None, seeds).values
        span = values.movedim(1, 0).flatten(1)
        step = (span.amax(1) - span.amin(1)) / (2**bits_of - 1)
        error = (arrived - values).abs().movedim(1, 0).flatten(1).amax(1)
        assert bool((error <= step / 2 + 1e-6).all())


def test_levels_reach_from_the_least_to_the_greatest_value() -> None:
    values = torch.tensor([[0.0, 0.2, 0.6, 3.0]])
    arrived = coding(("quantise", {"bits": 2})).send(values, None, seeds).values
    assert arrived.tolist() == [[0.0, 0.0, 1.0, 3.0]]


@pytest.mark.parametrize(
    "member",
    [
        ("quantise", {"bits": 2, "rounding": "stochastic"}),
        ("dropout_quantise", {"share": 0.5, "bits": 4, "rounding": "stochastic"}),
        ("noise", {"scale": 0.5}),
        ("noise", {"scale": 0.5, "distribution": "laplace"}),
    ],
)
def test_what_is_called_unbiased_is_so_on_the_mean(member: Any) -> None:
    chain, values, n = coding(member), noise(5, 8), 4000
    drawn = torch.stack([chain.send(values, None, lambda _, i=i: i).values for i in range(n)])
    # Ranges travel in float32.
    assert bool(((drawn.mean(0) - values).abs() < 4.5 * drawn.std(0) / math.sqrt(n) + 1e-6).all())


def test_top_k_keeps_the_greatest_of_each_sample() -> None:
    values = torch.tensor([[1.0, -5.0, 2.0, 0.5], [0.0, 0.1, -0.3, 0.2]])
    arrived = coding(("top_k", {"share": 0.5})).send(values, None, seeds).values
    assert arrived.tolist() == [[0.0, -5.0, 2.0, 0.0], [0.0, 0.0, pytest.approx(-0.3), pytest.approx(0.2)]]


def test_rand_top_k_draws_with_the_chances_of_its_source() -> None:
    """For k = 1 the greatest is sent with probability 1 - alpha, each of the d - 1 others with alpha / (d - 1)."""
    values = torch.arange(1.0, 6.0).expand(100_000, 5).contiguous()
    sent = coding(("top_k", {"share": 0.2, "randomised": 0.2})).send(values, None, seeds)
    shares_of = np.bincount(sent.tensors[0].numpy(), minlength=5) / 100_000
    assert shares_of == pytest.approx([0.05, 0.05, 0.05, 0.05, 0.8], abs=0.005)


def test_features_are_kept_with_chances_that_grow_with_their_spread() -> None:
    rows = noise(50, 12) * torch.linspace(0, 2, 12)
    chances = _chances(rows, 4)
    spread = rows.std(0, correction=0)
    assert float(chances.sum()) == pytest.approx(4)
    below = chances < 1
    assert torch.allclose(chances[below] / chances[below].max(), spread[below] / spread[below].max())
    random, counts = torch.Generator().manual_seed(3), torch.zeros(12)
    for _ in range(8000):
        drawn = _drawn(chances, 4, random)
        assert len(drawn.unique()) == 4
        counts[drawn] += 1
    assert float((counts / 8000 - chances).abs().max()) < 0.025


def test_a_batch_of_one_sample_keeps_features_by_chance_alone() -> None:
    assert _chances(noise(1, 8), 2).tolist() == [0.25] * 8


def test_noise_clips_each_sample_to_its_norm() -> None:
    values = 100 * noise(3, 2, 4)
    for kind, p in (("gaussian", 2), ("laplace", 1)):
        chain = coding(("noise", {"distribution": kind, "clip": 2.0, "scale": 1e-9}))
        arrived = chain.send(values, None, seeds).values.flatten(1)
        assert arrived.norm(p=p, dim=1).tolist() == pytest.approx([2.0] * 3)
    inside = values / 1e4
    assert torch.allclose(chain.send(inside, None, seeds).values, inside, atol=1e-7)


def test_noise_is_of_the_distribution_that_it_says() -> None:
    for kind, known in (("gaussian", stats.norm(scale=0.7)), ("laplace", stats.laplace(scale=0.7))):
        chain = coding(("noise", {"distribution": kind, "scale": 0.7}))
        drawn = chain.send(torch.zeros(200, 100, dtype=torch.float64), None, seeds).values
        assert stats.kstest(drawn.flatten().numpy(), known.cdf).pvalue > 0.01


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("scale", [0.5, 4.0, 40.0])
def test_epsilon_of_gaussian_noise_is_that_of_its_privacy_loss(scale: float, n: int) -> None:
    """delta = E[(1 - e^(epsilon - L))+] of the loss L ~ N(mu^2 / 2, mu^2), integrated numerically."""
    member = codecs["noise"](clip=1.0, scale=scale, delta=1e-4)
    epsilon, mu = member.epsilon(n), 2 / scale * math.sqrt(n)  # type: ignore[attr-defined]
    loss = stats.norm(mu**2 / 2, mu)
    area = integrate.quad(
        lambda x: -np.expm1(epsilon - x) * loss.pdf(x), epsilon, epsilon + 20 * mu, limit=200
    )
    assert area[0] == pytest.approx(1e-4, rel=1e-4)


def test_epsilon_of_laplace_noise_grows_with_every_release() -> None:
    member: Any = codecs["noise"](distribution="laplace", clip=1.0, scale=4.0)
    assert [member.epsilon(n) for n in (1, 10)] == [0.5, 5.0]


def test_noise_without_clipping_tells_no_epsilon() -> None:
    member: Any = codecs["noise"](scale=1.0)
    with pytest.raises(ComponentError, match="add clip"):
        member.epsilon()


def test_error_feedback_adds_what_was_lost_to_the_next_message() -> None:
    chain = coding(("top_k", {"share": 0.25, "error_feedback": True}))
    values = torch.tensor([[4.0, 3.0, 0.0, 0.0]])
    first = chain.send(values, None, seeds)
    assert first.residual is not None
    assert (first.values.tolist(), first.residual.tolist()) == ([[4.0, 0, 0, 0]], [[0, 3.0, 0, 0]])
    second = chain.send(values, first.residual, seeds)
    assert second.residual is not None
    assert (second.values.tolist(), second.residual.tolist()) == ([[0, 6.0, 0, 0]], [[4.0, 0, 0, 0]])


def test_error_feedback_in_a_list_is_of_all_that_follows() -> None:
    chain = coding(
        ("noise", {"scale": 1e-3}),
        ("top_k", {"share": 0.5, "error_feedback": True}),
        ("quantise", {"bits": 2}),
    )
    values = noise(3, 8)
    sent = chain.send(values, None, seeds)
    assert sent.residual is not None
    # What was there after the noise, which is no loss.
    assert torch.allclose(sent.values + sent.residual, values, atol=0.01)
    assert not torch.equal(sent.values + sent.residual, values)


def test_a_smaller_batch_takes_as_much_of_the_residual_as_it_has_rows() -> None:
    chain = coding(("quantise", {"bits": 1, "error_feedback": True}))
    lost = noise(4, 3)
    few = chain.send(torch.zeros(2, 3, dtype=torch.float64), lost, seeds)
    many = chain.send(torch.zeros(6, 3, dtype=torch.float64), lost, seeds)
    assert few.residual is not None
    assert many.residual is not None
    assert torch.allclose(few.values + few.residual, lost[:2])
    assert torch.allclose(
        many.values + many.residual, torch.cat([lost, torch.zeros(2, 3, dtype=torch.float64)])
    )


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["float16", "top_k"], "write float16 as the last"),
        (
            [("top_k", {"error_feedback": True}), ("quantise", {"error_feedback": True})],
            "leave out the others",
        ),
        ([("top_k", {"error_feedback": True}), "noise"], "write noise first"),
    ],
)
def test_lists_that_make_no_sense_are_refused_with_what_to_change(members: list[Any], words: str) -> None:
    (problem,) = coding(*members).problems()
    assert words in problem


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_does_not_arrive_as_something_that_is(kind: str) -> None:
    values = noise(4, 6)
    values[1, 2] = math.nan
    assert not bool(coding(kind).send(values, None, seeds).values.isfinite().all())


def test_costs_follow_from_shapes_and_are_layers_of_the_phase_other() -> None:
    chain = coding("noise", "quantise")
    encode, decode = chain.encode_cost((4, 10)), chain.decode_cost((4, 10))
    assert [(c.name, c.phase, c.work_flop) for c in encode.layers] == [
        ("encode noise", "other", 480.0),
        ("encode quantise", "other", 240.0),
    ]
    assert encode.layers[1].moved_bytes == 160 + 4 + 4 + 40
    assert [c.name for c in decode.layers] == ["decode quantise"]  # noise has nothing to decode
