"""Files named in a scenario: looked for beside the scenario first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

__all__ = ["FileName"]


def _beside_the_scenario(name: str, info: ValidationInfo) -> str:
    """A relative name of a file that lies beside the scenario, made absolute; any other name as it is."""
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    if folder is not None and (found := Path(folder) / name).is_file():
        return str(found.resolve())
    return name


FileName = Annotated[str, AfterValidator(_beside_the_scenario)]
"""Name of a file: relative to the scenario file where it is there, else as the component says."""
