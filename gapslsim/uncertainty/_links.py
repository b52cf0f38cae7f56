"""A scenario whose constant rates are moved by a draw."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from gapslsim.network.channels.constant import Constant
from gapslsim.registry import unchecked
from gapslsim.scenario.schema import Scenario

__all__ = ["with_links"]


def with_links(scenario: Scenario, spread: float, z: Callable[[str], float]) -> Scenario:
    """The scenario with the constant rates of each client group's links, and those of the network, moved.

    Args:
        scenario: as it was written.
        spread: standard deviation of the logarithm of true over given rate; 0 gives the scenario back.
        z: a standard normal number for each cause.
    """
    if spread == 0:
        return scenario

    def scaled(value: Any, cause: str) -> Any:
        if isinstance(value, Constant):
            return Constant(rate=value.rate * math.exp(spread * z(cause)))
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        inner = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        changed = {name: new for name, old in inner.items() if (new := scaled(old, cause)) is not old}
        return dataclasses.replace(value, **changed) if changed else value

    def with_link(group: Any) -> Any:
        return unchecked(group, link=scaled(group.link, f"links of {group.label}"))

    return unchecked(  # what is given was checked, and devices need not be looked up again
        scenario,
        clients=tuple(map(with_link, scenario.clients)),
        network=scaled(scenario.network, "links of the network"),
    )
