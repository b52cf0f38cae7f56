"""Which invariants each family has: from a component to all that was found.

A file of this folder that is named as a family holds its invariants: the public functions, in order.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, Final

from gapslsim.checks._examples import NoSettingsError, make
from gapslsim.checks.check import LIMIT_S, Invariant, Outcome, look
from gapslsim.registry import FAMILIES

__all__ = ["check", "invariants_of"]

_OWN: Final = (
    "availability", "channel", "client_update", "codec", "cost_model", "data", "framework", "latency", "link_loss",
    "loss", "metric", "model", "network", "optimizer", "participation", "partition", "protocol", "schedule",
    "server_update", "staleness",
)  # fmt: skip
"""Families with a file of invariants of their own, which has the family's name."""
_RULES: Final = ("client_sync", "client_update", "participation", "server_schedule", "server_update")
"""Families of rules, which are looked at in runs of a framework too."""


def invariants_of(family: str) -> list[Invariant]:
    """Every invariant of a family's members, the general ones first."""
    return [claim for module in _modules(family) for claim in _claims(module)]


def check(
    family: str,
    kind: str,
    given: Mapping[str, Any] | None = None,
    limit_s: float = LIMIT_S,
    inputs: tuple[int, ...] | None = None,
) -> list[Outcome]:
    """Looks at every invariant of one component.

    Args:
        family: name of the family.
        kind: of the component.
        given: settings by dotted path; what else is required is guessed.
        limit_s: wall time that each invariant may take [s].
        inputs: shape of one input of a model; one of some that it takes unless given.

    Raises:
        ComponentError: for an unknown component, and for settings that cannot be used.
    """
    cls = FAMILIES[family][kind]
    try:
        member = make(family, kind, given or {})
    except NoSettingsError as error:
        return [Outcome("Its settings can be made.", "failed", str(error))]
    outcomes: list[Outcome] = []
    for module in _modules(family):
        in_run = module.__name__.endswith(".framework") and family != "framework"
        prefix = "In a run of `parallel`: " if in_run else ""
        outcomes += look(_claims(module), _subject(module, family, member, inputs), cls, limit_s, prefix)
    return outcomes


def _modules(family: str) -> list[Any]:
    """Imported when they are needed, since most import torch."""
    names = ["settings"]
    if family in _OWN:
        names.append(family)
    if family in (*_RULES, "shape"):
        names.append("framework")
    return [importlib.import_module(f"gapslsim.checks.{name}") for name in names]


def _subject(module: Any, family: str, member: Any, inputs: tuple[int, ...] | None) -> Any:
    """What the invariants of a file look at."""
    match module.__name__.rpartition(".")[2]:
        case "framework":
            return _runs(module, family, member)
        case "model":
            return module.Shaped(member, inputs)
    return member


def _runs(module: Any, family: str, member: Any) -> Any:
    """Runs of a framework with a rule in its slot, or in a shape."""
    from gapslsim.frameworks.framework import frameworks
    from gapslsim.scenario.shape import shapes

    parallel: Any = frameworks["parallel"]
    if family == "framework":
        return module.Runs(member)
    if family == "shape":
        return module.Runs(parallel(), member)
    tiers: Any = shapes["tiers"]
    shape = tiers(edges=2, cut=2) if getattr(member, "needs_stations", False) else None
    return module.Runs(parallel(**{family: member}), shape)


def _claims(module: Any) -> list[Invariant]:
    found = (inspect.unwrap(value) for name, value in vars(module).items() if not name.startswith("_"))
    return [value for value in found if inspect.isfunction(value) and value.__module__ == module.__name__]
