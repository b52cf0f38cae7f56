"""`gapslsim data get`: fetches a public data set to where the loaders look for it."""

from __future__ import annotations

import contextlib
import io
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from gapslsim.cli.say import say
from gapslsim.errors import DataError
from gapslsim.regular_files import real_path
from gapslsim.whole_files import make_folder

__all__ = ["data_command"]

_TORCHVISION: Final = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion_mnist": "FashionMNIST"}
"""The class of torchvision that fetches a data set and checks what it has got."""


class Action(StrEnum):
    """What to do."""

    get = "get"


class Name(StrEnum):
    """What can be fetched."""

    cifar10 = "cifar10"
    cifar100 = "cifar100"
    fashion_mnist = "fashion_mnist"


def data_command(
    action: Annotated[Action, typer.Argument(help="get.")],
    name: Annotated[Name, typer.Argument(help="Data set to fetch.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for its files [default: NAME in the public data folder]."),
    ] = None,
) -> None:
    """Fetches a public data set through torchvision, which checks its checksum; what is there is not fetched again."""
    assert action is Action.get
    folder = _folder(name, to)
    _fetch(name, folder)
    from gapslsim.data.dataset import datasets

    # Read as a run reads it, so that what is said here is true there.
    loaded = datasets[name.value](root=folder).load(None, 0)  # type: ignore[call-arg]
    say(f"{name.value}: {len(loaded.train)} training and {len(loaded.test)} test images in {folder}")
    if to is not None:
        say(f"Scenarios read it there with data: {{kind: {name.value}, root: {folder}}}")


def _folder(name: Name, to: Path | None) -> Path:
    from gapslsim.data.source import VARIABLE, public_data_folder

    public = public_data_folder()
    if to is None and public is None:
        raise DataError(
            f"There is no folder of public data: say where with --to DIR, or set {VARIABLE} to a folder."
        )
    folder = to if to is not None else Path(str(public)) / name.value
    try:
        make_folder(folder)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written to ({error.strerror}); give another with --to DIR."
        ) from error
    return real_path(folder)


def _fetch(name: Name, folder: Path) -> None:
    import torchvision

    fetch = getattr(torchvision.datasets, _TORCHVISION[name.value])
    try:
        # It prints to the standard output what we say ourselves.
        with contextlib.redirect_stdout(io.StringIO()):
            for train in (True, False):
                fetch(str(folder), train=train, download=True)
    except OSError as error:
        raise DataError(
            f"{name.value} cannot be fetched ({error}). Is there a network? Else bring the files from another machine "
            f"into {folder}."
        ) from error
    except RuntimeError as error:
        raise DataError(
            f"{name.value} in {folder} is not what was published ({error}): its checksum is another, or a mirror gave "
            "something else. Delete the folder and fetch it again."
        ) from error
