"""Looking after a journal: what is in it, whether it is sound, and keeping it small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapslsim.errors import JournalError
from gapslsim.learning._observations import read_record
from gapslsim.learning.journal._checkpoint_info import CheckpointInfo
from gapslsim.learning.journal._checkpoints import checksum_of
from gapslsim.learning.journal._frames import Damage, Frame, Torn, scan
from gapslsim.learning.journal._own_files import (
    CHECKPOINTS,
    HEADER,
    LOCK,
    RECORDS,
    UNFINISHED,
    delete_training,
    own_files,
    size_of,
)
from gapslsim.learning.journal._records import MOST_BYTES
from gapslsim.learning.journal.folder import (
    MARKER,
    Training,
    check_journal,
    folders_of,
    is_damaged,
    trainings,
)
from gapslsim.locks import take
from gapslsim.regular_files import read_bytes

__all__ = ["Content", "content_of", "delete_journal", "prune", "verify"]


@dataclass(frozen=True)
class Content:
    """What one training's folder holds."""

    training: Training
    n_records: int
    checkpoints: list[CheckpointInfo]
    """Those whose file is there, the oldest first."""
    size_bytes: int
    last_used: float
    """Seconds since the epoch."""
    in_use: bool
    problems: list[str]
    """Torn and damaged records, checkpoints that are damaged (if asked for), files that nothing names."""


def content_of(training: Training, check_checkpoints: bool = False) -> Content:
    """Reads every record of a training's folder and counts.

    Args:
        training: which.
        check_checkpoints: also compute the checksum of each checkpoint.
    """
    folder, problems = training.folder, []
    keys: set[bytes] = set()
    infos: dict[str, CheckpointInfo] = {}
    # By age, so that checkpoints come in the order in which they were written.
    for entry in sorted(own_files(folder, RECORDS), key=lambda entry: entry.stat().st_mtime):
        path = folder / entry.name
        try:
            data = read_bytes(path, MOST_BYTES, follow=False)
        except OSError as error:
            problems.append(f"{path}: cannot be read ({error.strerror}).")
            continue
        for found in scan(data):
            if isinstance(found, Frame) and found.checkpoint is not None:
                infos[found.checkpoint.name] = found.checkpoint
            elif isinstance(found, Frame):
                keys.add(found.key)
                try:
                    read_record(data[found.start : found.start + found.length])
                except ValueError as error:
                    problems.append(f"{path}: the record at byte {found.start} {error}.")
            elif isinstance(found, Damage):
                problems.append(f"{path}: bytes {found.start} to {found.end} are damaged.")
            elif isinstance(found, Torn):
                problems.append(f"{path}: the last record is torn ({len(data) - found.start} bytes).")
    there = {entry.name for entry in own_files(folder, CHECKPOINTS)}
    here = [info for info in infos.values() if info.name in there]
    if check_checkpoints:
        for info in here:
            if checksum_of(folder / info.name) != info.sha256:
                problems.append(
                    f"{folder / info.name}: the checkpoint of round {info.round} is damaged (checksum)."
                )
    problems += [f"{path}: no record names this file." for path in _orphans(folder, set(infos))]
    with _alone(folder) as alone:
        in_use = not alone
    used = (folder / HEADER).lstat().st_mtime
    return Content(training, len(keys), here, size_of(folder), used, in_use, problems)


def verify(directory: Path) -> tuple[int, list[str]]:
    """Checks every checksum; returns how many records and checkpoints were checked, and what is wrong, naming files.

    Raises:
        JournalError: if the directory is no journal of this format.
    """
    check_journal(directory)
    n_checked, problems = 0, []
    for folder in filter(is_damaged, folders_of(directory)):
        problems.append(
            f"{folder / HEADER}: is damaged; the run that it is of writes it again with --resume."
        )
    for training in trainings(directory):
        content = content_of(training, check_checkpoints=True)
        n_checked += content.n_records + len(content.checkpoints)
        problems += content.problems
    return n_checked, problems


def prune(
    directory: Path, max_bytes: float | None = None, keep_made_by: dict[str, Any] | None = None
) -> list[str]:
    """Makes a journal smaller. What is in use stays as it is.

    Checkpoints that no record names always go, and what interrupted writing left. Then, where asked for: trainings
    made by other programs; checkpoints, those of the training used longest ago first and of each the oldest first;
    whole trainings, in the same order. Other files in the folders are never touched.

    Args:
        directory: of the journal.
        max_bytes: size to come down to; None for no limit.
        keep_made_by: entries of the compatibility that a training must have to stay; None keeps all.

    Returns:
        What was done and what was left, in words.

    Raises:
        JournalError: if the directory is no journal of this format.
    """
    done: list[str] = []
    left: list[Content] = []
    for training in trainings(directory):
        # Held while it is worked on: nobody begins to use a folder that is about to go.
        with _alone(training.folder) as alone:
            if not alone:
                done.append(f"{training.folder.name}: in use, left as it is.")
                continue
            made_by = training.header["compatibility"]
            if keep_made_by is not None and any(made_by.get(k) != v for k, v in keep_made_by.items()):
                delete_training(training.folder)
                done.append(f"{training.folder.name}: deleted, made by another version.")
                continue
            content = content_of(training)
            for path in _orphans(training.folder, {info.name for info in content.checkpoints}):
                path.unlink()
                done.append(f"{path}: deleted, no record names it.")
            left.append(content)
    if max_bytes is not None:
        done += _come_down_to(max_bytes, left, sum(size_of(c.training.folder) for c in left))
    return done


def delete_journal(directory: Path) -> None:
    """Deletes a whole journal; refuses what is none.

    Raises:
        JournalError: if the directory is no journal of this format.
    """
    check_journal(directory)
    for training in trainings(directory):
        delete_training(training.folder)
    # Last, so that a deletion that was broken off leaves something that is still a journal.
    (directory / MARKER).unlink()
    with suppress(OSError):  # Something else lies in it as well.
        directory.rmdir()


def _come_down_to(max_bytes: float, contents: list[Content], size: int) -> list[str]:
    done = []
    # All checkpoints go before any record: records are small and save the most per byte.
    for whole in (False, True):
        for content in contents:
            folder = content.training.folder
            with _alone(folder) as alone:
                if not alone:
                    continue
                for info in () if whole else content.checkpoints:
                    if size > max_bytes:
                        (folder / info.name).unlink()
                        size -= info.size_bytes
                        done.append(f"{folder.name}/{info.name}: deleted ({info.size_bytes} bytes).")
                if whole and size > max_bytes:
                    size -= size_of(folder)
                    delete_training(folder)
                    done.append(f"{folder.name}: deleted.")
    return done


def _orphans(folder: Path, named: set[str]) -> list[Path]:
    """Checkpoints that nothing names, and what interrupted writing left."""
    checkpoints = [entry for entry in own_files(folder, CHECKPOINTS) if entry.name not in named]
    return [folder / entry.name for entry in own_files(folder, UNFINISHED) + checkpoints]


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody uses a training's folder; nobody can begin to meanwhile."""
    try:
        hold = take(folder / LOCK)
    except OSError as error:
        raise JournalError(f"{folder / LOCK} cannot be used: {error.strerror}.") from error
    try:
        yield hold is not None
    finally:
        if hold is not None:
            hold.release()
