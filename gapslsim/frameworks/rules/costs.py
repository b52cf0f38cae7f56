"""What the server's rules cost, from shapes alone; S clients, d parameters, float32."""

from __future__ import annotations

from gapslsim.frameworks.rules.gapsl_options import GapslOptions, LeaderOptions
from gapslsim.work import LayerCost

__all__ = ["angle_cost", "average_cost", "correction_cost", "gapsl_costs", "gram_cost", "leader_costs"]

_FLOAT = 4


def average_cost(n_clients: int, n_parameters: int, name: str = "average") -> LayerCost:
    """Mean of S rows: S d FLOP; reads the rows, writes one."""
    moved = (n_clients + 1) * n_parameters * _FLOAT
    return LayerCost(name, "average", "other", n_clients * n_parameters, moved)


def gram_cost(n_clients: int, n_parameters: int) -> LayerCost:
    """Gram matrix G G^T as the full product, 2 S^2 d FLOP: a matrix product does not use its symmetry.

    Its diagonal holds the squared norms. Reads the rows, writes S^2 numbers; arccos of S^2 numbers is neglected.
    """
    moved = (n_clients * n_parameters + n_clients**2) * _FLOAT
    return LayerCost("gram", "gram", "other", 2 * n_clients**2 * n_parameters, moved)


def angle_cost(n_clients: int, n_parameters: int) -> LayerCost:
    """Angles to the leader, Eq. (5): S dot products and the leader's norm, 2 (S + 1) d FLOP.

    Reads the rows and the leader.
    """
    moved = (n_clients + 1) * n_parameters * _FLOAT
    return LayerCost("angles", "gram", "other", 2 * (n_clients + 1) * n_parameters, moved)


def correction_cost(n_clients: int, n_parameters: int) -> LayerCost:
    """Penalty gradient or steer term of every row, added to it: g_i and g_lead combined, scaled, added, 5 d FLOP each.

    Reads rows and leader, writes rows. The Hessian products of `gradient: exact` are not in here: they are a further
    pass through the model, which the learner charges.
    """
    moved = (2 * n_clients + 1) * n_parameters * _FLOAT
    return LayerCost("correction", "average", "other", 5 * n_clients * n_parameters, moved)


def leader_costs(options: LeaderOptions, n_clients: int, n_parameters: int) -> tuple[LayerCost, ...]:
    """What Eqs. (1) to (4) cost.

    Who leads is a value, so the mean over the leader set is charged as the mean over everyone (an upper bound). The
    Gram matrix is charged where the leader depends on the scores; with `mean` and `single` the scores are computed
    for the alignment table only, and recording takes no simulated time.
    """
    average = average_cost(n_clients, n_parameters, "leader")
    if options.leader in ("mean", "single"):
        return (average,)
    return (gram_cost(n_clients, n_parameters), average)


def gapsl_costs(options: GapslOptions, n_clients: int, n_parameters: int) -> tuple[LayerCost, ...]:
    """What Eqs. (1) to (8) cost; the mean over the admitted clients is charged as over everyone (an upper bound)."""
    costs = (*leader_costs(options, n_clients, n_parameters), angle_cost(n_clients, n_parameters))
    if options.gradient != "detached" and options.lambda_ > 0:
        costs = (*costs, correction_cost(n_clients, n_parameters))
    if options.length == "mean":  # The mean of all, whose length is wanted.
        costs = (*costs, average_cost(n_clients, n_parameters, "length"))
    return (*costs, average_cost(n_clients, n_parameters))
