"""Plain PyTorch that applies the operations of a run in the order of the clock: what every protocol must agree with.

`watch` notes what a learner carries out, and when; `PlainLoop` does the same with modules, `torch.autograd` and the
textbook's SGD. It knows nothing of keys, journals, waves or deferred values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from gapslsim.learning.learner import Learner
from gapslsim.learning.names import CLIENT, SERVER, side_of
from gapslsim.learning.operation import MiniBatch
from gapslsim.learning.setup import LearningSetup
from gapslsim.models.split import build


@dataclass
class Watched:
    """What was carried out, in order: name of the operation and what it was about."""

    log: list[tuple[Any, ...]] = field(default_factory=list)


def watch(learner: Learner) -> Watched:
    """Notes every operation of a learner when it is carried out."""
    watched, log = Watched(), None
    log = watched.log

    def noting(name: str, tell: Any) -> None:
        make = getattr(learner, name)

        def made(*arguments: Any, **named: Any) -> Any:
            work = make(*arguments, **named)
            carry_out = work.carry_out

            def noted() -> Any:
                begun = len(log)
                result = carry_out()
                # What is noted within comes after: a checkpoint is of what the step has left.
                log.insert(begun, tell(result, *arguments, **named))
                return result

            work.carry_out = noted
            return work

        setattr(learner, name, made)

    noting("client_forward", lambda made, *_, **__: ("forward", made.batch))
    noting("server_step", _told_of_step)
    noting("client_backward", lambda _, whom, reply, rule: ("backward", reply.to(whom).batch))
    noting("combine", lambda made, terms: ("combine", list(terms), made))
    noting("average", lambda mean, weights, shares, _=None: ("average", dict(weights), shares, mean))
    weights, install = learner.weights, learner.install

    def noted_weights(model: Any, optimizer: bool = False) -> Any:
        message = weights(model, optimizer)
        log.append(("weights", model, message))
        return message

    def noted_install(model: Any, message: Any, optimizer: str, of: Any = None) -> None:
        install(model, message, optimizer, of)  # type: ignore[arg-type]
        log.append(("install", model, message, optimizer, of))

    states: Any = learner.states
    forget, snapshot, restore = states.forget, states.snapshot, states.restore

    def noted_snapshot(names: Any = ()) -> Any:
        taken = snapshot(names)
        log.append(("snapshot", taken))
        return taken

    states.forget = lambda client: (forget(client), log.append(("forget", client)))
    states.snapshot = noted_snapshot
    states.restore = lambda taken: (restore(taken), log.append(("restore", taken)))
    learner.weights = noted_weights  # type: ignore[method-assign]
    learner.install = noted_install  # type: ignore[method-assign]
    return watched


def _told_of_step(
    _: Any,
    smashed: Any,
    rule: Any,
    cut_rule: Any,
    model: str = SERVER,
    weights: Any = None,
    joined: bool = False,
    answers: bool = True,
) -> tuple[str, list[MiniBatch], str, dict[int, float], tuple[float, ...], tuple[float, ...]]:
    """Factors on the gradient of each, and on its cut gradient."""
    messages = list(smashed.values() if isinstance(smashed, Mapping) else smashed)
    batches = sorted((message.batch for message in messages), key=lambda batch: batch.client)
    shares = [b.size / sum(b.size for b in batches) if joined else 1 / len(batches) for b in batches]
    factors = tuple(1.0 if rule.kind == "sum" else share for share in shares)
    cuts = tuple(share if cut_rule.scale == "mean" else 1.0 for share in shares)
    return "step", batches, model, dict(weights or {}), factors, cuts


Weights = tuple[list[Tensor], list[Tensor]]
"""Parameters and momenta."""


class PlainLoop:
    """States by name, as plain tensors; SGD with momentum on both sides.

    Args:
        setup: data, model, optimizers (SGD without schedule).
    """

    def __init__(self, setup: LearningSetup) -> None:
        data = setup.data
        split = build(setup.model, data.input_shape, data.n_classes, setup.seed)
        self._modules: dict[str, nn.Module] = {CLIENT: split.client.double(), SERVER: split.server.double()}
        self._optimizers: Any = {CLIENT: setup.client_optimizer, SERVER: setup.server_optimizer}
        self._setup = setup
        self._inputs = torch.from_numpy(data.train.inputs).double()
        self._labels = torch.from_numpy(data.train.labels)
        self.states: dict[str, Weights] = {}
        for side, module in self._modules.items():
            parameters = [p.detach().clone() for p in module.parameters()]
            self.states[side] = parameters, [torch.zeros_like(p) for p in parameters]
        self._begun = self.states[SERVER]
        self._graphs: dict[int, tuple[Tensor, list[Tensor]]] = {}
        self._cuts: dict[int, Tensor] = {}
        self._messages: dict[int, list[Tensor]] = {}
        self._kept: dict[int, Weights] = {}

    def state(self, name: str) -> Weights:
        """A named state, or the common one of its side."""
        if name in self.states:
            return self.states[name]
        return self._begun if side_of(name) == SERVER else self.states[CLIENT]

    def apply(self, watched: Watched) -> PlainLoop:
        """Carries out what was noted, in order."""
        for operation, *about in watched.log:
            getattr(self, f"_{operation}")(*about)
        return self

    def _forward(self, batch: MiniBatch) -> None:
        leaves = [p.clone().requires_grad_() for p in self.state(batch.model)[0]]
        rows = torch.from_numpy(self._setup.batches.indices(batch.client, batch.step))
        self._graphs[id(batch)] = self._call(CLIENT, leaves, self._inputs[rows]), leaves

    def _step(
        self,
        batches: list[MiniBatch],
        model: str,
        weights: dict[int, float],
        factors: tuple[float, ...],
        cuts: tuple[float, ...],
    ) -> None:
        before = self.state(model)
        total = [torch.zeros_like(p) for p in before[0]]
        for batch, factor, of_cut in zip(batches, factors, cuts, strict=True):
            leaves = [p.clone().requires_grad_() for p in before[0]]
            smashed = self._graphs[id(batch)][0].detach().requires_grad_()
            rows = torch.from_numpy(self._setup.batches.indices(batch.client, batch.step))
            loss = F.cross_entropy(self._call(SERVER, leaves, smashed), self._labels[rows])
            *gradients, cut = torch.autograd.grad(loss, [*leaves, smashed])
            self._cuts[id(batch)] = of_cut * cut
            for sum_, gradient in zip(total, gradients, strict=True):
                sum_ += factor * weights.get(batch.client, 1.0) * gradient
        self.states[model] = self._sgd(SERVER, before, total)

    def _backward(self, batch: MiniBatch) -> None:
        output, leaves = self._graphs.pop(id(batch))
        gradients = torch.autograd.grad(output, leaves, self._cuts.pop(id(batch)))
        self.states[batch.model] = self._sgd(CLIENT, self.state(batch.model), list(gradients))

    def _weights(self, model: int | str, message: object) -> None:
        name = f"client-{model}" if isinstance(model, int) else model
        self._messages[id(message)] = self.state(name)[0]

    def _average(self, weights: Mapping[int, Any], shares: str, mean: object) -> None:
        models = [self._messages[id(message)] for message in weights.values()]
        sizes = [len(self._setup.shards[c]) if shares == "samples" else 1 for c in weights]
        self._messages[id(mean)] = [
            sum((size * p for size, p in zip(sizes, each, strict=True)), torch.zeros(())) / sum(sizes)
            for each in zip(*models, strict=True)
        ]

    def _combine(self, terms: list[tuple[Any, float]], made: object) -> None:
        models = [[factor * p for p in self._messages[id(message)]] for message, factor in terms]
        self._messages[id(made)] = [torch.stack(list(p)).sum(0) for p in zip(*models, strict=True)]

    def _forget(self, client: int) -> None:
        self.states[f"client-{client}"] = self.states[CLIENT]

    def _snapshot(self, taken: object) -> None:
        self._kept[id(taken)] = self.states[SERVER]

    def _restore(self, taken: object) -> None:
        self.states[SERVER] = self._kept[id(taken)]

    def _install(self, model: int | str, message: object, optimizer: str, of: object) -> None:
        assert of is None
        name = f"client-{model}" if isinstance(model, int) else model
        parameters, momenta = self._messages[id(message)], self.state(name)[1]
        if optimizer in ("reset", "restart"):
            momenta = [torch.zeros_like(p) for p in parameters]
        self.states[name] = parameters, momenta
        if name == SERVER:
            self._begun = self.states[name]

    def _call(self, side: str, leaves: list[Tensor], inputs: Tensor) -> Tensor:
        module = self._modules[side]
        names = [name for name, _ in module.named_parameters()]
        output: Tensor = functional_call(module, dict(zip(names, leaves, strict=True)), (inputs,))
        return output

    def _sgd(self, side: str, state: Weights, gradients: list[Tensor]) -> Weights:
        settings = self._optimizers[side]
        momenta = [settings.momentum * v + g for v, g in zip(state[1], gradients, strict=True)]
        return [p - settings.lr * v for p, v in zip(state[0], momenta, strict=True)], momenta


def largest_difference(learner: Learner, plain: PlainLoop) -> float:
    """Over all parameters of all states that either knows."""
    names = {*plain.states, *learner.states}
    return max(
        float((left - right).abs().max())
        for name in names
        for left, right in zip(learner.states[name].value.parameters, plain.state(name)[0], strict=True)
    )
