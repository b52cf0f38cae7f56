"""A device as a scenario names it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from gapslsim.errors import GapslsimError
from gapslsim.regular_files import real_path

__all__ = ["DeviceName"]


def _known_device(name: str, info: ValidationInfo) -> str:
    """Checks that the profile can be read; a path is made absolute, from the scenario file's folder."""
    from gapslsim.hardware.devices import load_device

    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    if folder is not None and ("/" in name or name.endswith((".yaml", ".yml"))):
        name = str(real_path(Path(folder) / name))
    try:
        load_device(name)
    except GapslsimError as error:
        raise ValueError(str(error)) from error
    return name


DeviceName = Annotated[str, AfterValidator(_known_device)]
"""A shipped hardware profile (`gapslsim list device`), one of its modes (`jetson-nano@5w`), or a profile's path."""
