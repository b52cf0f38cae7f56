"""Files that a scenario names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from gapslsim.regular_files import real_path

__all__ = ["OwnPath"]


def _beside_the_scenario(path: Path, info: ValidationInfo) -> Path:
    """A relative path made absolute from the scenario's folder, unless it is only in the current directory."""
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    path = Path(os.path.expanduser(path))
    if folder is None or (_exists(path) and not _exists(Path(folder) / path)):
        return path
    return real_path(Path(folder) / path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False


OwnPath = Annotated[Path, AfterValidator(_beside_the_scenario)]
"""A file or folder: relative to the scenario file where it is there, else to the current directory."""
