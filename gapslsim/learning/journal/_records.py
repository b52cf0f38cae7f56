"""The record files of one training: each process appends to a file of its own and reads those of all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gapslsim.learning.journal._checkpoint_info import CheckpointInfo
from gapslsim.learning.journal._frames import CHECKPOINT, HEADER_BYTES, Damage, Frame, Torn, frame_bytes, scan
from gapslsim.learning.journal._own_files import RECORDS, own_files
from gapslsim.locks import Hold, take

__all__ = ["RecordFiles"]

MOST_BYTES: Final = 1 << 29
"""Of a record file that is read, as it is read in one piece; a writer begins another one at half of it."""


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
        self.checkpoints: list[CheckpointInfo] = []
        """What checkpoint records say, in the order in which they were found."""
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
        if self._own is None or self._own.scanned > MOST_BYTES // 2:
            name = f"records-{uuid.uuid4().hex}.log"
            # Made at the first record, so that a run that replays everything leaves no empty file.
            descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            if self._hold is not None:
                self._hold.release()
            self._hold = take(self._folder / name)
            self._own = self._files[name] = _File(name, descriptor, is_own=True)
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
        for entry in own_files(self._folder, RECORDS):
            file = self._files.get(entry.name)
            if file is None:
                file = self._files[entry.name] = _File(entry.name, _open(entry.path))
            # What this process wrote is in the index since it was written.
            if not file.is_own:
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
        if size - begin > MOST_BYTES:
            file.scanned = size
            self.messages.append(
                f"{self._folder.name}/{file.name}: {(size - begin) / 1e6:.0f} MB are more than any run writes into one "
                "file; what it holds is computed again."
            )
            return False
        data = os.pread(file.descriptor, size - begin, begin)
        for found in scan(data, begin):
            if isinstance(found, Frame):
                end = found.start + found.length
                if found.checkpoint is not None:
                    self.checkpoints.append(found.checkpoint)
                else:
                    self._index[found.key] = (file, found.start, found.length)
                file.scanned = end
            elif isinstance(found, Damage):
                self.messages.append(
                    f"{self._folder.name}/{file.name}: bytes {found.start} to {found.end} are damaged; "
                    "what they held is computed again."
                )
                file.scanned = found.end
            # Later a torn end is a frame that its writer is just writing: it is whole at the next look.
            elif isinstance(found, Torn) and first:
                self._drop_torn(file, found.start, size)
        return True

    def _drop_torn(self, file: _File, start: int, size: int) -> None:
        """Cuts off what a killed process left; a living one holds the lock and is left alone."""
        # In a folder that may only be read it stays where it is; so it does under a second name, maybe not ours.
        with suppress(OSError):
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
    no_other = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, os.O_RDWR | no_other)
    except PermissionError:
        return os.open(path, os.O_RDONLY | no_other)


@dataclass(eq=False)
class _File:
    """One record file, open."""

    name: str
    descriptor: int
    scanned: int = 0
    """Bytes that have been read and understood."""
    is_own: bool = False
    """This process writes it."""
