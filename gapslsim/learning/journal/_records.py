"""The record files of one training: each process appends to a file of its own and reads those of all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gapslsim.learning.journal._frames import CHECKPOINT, HEADER_BYTES, Damage, Frame, Torn, frame_bytes, scan
from gapslsim.locks import Hold, take

__all__ = ["RecordFiles"]

_PREFIX: Final = "records-"
_SUFFIX: Final = ".log"


class RecordFiles:
    """Records by key, over all files of a folder; safe for several processes.

    A file has one writer, which holds its lock. A frame is written by one call. What a killed writer left unfinished
    is cut off and told; what is damaged is left where it is, told and not used.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.messages: list[str] = []
        """What was torn or damaged, naming the file."""
        self.checkpoint_frames: list[bytes] = []
        """Payloads of checkpoint records, in the order in which they were found."""
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._index: dict[bytes, tuple[_File, int, int]] = {}
        self._own: _File | None = None
        self._hold: Hold | None = None
        self.refresh(first=True)

    def get(self, key: str, *, look_again: bool = True) -> bytes | None:
        """Payload of an operation's record; None if nobody has written one.

        Args:
            key: content key, 64 hexadecimal digits.
            look_again: read what others have appended since, if it is not known.
        """
        digest = bytes.fromhex(key)
        found = self._index.get(digest)
        if found is None and look_again and self.refresh():
            found = self._index.get(digest)
        if found is None:
            return None
        file, start, length = found
        return os.pread(file.descriptor, length, start)

    def put(self, kind: int, key: str, payload: bytes) -> int:
        """Appends a record; returns the bytes written.

        Raises:
            OSError: if it cannot be written.
        """
        if self._own is None:
            name = f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
            # Made at the first record, so that a run that replays everything leaves no empty file.
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            self._hold = take(self._folder / name)
            self._own = self._files[name] = _File(name, descriptor)
        own, digest = self._own, bytes.fromhex(key)
        framed = frame_bytes(kind, digest, payload)
        # A short write (a full disk) leaves a torn frame, which the next reader cuts off.
        if os.write(own.descriptor, framed) != len(framed):
            raise OSError("a record was written in part")
        # Checkpoints are known to `Checkpoints`; their keys name files, not operations.
        if kind != CHECKPOINT:
            self._index[digest] = (own, own.scanned + HEADER_BYTES, len(payload))
        own.scanned += len(framed)
        return len(framed)

    def refresh(self, first: bool = False) -> bool:
        """Reads what was appended since the last time; returns whether there was anything."""
        news = False
        for entry in os.scandir(self._folder):
            if not (entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)):
                continue
            file = self._files.get(entry.name)
            if file is None:
                file = self._files[entry.name] = _File(entry.name, _open(entry.path))
            # What this process wrote is in the index since it was written.
            if file is not self._own:
                news |= self._read_on(file, first)
        return news

    def close(self) -> None:
        """Closes every file; a file without a record is never left behind."""
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()
        self._index.clear()
        self._own = None
        if self._hold is not None:
            self._hold.release()

    def _read_on(self, file: _File, first: bool) -> bool:
        size = os.fstat(file.descriptor).st_size
        # The usual case: asking for the size is all that looking again costs.
        if size <= file.scanned:
            return False
        begin = file.scanned
        data = os.pread(file.descriptor, size - begin, begin)
        for found in scan(data, begin):
            if isinstance(found, Frame):
                end = found.start + found.length
                if found.kind == CHECKPOINT:
                    self.checkpoint_frames.append(data[found.start - begin : end - begin])
                else:
                    self._index[found.key] = (file, found.start, found.length)
                file.scanned = end
            elif isinstance(found, Damage):
                self.messages.append(
                    f"{self._folder.name}/{file.name}: bytes {found.start} to {found.end} are damaged (checksum); "
                    "what they held is computed again."
                )
                file.scanned = found.end
            # Later a torn end is a frame that its writer is just writing: it is whole at the next look.
            elif isinstance(found, Torn) and first:
                self._drop_torn(file, found.start, size)
        return True

    def _drop_torn(self, file: _File, start: int, size: int) -> None:
        """Cuts off what a killed process left; a living one holds the lock and is left alone."""
        with suppress(OSError):  # In a folder that may only be read it stays where it is.
            hold = take(self._folder / file.name)
            if hold is None:
                return
            with hold:
                os.ftruncate(file.descriptor, start)
        self.messages.append(
            f"{self._folder.name}/{file.name}: its last record was torn ({size - start} bytes) and is dropped; "
            "what it held is computed again."
        )


def _open(path: str) -> int:
    """A record file for reading; also for cutting off a torn end, where that is permitted."""
    try:
        return os.open(path, os.O_RDWR)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


@dataclass(eq=False)
class _File:
    """One record file, open."""

    name: str
    descriptor: int
    scanned: int = 0
    """Bytes that have been read and understood."""
