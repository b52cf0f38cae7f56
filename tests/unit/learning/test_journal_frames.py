"""Frames: what is written is read back, what is torn is told from what is damaged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapslsim.learning.journal._checkpoint_info import CheckpointInfo, new_name
from gapslsim.learning.journal._frames import (
    CHECKPOINT,
    HEADER_BYTES,
    OBSERVATION,
    Damage,
    Frame,
    Torn,
    frame_bytes,
    scan,
)

KEYS = [bytes([i]) * 32 for i in range(3)]
FRAMES = [frame_bytes(OBSERVATION, key, b'{"n": %d}' % i) for i, key in enumerate(KEYS)]
FILE = b"".join(FRAMES)


def test_whole_frames_are_found_with_kind_key_and_place() -> None:
    info = CheckpointInfo(new_name(), "0" * 64, 12, 3, ["a"])
    payload = info.payload()
    data = frame_bytes(OBSERVATION, KEYS[0], b"abc") + frame_bytes(CHECKPOINT, KEYS[1], payload)
    assert list(scan(data, offset=100)) == [
        Frame(OBSERVATION, KEYS[0], 100 + HEADER_BYTES, 3),
        Frame(CHECKPOINT, KEYS[1], 100 + 2 * HEADER_BYTES + 3, len(payload), info),
    ]


HEX = "0123456789abcdef" * 2
SOUND = {"name": f"checkpoint-{HEX}.pt", "sha256": "0", "size_bytes": 1, "round": 1, "keys": ["a"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../../../victim.txt"},
        {"name": "/etc/passwd"},
        {"name": f"../checkpoint-{HEX}.pt"},
        {"name": f"checkpoint-{HEX}.pt\n"},
        {"name": f"checkpoint-{HEX}.pt/../../x"},
        {"name": f"checkpoint-{HEX[1:]}.pt"},
        {"name": f"checkpoint-{HEX.upper()}.pt"},
        {"name": None},
        {"size_bytes": -1},
        {"size_bytes": "1"},
        {"round": 1.5},
        {"keys": "a"},
        {"keys": [1]},
    ],
    ids=str,
)
def test_a_checkpoint_record_that_says_something_else_is_damage_whatever_its_checksum(wrong) -> None:
    data = frame_bytes(CHECKPOINT, KEYS[0], json.dumps(SOUND | wrong).encode())
    assert list(scan(data + FRAMES[1])) == [
        Damage(0, len(data)),
        Frame(OBSERVATION, KEYS[1], len(data) + HEADER_BYTES, len(FRAMES[1]) - HEADER_BYTES),
    ]


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b'{"name": 1', b"[" * 100_000, b"\xff"], ids=lambda p: repr(p[:9])
)
def test_a_checkpoint_record_that_is_no_record_is_damage(payload: bytes) -> None:
    data = frame_bytes(CHECKPOINT, KEYS[0], payload)
    assert list(scan(data)) == [Damage(0, len(data))]


def test_a_frame_of_a_kind_that_nobody_writes_is_damage() -> None:
    data = frame_bytes(7, KEYS[0], b"{}")
    assert list(scan(data)) == [Damage(0, len(data))]


@given(st.integers(0, len(FILE)))
def test_a_file_cut_anywhere_gives_its_whole_frames_and_one_torn_end(length: int) -> None:
    found = list(scan(FILE[:length]))
    n_whole = length // len(FRAMES[0])
    assert [frame.key for frame in found if isinstance(frame, Frame)] == KEYS[:n_whole]
    rest = length - n_whole * len(FRAMES[0])
    assert [item for item in found if not isinstance(item, Frame)] == ([Torn(length - rest)] if rest else [])


@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_a_changed_byte_loses_its_own_frame_and_no_other(place: int, flip: int) -> None:
    data = bytearray(FILE)
    data[place] ^= flip
    hit = place // len(FRAMES[0])
    found = list(scan(bytes(data)))
    assert [frame.key for frame in found if isinstance(frame, Frame)] == [
        key for index, key in enumerate(KEYS) if index != hit
    ]
    assert sum(isinstance(item, (Damage, Torn)) for item in found) == 1


def test_nothing_is_found_in_an_empty_file_and_damage_in_foreign_bytes() -> None:
    assert list(scan(b"")) == []
    assert list(scan(b"x" * 100)) == [Damage(0, 100)]
