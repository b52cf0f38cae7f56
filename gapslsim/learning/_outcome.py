"""What a step of the server leaves, put together from its passes and the rule's decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gapslsim.errors import NumericalError
from gapslsim.learning.alignment import Gram
from gapslsim.learning.geometry import measure
from gapslsim.learning.gradient_rows import Rows
from gapslsim.learning.operation import ServerOutcome, ServerStep
from gapslsim.learning.rules import Decision
from gapslsim.learning.server_pass import ServerPass, average_over_clients
from gapslsim.learning.state import SideState
from gapslsim.records import LossRow

__all__ = ["numerical_error", "outcome_of"]


def outcome_of(
    step: ServerStep,
    passed: ServerPass,
    losses: Sequence[float],
    decision: Decision,
    updated: SideState,
    rows: Rows,
    known: Gram | None,
) -> ServerOutcome:
    """What a step leaves.

    Args:
        step: that was made.
        passed: its passes.
        losses: theirs, as they were read.
        decision: of the rule.
        updated: the server's state after the optimizer's step.
        rows: g_i, for the geometry.
        known: Gram matrix of `rows`, if the rule has made it.
    """
    cuts, shared, n_shared = passed.cuts, passed.shared_cut, step.n_shared
    if decision.cut_terms is not None:
        cuts = [c if t is None else c + t for c, t in zip(cuts, decision.cut_terms, strict=True)]
    factors = step.cut_factors
    if factors is not None and step.joined:  # Nothing is shared yet, and the factors may be unlike.
        cuts, factors = [factor * cut for factor, cut in zip(factors, cuts, strict=True)], None
    if any(step.averaged):
        whole = [_joined(cut, shared, n) for cut, n in zip(cuts, n_shared, strict=True)]
        n_rows = [len(cut) * counts for cut, counts in zip(whole, step.averaged, strict=True)]
        shared, n_shared = average_over_clients(whole, n_rows), n_rows
    if factors is not None:
        cuts = [factor * cut for factor, cut in zip(factors, cuts, strict=True)]
        shared = None if shared is None else factors[0] * shared
    geometry = None
    if step.measures:
        update = decision.update if decision.updates_server else None
        geometry = measure(rows, update, step.clients, step.round, decision.fates, decision.detail, known)
    return ServerOutcome(
        state=replace(updated, memory=dict(decision.memory)),
        rule_state=decision.state,
        # Shared rows are sent once for all, so they are no part of what goes to each.
        own=[cut[n:] for cut, n in zip(cuts, n_shared, strict=True)],
        shared=shared,
        fates=decision.fates,
        losses=[
            LossRow(step.round, batch.client, loss, batch.size)
            for batch, loss in zip(step.batches, losses, strict=True)
            if step.rule.steps
        ],
        reported_losses=list(losses) if decision.losses is passed.losses else decision.losses.tolist(),
        detail=decision.detail,
        geometry=geometry,
    )


def _joined(cut: Tensor, shared: Tensor | None, n_shared: int) -> Tensor:
    """A client's whole cut gradient: the shared rows, then its own."""
    return cut if shared is None else torch.cat([shared[:n_shared], cut[n_shared:]])


def numerical_error(what: str, loss: float, round: int, client: int, state_key: str) -> NumericalError:
    """What to say of a loss or gradient that is not finite."""
    return NumericalError(
        f"round {round}, client {client}: the {what} is not finite (loss {loss}). The last good state is "
        f"{state_key[:12]}, after round {round - 1}. Lower the learning rate (training.client.lr, training.server.lr) "
        "or the momentum."
    )
