"""A small world that frameworks are tried in: a scenario of unlike clients, simulated and watched from inside."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal, cast
from weakref import finalize

from gapslsim.checks._ledger import Ledger
from gapslsim.checks.check import InapplicableError, InvariantError
from gapslsim.frameworks.framework import Framework
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.records import RoundRow, SpanRow
from gapslsim.scenario.loading import load_dict
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.shape import Shape, shapes
from gapslsim.whole_run import whole_run

__all__ = ["N_ROUNDS", "Run", "Runs"]

N_ROUNDS = 4
_FLEETS = (3, 2, 4, 6, 10, 1)
"""Sizes of fleets, of which the first that a framework accepts is taken."""
_DEVICES = ("jetson-nano", "raspberry-pi-4b", "phone-midrange")


@cache
def _scenario(n_clients: int) -> Scenario:
    """Clients that are unlike in device, link and number of samples; the framework is put in later."""
    division = {"kind": "quantity", "alpha": 5.0, "min_size": 6}
    data = {"kind": "synthetic", "input_shape": [6], "n_classes": 3, "n_train": 20 * n_clients, "n_test": 20}
    optimizer = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9}
    links = [
        {"uplink": f"{1 / (1 + i)} Mbit/s", "downlink": f"{3 / (1 + i % 2)} Mbit/s", "latency": f"{i % 3} ms"}
        for i in range(n_clients)
    ]
    return load_dict(
        {
            "name": "check-component",
            "seed": 7,
            "data": {**data, "partition": division},
            "model": {"kind": "mlp", "hidden": [4, 5], "cut": 1, "activation": "relu"},
            "framework": "psl",
            "training": {"batch_size": 5, "client": optimizer, "device": "cpu", "workers": 1},
            "server": {"device": "jetson-orin-nx"},
            "clients": [{"device": _DEVICES[i % 3], "link": link} for i, link in enumerate(links)],
            "network": {"kind": "star", "backhaul": "1.5 Mbit/s"},
            "evaluation": {
                "every": f"{N_ROUNDS} rounds",
                "views": ["global", "clients"],
                "geometry": "never",
            },
            "stop": {"rounds": N_ROUNDS},
        }
    )


class Run:
    """A run of a framework in the small world, and what was noted on the way.

    Args:
        framework: what is tried.
        n_clients: how many.
        dry: without tensors.
        journal: directory of a journal; None for none.
        shape: who owns which blocks; client and server, or what the framework is made for, unless given.
    """

    def __init__(
        self,
        framework: Framework,
        n_clients: int,
        dry: bool = False,
        journal: str | None = None,
        shape: Shape | None = None,
    ) -> None:
        self.ledger = ledger = Ledger()
        self.n_going_on = 0
        """Activities that go on behind the end of the last round."""
        base = _scenario(n_clients)
        shape = shape or _made_for(framework)
        if shape is not None:
            # Blocks for everybody: client, station, server, tail.
            base = _with(base, shape=shape, model=replace(cast("Any", base.model), hidden=(4, 5, 6)))

        def build(env: Any, *arguments: Any) -> Any:
            ledger.watch_events(env, N_ROUNDS)
            network = base.network.build(env, *arguments)
            ledger.watch_network(network)
            return network

        def run(stage: Any) -> Any:
            ledger.watch_stage(stage)
            return framework.run(stage)

        def observe(progress: object) -> None:
            self.n_going_on = ledger.n_going_on

        watched = {"framework": _with(framework, run=run), "network": _with(base.network, build=build)}
        settings = None if journal is None else JournalSettings(Path(journal), checkpoint_every=2)
        results = whole_run(_with(base, **watched), dry=dry, journal=settings, observer=observe)
        setup = ledger.stage.learner.setup
        self.spans = cast("Sequence[SpanRow]", list(results.spans.itertuples(index=False)))
        self.rounds = cast("Sequence[RoundRow]", list(results.rounds.itertuples(index=False)))
        self.summary = results.summary
        self.end_s: float = self.summary["simulated_time_s"]
        self.n_samples: int = ledger.stage.learner.samples_seen
        self.sizes = (
            [setup.batches.size(client) for client in range(n_clients)],
            [len(shard) for shard in setup.shards],
        )
        """Samples in a batch of each client, and in its shard."""


def _made_for(framework: Framework) -> Shape | None:
    """A shape that a framework asks for; None if client and server will do."""
    made: Any = shapes
    settings: dict[str, dict[str, Any]] = {
        "u_shape": {},
        "tiers": {"cut": 2},
        "chain": {"helpers": ({"device": "jetson-orin-nx", "cut": 2},), "tail": int(framework.needs_tail)},
    }
    if not framework.shapes or "split" in framework.shapes:
        return None
    kind = framework.shapes[0]
    return cast("Shape", made[kind](**settings.get(kind, {})))


def _with(settings: Any, **attributes: Any) -> Any:
    """A copy of settings with other attributes, be they settings or methods; nothing is checked."""
    changed = copy(settings)
    for name, value in attributes.items():
        object.__setattr__(changed, name, value)
    return changed


class Runs:
    """Runs of one framework, each made when it is first looked at; an error of one is the same each time.

    Args:
        framework: what is tried.
        shape: in which; client and server unless given.
    """

    def __init__(self, framework: Framework, shape: Shape | None = None) -> None:
        self.framework = framework
        self.shape = shape
        self._made: dict[str, Run | BaseException] = {}
        self._folder = tempfile.mkdtemp()
        finalize(self, rmtree, self._folder, ignore_errors=True)

    @cached_property
    def n_clients(self) -> int:
        """Size of the fleet."""
        refused = {n: self.framework.problems(n) for n in _FLEETS}
        if all(refused.values()):
            raise InvariantError("it refuses fleets of 1 to 10 clients", f"for 3: {refused[3][0]}")
        return next(n for n, problems in refused.items() if not problems)

    @property
    def clients(self) -> list[str]:
        """Names of the clients as actors."""
        return [f"client-{index}" for index in range(self.n_clients)]

    def run(self, how: Literal["first", "replay", "again", "dry"] = "first") -> Run:
        """The run that most invariants look at, one from its journal, one without a journal, one without tensors."""
        if how == "replay":
            self.run("first")
        if how not in self._made:
            journal = self._folder if how in ("first", "replay") else None
            try:
                self._made[how] = Run(self.framework, self.n_clients, how == "dry", journal, self.shape)
            except BaseException as error:
                self._made[how] = error
        made = self._made[how]
        if isinstance(made, BaseException):
            raise made
        return made

    def under(self, framework: Framework, n_clients: int, why: str) -> Run:
        """A run under other circumstances, `why` saying which.

        Raises:
            InapplicableError: if the framework says that it does not work so.
        """
        for problem in framework.problems(n_clients):
            raise InapplicableError(f"it refuses {why}: {problem}")
        return Run(framework, n_clients, shape=self.shape)
