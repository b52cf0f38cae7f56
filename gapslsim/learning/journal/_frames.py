"""How records lie in a file: framed by length and checksum, so that torn and damaged ones are told apart.

A frame is a mark of 4 bytes, one byte for its kind, length and CRC-32 of the payload (little endian, 4 bytes each), the
content key (32 bytes) and the payload. The checksum covers kind, length, key and payload. The mark holds a byte that
no ASCII text has, so that reading goes on at the next frame after a damaged one. A frame of another kind, or a record
of a checkpoint that says something else than such records do, is damage too, whatever its checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from gapslsim.learning.journal._checkpoint_info import CheckpointInfo, read_info

__all__ = ["CHECKPOINT", "HEADER_BYTES", "OBSERVATION", "Damage", "Frame", "Torn", "frame_bytes", "scan"]

OBSERVATION: Final = 1
"""What an operation let us see."""
CHECKPOINT: Final = 2
"""A file of states: its name, checksum and keys."""

_MARK: Final = b"\xfeGSJ"
_HEADER: Final = struct.Struct("<4sBII32s")
# A length beyond this is damage, not a frame whose end is still to come.
_MAX_PAYLOAD: Final = 1 << 28
HEADER_BYTES: Final = _HEADER.size


class Frame(NamedTuple):
    """A whole frame: where its payload lies in the file."""

    kind: int
    key: bytes
    start: int
    """Of the payload."""
    length: int
    checkpoint: CheckpointInfo | None = None
    """What the payload says, if it is the record of one."""


class Damage(NamedTuple):
    """Bytes that are no frame although frames or the end of the file follow."""

    start: int
    end: int


class Torn(NamedTuple):
    """The beginning of a frame whose end was never written."""

    start: int


def frame_bytes(kind: int, key: bytes, payload: bytes) -> bytes:
    """One frame as it is written, in one piece."""
    checksum = _checksum(kind, key, payload)
    # One piece for one `write`: a killed process then leaves a torn end, never a gap in the middle.
    return _HEADER.pack(_MARK, kind, len(payload), checksum, key) + payload


def scan(data: bytes, offset: int = 0) -> Iterator[Frame | Damage | Torn]:
    """Frames in a part of a file, what is damaged between them, and a torn one at its end.

    Args:
        data: from the beginning of a frame to the end of the file.
        offset: of `data` in the file; what is yielded counts from the file's beginning.
    """
    at, size = 0, len(data)
    while at < size:
        found = _frame_at(data, at, offset)
        if found is not None:
            yield found
            at = found.start - offset + found.length
            continue
        # From the next byte on: a damaged length must not decide where reading goes on.
        following = data.find(_MARK, at + 1)
        # Torn at the very end alone; what frames follow was written whole and then damaged.
        if following < 0 and _is_incomplete(data, at):
            yield Torn(offset + at)
            return
        end = following if following >= 0 else size
        yield Damage(offset + at, offset + end)
        at = end


def _frame_at(data: bytes, at: int, offset: int) -> Frame | None:
    """The frame that begins here, if it is whole and sound; see `scan`."""
    start = at + HEADER_BYTES
    if start > len(data):
        return None
    mark, kind, length, checksum, key = _HEADER.unpack_from(data, at)
    if mark != _MARK or start + length > len(data):
        return None
    payload = data[start : start + length]
    if _checksum(kind, key, payload) != checksum:
        return None
    info = read_info(payload) if kind == CHECKPOINT else None
    return Frame(kind, key, start + offset, length, info) if info or kind == OBSERVATION else None


def _is_incomplete(data: bytes, at: int) -> bool:
    """Whether these last bytes are a frame that was cut off, rather than a whole one that is wrong."""
    if len(data) - at < HEADER_BYTES:
        return _MARK.startswith(data[at : at + 4]) or data[at : at + 4] == _MARK
    mark, _, length, *_ = _HEADER.unpack_from(data, at)
    return bool(mark == _MARK and length <= _MAX_PAYLOAD and at + HEADER_BYTES + length > len(data))


def _checksum(kind: int, key: bytes, payload: bytes) -> int:
    # Length and kind are the start value, so that a change to the header is seen as well.
    return zlib.crc32(payload, zlib.crc32(key, len(payload) << 8 | kind))
