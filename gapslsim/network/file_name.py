"""Files named in a scenario: looked for beside the scenario first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from gapslsim.errors import NetworkError
from gapslsim.regular_files import in_home, is_file, real_path

__all__ = ["FileName", "find_file"]


def _beside_the_scenario(name: str, info: ValidationInfo) -> str:
    """A relative name of a file that lies beside the scenario, made absolute; any other name as it is."""
    folder = info.context.get("folder") if isinstance(info.context, dict) else None
    if folder is not None and is_file(found := Path(folder) / name):
        return str(real_path(found))
    return name


FileName = Annotated[str, AfterValidator(_beside_the_scenario)]
"""Name of a file: relative to the scenario file where it is there, else as the component says."""


def find_file(file: str) -> Path:
    """The file as given, or below the folder of public data.

    That folder is `GAPSLSIM_DATA`, else `../shared/data` from the current directory or from the checkout's root.

    Raises:
        NetworkError: if it is in neither place; says where it looked.
    """
    named = os.environ.get("GAPSLSIM_DATA")
    roots = [Path.cwd(), Path(__file__).resolve().parents[2]]
    folders = [in_home(named)] if named else [root.parent / "shared" / "data" for root in roots]
    places = [Path(file), *(folder / file for folder in dict.fromkeys(folders))]
    for place in places:
        if is_file(place):
            return place
    looked = " and ".join(str(place) for place in places)
    raise NetworkError(
        f"Trace file {file!r} not found; looked at {looked}. Give its path, or set GAPSLSIM_DATA to the data folder."
    )
