"""A journal's directory: one folder per training, with a header that says what it is of and what made it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gapslsim.errors import JournalError
from gapslsim.learning.journal._own_files import HEADER
from gapslsim.learning.journal.compatibility import FORMAT, differences
from gapslsim.regular_files import read_text
from gapslsim.whole_files import make_folder, whole_file

__all__ = ["MARKER", "Training", "check_journal", "claim_journal", "open_training", "trainings"]

MARKER: Final = "journal.json"
_NAME: Final = re.compile(r"training-[0-9a-f]{16}")


@dataclass(frozen=True)
class Training:
    """The folder of one training made by one set of programs."""

    folder: Path
    header: dict[str, Any]
    """`setup` (content key), `about` (words), `compatibility`."""


def open_training(
    directory: Path, setup: str, compatibility: dict[str, Any], about: dict[str, Any]
) -> tuple[Training, list[str]]:
    """The folder of a training, made if need be; and what else was found of the same training but cannot be used.

    Args:
        directory: of the journal.
        setup: content key of the set-up.
        compatibility: what made the results, see `compatibility`.
        about: what a reader wants to know: name, framework, seed.

    Raises:
        JournalError: if the directory is something else, or a journal of another format.
    """
    claim_journal(directory)
    # The folder is named by both, so that trainings of other programs lie beside this one and never mix.
    folder = directory / _name_of(setup, compatibility)
    messages: list[str] = []
    header = {"setup": setup, "compatibility": compatibility, "about": about}
    _make(folder)
    found = _header_of(folder)
    # Sixteen digits of a hash are a name, not a proof; the header holds the whole.
    if found is not None and (found["setup"], found["compatibility"]) != (setup, compatibility):
        raise JournalError(f"{folder / HEADER} is of another training; delete {folder}.")
    if found is None:
        if is_damaged(folder):
            messages.append(f"{folder / HEADER} is damaged; it is written again, and the records are used.")
        for other in trainings(directory):
            if other.header["setup"] == setup:
                differs = ", ".join(differences(other.header["compatibility"], compatibility))
                messages.append(f"{other.folder}: records of this training are ignored: {differs}.")
        try:
            _clear(folder / HEADER)
            _write(folder / HEADER, header)
        except OSError as error:
            why = error.strerror or error
            raise JournalError(
                f"{folder / HEADER} cannot be written: {why}; see to it, or delete {folder}."
            ) from error
    else:
        with suppress(OSError):
            os.utime(folder / HEADER)  # When it was last used, for `journal list` and `journal prune`.
    return Training(folder, found or header), messages


def trainings(directory: Path) -> list[Training]:
    """Every training in a journal, the one used last at the end.

    Raises:
        JournalError: if the directory is no journal of this format.
    """
    check_journal(directory)
    read = ((folder, _header_of(folder)) for folder in folders_of(directory))
    return [Training(folder, header) for folder, header in read if header is not None]


def folders_of(directory: Path) -> list[Path]:
    """Folders of the trainings in a journal, the one used last at the end; also those whose header is damaged."""
    # A link among them is no folder that this program made; `directory` itself may be one, as the user gave it.
    folders = [entry for entry in os.scandir(directory) if _NAME.fullmatch(entry.name)]
    own = [directory / entry.name for entry in folders if entry.is_dir(follow_symlinks=False)]
    return sorted(own, key=_last_used)


def check_journal(directory: Path) -> None:
    """Refuses what is no journal, or one of another format.

    Raises:
        JournalError: says which.
    """
    try:
        # A broken marker is treated as none: whatever lies here, it is not to be written to.
        marker = json.loads(read_text(directory / MARKER, follow=False))
        made_by = marker["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise JournalError(
            f"{directory} is no journal: it has no readable {MARKER}. Give the directory of a journal, or a new one."
        ) from None
    if made_by != FORMAT:
        raise JournalError(
            f"{directory} is a journal of format {made_by}; this version reads format {FORMAT}. Give another "
            "directory, or delete it."
        )


def claim_journal(directory: Path) -> None:
    """Makes a new or empty directory a journal; refuses one that holds something else.

    Others may be at it at the same time, or may have been killed over it: their unfinished markers do not count.

    Raises:
        JournalError: if it holds something else, or cannot be written.
    """
    try:
        make_folder(directory)
        if not (directory / MARKER).exists() and all(
            _is_partial(file, MARKER) for file in directory.iterdir()
        ):
            _write(directory / MARKER, {"what": "journal of gapslsim", "format": FORMAT, "made": time.time()})
    except OSError as error:
        raise JournalError(f"{directory} cannot be used as a journal: {error.strerror or error}.") from error
    check_journal(directory)


def _header_of(folder: Path) -> dict[str, Any] | None:
    try:
        header = json.loads(read_text(folder / HEADER, follow=False))
    except (OSError, ValueError, RecursionError):
        return None
    about, made_by = (
        header.get(name) if isinstance(header, dict) else None for name in ("about", "compatibility")
    )
    is_whole = (
        isinstance(about, dict)
        and isinstance(made_by, dict)
        and isinstance(header.get("setup"), str)
        and about.keys() >= {"name", "framework", "seed"}
        and made_by.keys() >= {"gapslsim", "torch"}
        and folder.name == _name_of(header["setup"], made_by)
    )
    return header if is_whole else None


def _name_of(setup: str, compatibility: dict[str, Any]) -> str:
    """Of a training's folder."""
    text = json.dumps([setup, compatibility], sort_keys=True)
    return f"training-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_damaged(folder: Path) -> bool:
    """Whether a training's folder has a header that says nothing, or not what the folder is named by."""
    return os.path.lexists(folder / HEADER) and _header_of(folder) is None


def _last_used(folder: Path) -> tuple[float, str]:
    try:
        return (folder / HEADER).lstat().st_mtime, folder.name
    except OSError:
        return 0.0, folder.name


def _make(folder: Path) -> None:
    """Makes a training's folder, unless it is there; refuses what is none."""
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise JournalError(f"{folder} cannot be made: {error.strerror}; give another journal.") from error
    if folder.is_symlink() or not folder.is_dir():
        raise JournalError(f"{folder} is no folder that a journal made; delete it, or give another journal.")


def _is_partial(path: Path, name: str) -> bool:
    """Whether a file is what `whole_file` has made of a file of this name so far."""
    return path.name.startswith(f".{name}.") and path.name.endswith(".partial")


def _clear(path: Path) -> None:
    """Removes what no program of ours writes there, a pipe or a link say: files take the place of files alone."""
    with suppress(OSError):  # a folder with something in it stays, and is told of by who writes
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            path.rmdir()
        elif not stat.S_ISREG(mode):
            path.unlink()


def _write(path: Path, value: object) -> None:
    with whole_file(path) as file:
        file.write((json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
