"""Fixtures and settings that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from gapslsim.kernels import choose

# Values of other versions of a file under test must not be taken for those of this one.
os.environ["GAPSLSIM_CACHE"] = "off"
# Before anything imports torch: learning hashes are then the same on x86-64 machines of one make.
choose("pinned")

# Shapes of tensor functions are checked in tests only. Optimizers and rules import torch inside their methods, so the
# names of their annotations do not exist at run time.
_TENSOR_MODULES = {
    "learning": (
        "_powers",
        "alignment",
        "evaluation",
        "geometry",
        "layers",
        "loss",
        "server_pass",
        "tensors",
    ),
    "models": ("layers", "_shapes"),
}
install_import_hook(
    [f"gapslsim.{package}.{name}" for package, names in _TENSOR_MODULES.items() for name in names],
    "beartype.beartype",
)

settings.register_profile("gapslsim", deadline=None, max_examples=50)
settings.load_profile("gapslsim")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Folder of the public data; the test is skipped where there is none."""
    folder = Path(os.environ.get("GAPSLSIM_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder} (set GAPSLSIM_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors are faster on one thread, and results do not depend on the number of cores."""
    import sys

    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
