"""Rules that break what `gapslsim check-component` looks at, each in one way."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch

from gapslsim.checks import client_update, participation
from gapslsim.checks import server_update as server
from gapslsim.frameworks.rules.client_update.own import OwnClientUpdate
from gapslsim.frameworks.rules.server_update.mean import MeanUpdate
from gapslsim.frameworks.slots import Participation
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import NO_COST, Cost, LayerCost


@component
class Server(ServerUpdate):
    """The mean, of every client's gradient."""

    kind: Literal["server"] = "server"

    def decide(self, gradients: Gradients) -> Decision:
        return Decision(self.update(gradients), ("train",) * len(gradients.clients), gradients.losses)

    def update(self, gradients: Gradients) -> Any:
        return gradients.matrix.mean(0)

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        return NO_COST


def rule(**methods: Any) -> Any:
    """Makes the rule with other methods."""

    def make() -> Any:
        return component(
            type("Broken", (Server,), {"__module__": __name__, "__annotations__": {}, **methods})
        )()

    return make


class Memory:
    n: ClassVar[int] = 0


def counting(self: Any, gradients: Gradients) -> Any:
    Memory.n += 1
    return gradients.matrix.mean(0) + Memory.n


def writing(self: Any, gradients: Gradients) -> Any:
    return gradients.matrix.sub_(gradients.matrix.mean()).mean(0)


def writing_losses(self: Any, gradients: Gradients) -> Any:
    gradients.losses.mul_(2)
    return gradients.matrix.mean(0)


def normalised(self: Any, gradients: Gradients) -> Any:
    return (gradients.matrix / gradients.matrix.norm(dim=1, keepdim=True)).mean(0)


def spread(self: Any, gradients: Gradients) -> Any:
    matrix = gradients.matrix
    return matrix.mean(0) if len(matrix) == 1 else matrix.mean(0) / matrix.std(0).norm()


def second(self: Any, gradients: Gradients) -> Any:
    return gradients.matrix[1]


def square(self: Any, gradients: Gradients) -> Any:
    if gradients.matrix.shape[1] > 10_000:
        raise MemoryError("a matrix [d, d] is too large")
    return gradients.matrix.mean(0)


def drawn(self: Any, gradients: Gradients) -> Any:
    return gradients.matrix[int(gradients.random.integers(len(gradients.matrix)))]


def named(self: Any, gradients: Gradients) -> Any:
    return gradients.matrix.mean(0) if gradients.clients[0] else gradients.matrix[0]


def planned(self: Any, gradients: Gradients) -> Any:
    return gradients.matrix.mean(0) * (gradients.planned_rounds or 1)


def decision(**parts: Any) -> Any:
    def decide(self: Any, gradients: Gradients) -> Decision:
        good = {
            "update": gradients.matrix.mean(0),
            "fates": ("train",) * len(gradients.clients),
            "losses": gradients.losses,
        }
        return Decision(**(good | {name: make(gradients) for name, make in parts.items()}))

    return decide


def forgetful(self: Any, gradients: Gradients) -> Decision:
    state = {"n": 1.0} if not gradients.state else {"m": gradients.state["m"]}
    return Decision(gradients.matrix.mean(0), ("train",) * len(gradients.clients), gradients.losses, state)


@component
class SeesOneRowOnly(MeanUpdate):
    kind: Literal["sees_one"] = "sees_one"  # type: ignore[assignment]

    def decide(self, gradients: Gradients) -> Decision:
        return Decision(gradients.matrix[1], ("train",) * len(gradients.clients), gradients.losses)


def cost(flop: Any) -> Any:
    return lambda self, n, d: Cost((LayerCost("x", "x", "other", flop(n, d), 0.0),))


no = property(lambda self: False)

SERVER = [
    (
        server.decisions_have_the_right_shapes,
        rule(update=lambda self, g: g.matrix),
        "and must be (7,) of torch.float64",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(update=lambda self, g: g.matrix.mean(0).double()),
        "float32",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(update=lambda self, g: g.matrix.mean(0) / 0),
        "NaN or infinite",
    ),
    (server.decisions_have_the_right_shapes, rule(decide=lambda self, g: None), "return a `Decision`"),
    (
        server.decisions_have_the_right_shapes,
        rule(decide=decision(fates=lambda g: ("go",) * 3)),
        "the fates for",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(decide=decision(losses=lambda g: g.losses.mean())),
        "one for each",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(decide=decision(state=lambda g: {"x": g.losses[0]})),
        "plain finite numbers only",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(decide=decision(memory=lambda g: {"x": 1.0})),
        "detached tensors only",
    ),
    (
        server.decisions_have_the_right_shapes,
        rule(decide=decision(cut_terms=lambda g: (None,))),
        "1 cut_terms for 3 clients",
    ),
    (server.decisions_have_the_right_shapes, SeesOneRowOnly, "IndexError"),
    (server.deciding_is_pure, rule(update=counting), "something else the second time"),
    (server.deciding_is_pure, rule(update=writing), "writes to `gradients.matrix`"),
    (server.deciding_is_pure, rule(update=writing_losses), "writes to `gradients.losses`"),
    (server.memory_is_taken_up, rule(decide=forgetful), "KeyError: 'm'"),
    (server.one_client_is_enough, rule(update=second), "broken_rules.py:75: IndexError"),
    (
        server.special_gradients_are_sound,
        rule(update=spread),
        "3 clients with one gradient: NaN or infinite",
    ),
    (server.special_gradients_are_sound, rule(update=normalised), "one of them with a gradient of zeros"),
    (server.large_models_are_sound, rule(update=square), "MemoryError: a matrix [d, d] is too large"),
    (server.order_is_of_no_account, rule(update=second), "four clients in another order"),
    (
        server.planned_rounds_are_read_as_said,
        rule(update=planned, reads_planned_rounds=no),
        "the update depends on `gradients.planned_rounds`",
    ),
    (server.costs_are_sound, rule(cost=cost(lambda n, d: -1.0)), "finite and 0 or more"),
    (server.costs_are_sound, rule(cost=lambda self, n, d: 3.0), "return `Cost"),
    (
        server.costs_are_sound,
        rule(cost=cost(lambda n, d: d / n)),
        "more clients or parameters never cost less",
    ),
    (
        server.costs_are_sound,
        rule(cost=cost(lambda n, d: float(np.random.default_rng().random()))),
        "two answers",
    ),
]


@component
class Client(OwnClientUpdate):
    """As `own`."""

    kind: Literal["client"] = "client"  # type: ignore[assignment]


def client(**methods: Any) -> Any:
    def make() -> Any:
        return component(
            type("Broken", (Client,), {"__module__": __name__, "__annotations__": {}, **methods})
        )()

    return make


def clipping_in_place(self: Any, gradients: Any, parameters: Any, initial: Any) -> Any:
    return tuple(gradient.clamp_(-0.1, 0.1) for gradient in gradients)


def noisy(self: Any, gradients: Any, parameters: Any, initial: Any) -> Any:
    return tuple(gradient + torch.randn(()) for gradient in gradients)


CLIENT = [
    (
        client_update.gradients_keep_their_shapes,
        client(adjust=lambda self, g, p, i: g[:1]),
        "gradients of adjust: (4, 3) of torch.float64, and must be (4, 3) of",
    ),
    (
        client_update.gradients_keep_their_shapes,
        client(adjust=lambda self, g, p, i: tuple(x.flatten() for x in g)),
        "keep shape and type",
    ),
    (
        client_update.gradients_keep_their_shapes,
        client(adjust=lambda self, g, p, i: tuple(x / 0 for x in g)),
        "NaN or infinite",
    ),
    (client_update.adjusting_is_pure, client(adjust=clipping_in_place), "writes to gradients"),
    (client_update.adjusting_is_pure, client(adjust=noisy), "something else the second time"),
    (client_update.costs_are_sound, client(cost=lambda self, n: None), "return `Cost"),
    (
        client_update.costs_are_sound,
        client(cost=lambda self, n: Cost((LayerCost("x", "x", "update", 1.0 / n, 0.0),))),
        "more clients or parameters never cost less",
    ),
    (
        client_update.training_is_said_plainly,
        client(trains_in=lambda self, t, e: None),
        "Return True or False",
    ),
    (
        client_update.training_is_said_plainly,
        client(trains=no, trains_in=lambda self, t, e: True),
        "say `trains` True if it ever trains",
    ),
]


@component
class Chooses(Participation):
    """Everyone."""

    kind: Literal["chooses"] = "chooses"

    def choose(self, n_clients: int, random: Any) -> Any:
        return tuple(range(n_clients))

    def expected_share(self, n_clients: int) -> float:
        return 1.0


def who(**methods: Any) -> Any:
    def make() -> Any:
        return component(
            type("Broken", (Chooses,), {"__module__": __name__, "__annotations__": {}, **methods})
        )()

    return make


def by_chance(self: Any, n: int, random: Any) -> Any:
    return (int(np.random.default_rng().integers(n)),)


PARTICIPATION = [
    (participation.choices_are_clients, who(choose=lambda self, n, r: ()), "it chose ()"),
    (participation.choices_are_clients, who(choose=lambda self, n, r: np.arange(n)), "Return a tuple of int"),
    (
        participation.choices_are_clients,
        who(choose=lambda self, n, r: (0, 0)),
        "each client once, in ascending order",
    ),
    (participation.choices_are_clients, who(choose=lambda self, n, r: (n,)), "indices go from 0 to 0"),
    (
        participation.choices_are_clients,
        who(problems=lambda self, n: ["none will do"]),
        "it refuses fleets of 1 to 57",
    ),
    (participation.choices_come_from_the_stream, who(choose=by_chance), "other clients for the same stream"),
    (
        participation.share_is_expected,
        who(choose=lambda self, n, r: (0,)),
        "expected_share(2) is 1, and 0.5 of the clients",
    ),
    (participation.share_is_expected, who(expected_share=lambda self, n: 2.0), "above 0 and at most 1"),
]

CASES: list[tuple[Any, Any, str]] = [*SERVER, *CLIENT, *PARTICIPATION]
NOTES: list[tuple[Any, Any, str]] = [
    (server.order_is_of_no_account, rule(update=drawn), "it draws"),
    (server.order_is_of_no_account, rule(update=named), "it looks at `gradients.clients`"),
]
