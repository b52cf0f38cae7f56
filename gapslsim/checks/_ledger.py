"""What a run did, noted where it was asked for: steps of the server, operations, transfers, events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from gapslsim.checks.check import InvariantError
from gapslsim.learning.names import CLIENT, SERVER, name_of, side_of
from gapslsim.network.network import Transfer
from gapslsim.work import Keyed

__all__ = ["Ledger"]

_OPERATIONS: Final = (
    "client_forward", "server_step", "client_backward", "local_training", "average", "average_whole", "combine",
    "server_training",
)  # fmt: skip
"""Methods of the learner that offer work."""
_MOST_EVENTS = 30_000
_MOST_AT_ONCE = 5_000


class Step(NamedTuple):
    """One step of a server-side state."""

    name: str
    """Of the state."""
    before: Keyed[Any]
    after: Keyed[Any]
    at_s: float
    round: int
    n: int = 1
    """Steps of the optimizer."""


class Ledger:
    """Looks over the shoulder of an event loop, a network and a stage, by what they offer to everyone."""

    def __init__(self) -> None:
        self.stage: Any = None
        self.steps: dict[str, Step] = {}
        """Steps of the server, by the key of the state after each."""
        self.carried_out = Counter[str]()
        """Operations that were carried out, by the phase that they have on the clock."""
        self.transfers: dict[Transfer, None] = {}
        self._made_from: dict[str, list[str]] = {}

    @property
    def final_states(self) -> dict[str, Keyed[Any]]:
        """Server-side states at the end, by name."""
        states = self.stage.learner.states
        return {name: states[name] for name in states if side_of(name) == SERVER}

    @property
    def n_going_on(self) -> int:
        """Activities that go on now, without the protocol itself."""
        # Private, for a stage tells nobody what goes on behind it: no protocol may depend on that.
        return len(self.stage._activities._background.going) - 1

    def lost_steps(self) -> list[Step]:
        """Steps that are in no server-side state at the end: neither as a step before, nor in an average."""
        todo, seen = [state.key for state in self.final_states.values()], set[str]()
        while todo:
            key = todo.pop()
            if key not in seen:
                seen.add(key)
                todo += [self.steps[key].before.key] if key in self.steps else self._made_from.get(key, ())
        return [step for key, step in self.steps.items() if key not in seen]

    def updates_of(self, name: str) -> int | None:
        """Optimizer steps that led to a state in one line from the initial weights; None if weights were installed."""
        key, n = self.final_states[name].key, 0
        while key in self.steps:
            step = self.steps[key]
            n += step.after.value.n_updates - step.before.value.n_updates
            key = step.before.key
        return None if key in self._made_from else n

    def watch_events(self, env: Any, n_rounds: int) -> None:
        """Ends a run in which time does not pass, or that does not end."""
        step, n, n_at_once, at_s = env.step, 0, 0, -1.0

        def counted() -> None:
            nonlocal n, n_at_once, at_s
            step()
            n, n_at_once, at_s = n + 1, n_at_once + 1 if env.now == at_s else 0, env.now
            if n_at_once > _MOST_AT_ONCE:
                said = (
                    f"time stands still at {at_s:g} s: {n_at_once} events happen at this instant, and no end"
                )
                fix = "look for a loop in which nobody computes, sends or pauses."
                raise InvariantError(f"{said} is in sight", fix)
            if n > _MOST_EVENTS:
                said = f"after {n} events and {at_s:g} s of simulated time, {n_rounds} rounds have not ended"
                ends = (
                    "a round ends where `w.rounds` goes on, or, without barrier, as steps of the server take"
                )
                fix = "samples; look for a loop that never ends, or for clients whose smashed data no step takes."
                raise InvariantError(said, f"{ends} {fix}")

        env.step = counted

    def watch_network(self, network: Any) -> None:
        """Notes its transfers; those of a broadcast that a network makes of sends are the same ones."""
        _after(network, "send", lambda sent, *_, **__: self.transfers.update({sent: None}))
        _after(network, "broadcast", lambda sent, *_, **__: self.transfers.update(dict.fromkeys(sent)))

    def watch_stage(self, stage: Any) -> None:
        """Notes what its learner does, and which value was made from which others."""
        self.stage, learner, states, note = stage, stage.learner, stage.learner.states, self._note
        for name in _OPERATIONS:
            _after(learner, name, self._offered)
        _after(learner, "weights", lambda made, model, *_, **__: note(made, states[name_of(model)]))
        _after(
            learner, "install", lambda _, model, weights, *__, **___: note(states[name_of(model)], weights)
        )
        _after(learner, "whole_weights", lambda made: note(made, states[CLIENT], states[SERVER]))
        _after(learner, "install_whole", lambda _, model: note(states[SERVER], model))

    def _offered(self, work: Any, *arguments: Any, **named: Any) -> None:
        carry_out, learner = work.carry_out, self.stage.learner

        def carried_out() -> Any:
            before = [learner.states[name] for name in work.states]
            made = carry_out()
            self.carried_out[work.operation] += 1
            if work.operation in ("server_step", "server_training", "cut_gradients"):
                after = learner.states[work.states[0]]
                n = {"server_step": 1, "server_training": work.n_batches}.get(work.operation, 0)
                self.steps[after.key] = Step(
                    work.states[0], before[0], after, self.stage.now_s, learner.round, n
                )
            elif isinstance(made, Keyed):
                given = (*arguments, *named.values())
                self._note(made, *(value for one in given for value in _within(one)))
            return made

        work.carry_out = carried_out

    def _note(self, made: Keyed[Any], *given: Any) -> None:
        self._made_from[made.key] = [value.key for value in given if isinstance(value, Keyed)]


def _within(given: Any) -> Iterable[Any]:
    """Values of a mapping, first parts of pairs in a list, or the one value."""
    if isinstance(given, Mapping):
        return given.values()
    return [first for first, _ in given] if isinstance(given, list) else [given]


def _after(owner: Any, name: str, note: Callable[..., object]) -> None:
    """Has a method tell its result and its arguments."""
    call = getattr(owner, name)

    def noted(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        note(result, *arguments, **named)
        return result

    setattr(owner, name, noted)
