"""What in a scenario does not go with looking at what smashed data gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.scenario.schema import Scenario

__all__ = ["check_leakage"]


def check_leakage(scenario: Scenario) -> list[tuple[Path, str]]:
    """Where it does not fit, and why."""
    attack, n_clients = scenario.evaluation.leakage, scenario.n_clients
    if attack is None:
        return []
    if scenario.framework.clients_hold_whole_model:
        why = f"clients of {scenario.framework.kind} send weights and no smashed data; leave it out"
        return [(("evaluation", "leakage"), f"{why}, or take a framework that splits the model.")]
    return [
        (
            ("evaluation", "leakage", "clients", place),
            f"there is no client {client}; write 0 to {n_clients - 1}.",
        )
        for place, client in enumerate(attack.clients or ())
        if client >= n_clients
    ]
