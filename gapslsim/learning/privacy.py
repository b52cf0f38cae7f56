"""What privacy the noise of a run gives: epsilon of the rows that one sample has left in messages."""

from __future__ import annotations

from typing import Any

from gapslsim.learning.codec import Codec, Way
from gapslsim.learning.codecs.noise import Noise
from gapslsim.learning.setup import LearningSetup
from gapslsim.learning.states import States

__all__ = ["privacy_of"]


def privacy_of(setup: LearningSetup, states: States) -> dict[Way, dict[str, Any]]:
    """Of each way with noise: the mechanism, rows of the sample that was sent most often, epsilon of one and of all.

    What `epsilon` covers and what not, `Noise` says. Where none can be told, `why_not` says why.

    Args:
        setup: has the codecs and the clients' samples.
        states: how many mini-batches each client has begun.
    """
    coded = {way: coding.codecs for way, coding in setup.codings.items()}
    noisy = {way: codecs for way, codecs in coded.items() if any(isinstance(c, Noise) for c in codecs)}
    if not noisy:
        return {}
    n_rows = max(_rows_of_one_sample(setup, states, client) for client in range(setup.n_clients))
    return {way: _told(codecs, n_rows) for way, codecs in noisy.items()}


def _rows_of_one_sample(setup: LearningSetup, states: States, client: int) -> int:
    """Of the sample that most mini-batches held: one per epoch that was begun."""
    return -(-states.taken(client) // len(setup.shards[client]))


def _told(codecs: tuple[Codec, ...], n_rows: int) -> dict[str, Any]:
    place = next(place for place, codec in enumerate(codecs) if isinstance(codec, Noise))
    noise = codecs[place]
    assert isinstance(noise, Noise)
    told: dict[str, Any] = {"mechanism": noise.distribution, "rows_of_one_sample": n_rows}
    before = next((codec.kind for codec in codecs[:place] if codec.parts((1, 2))), None)
    if before is not None:
        return told | {
            "epsilon": None,
            "why_not": f"{before} before it sends what depends on the sample without noise; write noise first",
        }
    if noise.clip is None:
        return told | {
            "epsilon": None,
            "why_not": "nothing is clipped; add clip, the largest norm of a sample",
        }
    delta = noise.delta if noise.distribution == "gaussian" else 0.0
    return told | {
        "delta": delta,
        "epsilon_of_one_row": noise.epsilon(1),
        "epsilon": noise.epsilon(n_rows) if n_rows else 0.0,
    }
