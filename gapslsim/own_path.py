"""Files that a scenario names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from gapslsim.regular_files import exists, in_home, real_path

__all__ = ["OwnPath"]


def _beside_the_scenario(path: Path, info: ValidationInfo) -> Path:
    """A relative path made absolute from the scenario's folder, unless it is only in the current directory."""
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    path = in_home(path)
    if folder is None or (exists(path) and not exists(Path(folder) / path)):
        return path
    return real_path(Path(folder) / path)


OwnPath = Annotated[Path, AfterValidator(_beside_the_scenario)]
"""A file or folder: relative to the scenario file where it is there, else to the current directory."""
