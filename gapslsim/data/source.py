"""Where public data lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from gapslsim.regular_files import in_home

__all__ = ["VARIABLE", "public_data_folder"]

VARIABLE = "GAPSLSIM_DATA"
"""Environment variable that names the folder of public data."""


def public_data_folder() -> Path | None:
    """Folder of public data, holding one folder per data set; None if there is none.

    In this order: the environment variable GAPSLSIM_DATA, taken as it is even if the folder does not exist
    (the data set then says that it looked there); `../shared/data` from the current directory; `../shared/data`
    from the root of the checkout that this package lies in.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return in_home(named)
    roots = [Path.cwd()]
    checkout = Path(__file__).resolve().parents[2]
    # An installed package lies in no checkout, and what is beside its environment is nobody's data.
    if (checkout / "pyproject.toml").is_file():
        roots.append(checkout)
    for root in roots:
        folder = root.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    return None
