"""Where the files are that come with gapslsim: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from gapslsim.errors import ComponentError

__all__ = ["shipped_folder"]


def shipped_folder(name: str) -> Path:
    """Folder of shipped files: `hardware_profiles` or `scenarios`.

    A wheel carries it in `gapslsim/_shipped/<name>`; a checkout has it at its root, beside the package.

    Raises:
        ComponentError: if there is none; names both places.
    """
    package = Path(__file__).resolve().parent.parent
    candidates = (package / "_shipped" / name, package.parent / name)
    for folder in candidates:
        if folder.is_dir():
            return folder
    places = " nor ".join(str(folder) for folder in candidates)
    raise ComponentError(
        f"The shipped {name!r} are missing: neither {places} is a folder. Install gapslsim again."
    )
