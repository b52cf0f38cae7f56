"""Checkpoints: files of states by content key, read back only if their checksum is right."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from gapslsim.errors import JournalError
from gapslsim.learning.journal._checkpoint_info import CheckpointInfo, new_name
from gapslsim.regular_files import check_regular, open_regular
from gapslsim.whole_files import whole_file

if TYPE_CHECKING:
    from gapslsim.learning.state import SideState

__all__ = ["Checkpoints", "OpenCheckpoint", "checksum_of"]


class OpenCheckpoint:
    """A checkpoint whose checksum was right, held open: it can be read even if it is deleted meanwhile."""

    def __init__(self, info: CheckpointInfo, file: BinaryIO, device: str) -> None:
        self.info = info
        self._file: BinaryIO | None = file
        self._device = device
        self._path = file.name
        self._states: dict[str, SideState] = {}
        # A finalizer is called before the file dies, even where both die in a cycle; `__del__` is not.
        self._close = weakref.finalize(self, file.close)

    def state(self, key: str) -> SideState:
        """One of its states; the tensors that several states share are shared again."""
        if self._file is not None:
            self._states = _read_states(self._file, self._device)
            self._close()
            self._file = None
        if key not in self._states:
            raise JournalError(
                f"{self._path}: the checkpoint lacks a state that its record names. Delete the journal and run again."
            )
        return self._states[key]


class Checkpoints:
    """The checkpoint files of one training.

    Args:
        folder: where they lie.
        device: torch device that states are read to.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.messages: list[str] = []
        """What was damaged or missing, naming the file."""
        self._folder = folder
        self._device = device
        self._infos: dict[str, CheckpointInfo] = {}
        self._of_key: dict[str, list[str]] = {}
        self._open: OpenCheckpoint | None = None

    def infos(self) -> list[CheckpointInfo]:
        """All that are known, the oldest first."""
        return list(self._infos.values())

    def add(self, info: CheckpointInfo) -> None:
        """Makes a recorded checkpoint known, unless its file is gone."""
        if info.name in self._infos:
            return
        try:
            check_regular(self._folder / info.name, follow=False)
        except OSError:  # Another run may have deleted it to make room after it was recorded.
            return
        self._infos[info.name] = info
        for key in info.keys:
            self._of_key.setdefault(key, []).append(info.name)

    def holding(self, key: str) -> OpenCheckpoint | None:
        """A sound checkpoint that holds a state, the last opened one before others; None if there is none."""
        names = self._of_key.get(key)
        if not names:  # As a rule: most states are in no checkpoint.
            return None
        # What is open has been checked and may have been read; another one would cost both again.
        if self._open is not None and self._open.info.name in names:
            return self._open
        while names:
            # The newest first: it is the one whose other states are likeliest to be wanted too.
            found = self._verified(self._infos[names[-1]])
            if found is not None:
                self._open = found
                return found
            self._forget(names[-1])
        return None

    def write(self, states: Mapping[str, SideState], round: int) -> CheckpointInfo:
        """Writes a checkpoint, whole or not at all; the caller records it.

        Raises:
            OSError: if it cannot be written.
        """
        import torch

        # An empty memory is left out: most states have none.
        parts = {
            key: {name: part for name, part in vars(state).items() if name != "memory" or part}
            for key, state in states.items()
        }
        name = new_name()
        with whole_file(self._folder / name) as file:
            # Tensor by tensor: a checkpoint may be larger than what is free in memory.
            written = _Summed(file)
            try:
                torch.save(parts, cast("BinaryIO", written))
            except RuntimeError as error:
                raise written.broken_off or error from None
        return CheckpointInfo(name, written.sha256.hexdigest(), written.n_bytes, round, list(states))

    def delete(self, info: CheckpointInfo) -> None:
        """Deletes a checkpoint; who has it open can still read it."""
        with suppress(OSError):
            (self._folder / info.name).unlink(missing_ok=True)
        self._forget(info.name)

    def _verified(self, info: CheckpointInfo) -> OpenCheckpoint | None:
        path = self._folder / info.name
        try:
            file = open_regular(path, follow=False)
        except OSError as error:
            self.messages.append(f"{path}: cannot be read ({error.strerror}); its states are computed again.")
            return None
        if _sum_of_open(file) != info.sha256:
            file.close()
            self.messages.append(
                f"{path}: the checkpoint of round {info.round} is damaged (checksum); its states are computed again."
            )
            return None
        # The checksum has read to the end.
        file.seek(0)
        return OpenCheckpoint(info, file, self._device)

    def _forget(self, name: str) -> None:
        info = self._infos.pop(name, None)
        for key in info.keys if info else ():
            self._of_key[key].remove(name)


class _Summed:
    """A file that is written from beginning to end, with the checksum and the length of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256, self.n_bytes = hashlib.sha256(), 0
        self.broken_off: BaseException | None = None
        """By a full disk, or by Ctrl-C; torch then only says that its position is not the one it expects."""
        self._file = file
        self.flush = file.flush

    def write(self, part: Any) -> int:
        """Appends a part, any buffer of bytes."""
        self.sha256.update(part)
        n_bytes = memoryview(part).nbytes
        self.n_bytes += n_bytes
        try:
            self._file.write(part)
        except BaseException as error:
            self.broken_off = error
            raise
        return n_bytes


def checksum_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with open_regular(path, follow=False) as file:
        return _sum_of_open(file)


_SOUND: dict[tuple[int, int, int, int], str] = {}
"""Checksums found in this process, by what tells an unchanged file: a study reads the same checkpoint many times."""


def _sum_of_open(file: BinaryIO) -> str:
    status = os.fstat(file.fileno())
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if identity not in _SOUND:
        # Block by block: a checkpoint may be gigabytes, and its checksum needs no copy of it in memory.
        _SOUND[identity] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return _SOUND[identity]


def _read_states(file: BinaryIO, device: str) -> dict[str, SideState]:
    import torch

    from gapslsim.learning.state import SideState

    try:
        # `weights_only`: a journal may come from elsewhere, and a pickle can run any code.
        stored: dict[str, dict[str, Any]] = torch.load(file, map_location=device, weights_only=True)
        return {key: SideState(**parts) for key, parts in stored.items()}
    except Exception as error:  # Torch raises many kinds, and none of them may pass for another trouble.
        raise JournalError(
            f"{file.name}: the checkpoint cannot be read ({error}), although its checksum is right. "
            "Delete the journal and run again."
        ) from error
