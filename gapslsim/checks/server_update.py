"""Invariants of the server's rule: `decide` is a pure function of what it is given, and costs what its shapes say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from gapslsim.checks._tools import check_costs, check_kept, check_pure, noise, same
from gapslsim.checks.check import InapplicableError, InvariantError, require
from gapslsim.learning.rules import Decision, Fate, Gradients, ServerUpdate
from gapslsim.rng import stream

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_CUT = (4, 3)
_ROUNDING = 1e-9


def _rows(n: int, d: int = 7) -> Tensor:
    return noise(n, (n, d))[0] + 0.3


def _stream() -> np.random.Generator:
    return stream(1, "server_rule", 1)


def _given(rule: ServerUpdate, rows: Tensor, **changed: Any) -> Gradients:
    """What the rule is given for these gradients, in fresh copies: a client per row, with a diagonal Hessian.

    Raises:
        InapplicableError: if the rule refuses so many clients.
    """
    n = len(rows)
    for problem in rule.problems(n, n):
        raise InapplicableError(f"it refuses {n} clients: {problem}")
    own = Gradients(
        matrix=rows.clone() if rule.needs_client_gradients else rows.mean(0, keepdim=True),
        losses=1 + 0.25 * rows.new_tensor(range(n)),
        clients=tuple(range(n)),
        round=1,
        planned_rounds=10,
        state=dict(rule.initial_state()),
        random=_stream(),
        hessian_product=_products(range(n)) if rule.second_order else None,
    )
    return replace(own, **changed)


def _products(curvatures: Any) -> Any:
    factors = [1.0 + curvature for curvature in curvatures]
    return lambda row, v: (factors[row] * v, factors[row] * v.sum() * v.new_ones(_CUT))


def _decided(rule: ServerUpdate, case: str, given: Gradients) -> Decision:
    """A decision whose every part has the right shape.

    Raises:
        InvariantError: if one has not.
    """
    import torch

    made, n = rule.decide(given), len(given.clients)
    is_decision = isinstance(made, Decision)
    require(is_decision, f"decide gave {type(made).__name__} for {case}", "return a `Decision`.")
    check_kept("update", f"for {case}", [made.update], [given.matrix[0]])
    fix = f"one of {', '.join(get_args(Fate))} for each client."
    holds = len(made.fates) == n and {*made.fates} <= {*get_args(Fate)}
    require(holds, f"the fates for {case} are {made.fates!r:.80}", fix)
    said = f"the losses for {case} have shape {tuple(made.losses.shape)}"
    require(made.losses.shape == (n,), said, "one for each client, as in `gradients.losses`.")
    fix = "plain finite numbers only (`float(x)`), tensors in `memory`."
    for name, value in made.state.items():
        said = f"the state for {case} has {name} = {value!r:.60}"
        require(type(value) in (int, float) and math.isfinite(value), said, fix)
    for name, tensor in made.memory.items():
        said = f"the memory for {case} has {name} = {type(tensor).__name__}"
        holds = isinstance(tensor, torch.Tensor) and not tensor.requires_grad
        require(holds, said, "detached tensors only.")
    said = f"there are {len(made.cut_terms or ())} cut_terms for {case}"
    require(made.cut_terms is None or len(made.cut_terms) == n, said, "one or None for each client.")
    return made


def decisions_have_the_right_shapes(rule: ServerUpdate) -> None:
    """`decide` gives a finite update [d], a fate and a loss for each client, and plain numbers as state."""
    for rows in (_rows(3), _rows(3).float(), _rows(8, 50)):
        _decided(rule, f"{len(rows)} clients, d = {rows.shape[1]}, {rows.dtype}", _given(rule, rows))


def deciding_is_pure(rule: ServerUpdate) -> None:
    """`decide` is pure: the same to the last bit for the same gradients and stream, and it writes to nothing."""
    given = _given(rule, _rows(3))

    def call() -> list[Any]:
        made = _decided(rule, "3 clients", replace(given, random=_stream()))
        terms = [term for term in made.cut_terms or () if term is not None]
        return [made.update, made.losses, made.fates, made.state, made.memory, terms]

    names = ("matrix", "losses", "state")
    check_pure("decide", call, {f"`gradients.{name}`": getattr(given, name) for name in names})


def memory_is_taken_up(rule: ServerUpdate) -> None:
    """`decide` goes on from what it returned in the round before."""
    given = _given(rule, _rows(3))
    for round in range(1, 5):
        made = _decided(rule, f"3 clients in round {round}", replace(given, round=round))
        given = replace(given, state=made.state, memory=made.memory)


def one_client_is_enough(rule: ServerUpdate) -> None:
    """It decides for one client."""
    _decided(rule, "one client", _given(rule, _rows(1)))


def special_gradients_are_sound(rule: ServerUpdate) -> None:
    """It decides where all clients have the same gradient, and where a client's, or every one, is zero."""
    rows = _rows(3)
    _decided(rule, "3 clients with one gradient", _given(rule, rows[:1].repeat(3, 1)))
    rows[1] = 0.0
    _decided(rule, "3 clients, one of them with a gradient of zeros", _given(rule, rows))
    _decided(rule, "3 clients with gradients of zeros", _given(rule, rows * 0.0))


def large_models_are_sound(rule: ServerUpdate) -> None:
    """It decides for a model of a hundred thousand parameters."""
    _decided(rule, "4 clients, d = 100000", _given(rule, _rows(4, 100_000)))


def order_is_of_no_account(rule: ServerUpdate) -> str | None:
    """The same gradients in another order give the same update.

    The order of the rows is that of the clients' indices and means nothing.
    """
    rows, order = _rows(4), [2, 0, 3, 1]
    given, turned = _given(rule, rows), _given(rule, rows[order])
    if rule.needs_client_gradients:
        turned = replace(turned, losses=given.losses[order])
    if rule.second_order:
        turned = replace(turned, hessian_product=_products(order))
    update = _decided(rule, "4 clients", given).update
    if _near(update, _decided(rule, "4 clients", turned).update):
        return None
    if repr(given.random.bit_generator.state) != repr(_stream().bit_generator.state):
        return "it draws, so that the update depends on the order of the clients"
    others = _decided(rule, "4 other clients", _given(rule, rows, clients=(3, 5, 6, 9)))
    if not _near(update, others.update):
        return "it looks at `gradients.clients`, so that the update depends on who they are"
    why = "though it neither draws nor looks at who they are"
    raise InvariantError(f"four clients in another order get another update, {why}")


def planned_rounds_are_read_as_said(rule: ServerUpdate) -> None:
    """The planned number of rounds matters only where `reads_planned_rounds` says so.

    The journal would take runs of other lengths for this one. Say True.
    """
    if rule.reads_planned_rounds:
        raise InapplicableError("it says that it reads them")
    planned = {n: _given(rule, _rows(3), planned_rounds=n) for n in (None, 10, 1000)}
    one, *others = (_decided(rule, f"{n} planned rounds", given).update for n, given in planned.items())
    said = "the update depends on `gradients.planned_rounds`, and `reads_planned_rounds` says False"
    require(all(same(one, other) for other in others), said)


def costs_are_sound(rule: ServerUpdate) -> None:
    """`cost` is finite, 0 or more, comes from shapes alone, and does not fall as clients or parameters become more."""
    check_costs(rule.cost, (1, 10), (2, 10), (8, 10), (8, 1000))


def _near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _ROUNDING * max(1.0, float(one.abs().max())))
