"""A discrete-event network simulator coupled to real split-learning training.

from gapslsim import load, simulate
results = simulate(load("scenarios/quickstart.yaml"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapslsim.results.results import Results
    from gapslsim.run import simulate
    from gapslsim.scenario.loading import load

__all__ = ["Results", "__version__", "load", "simulate"]

__version__ = "0.1.0"

_HOMES = {
    "Results": "gapslsim.results.results",
    "load": "gapslsim.scenario.loading",
    "simulate": "gapslsim.run",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import gapslsim` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gapslsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
