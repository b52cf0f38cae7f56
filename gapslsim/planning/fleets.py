"""A fleet under one combination of choices: all at once, and each client group alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from gapslsim.assembly import Parts
from gapslsim.frameworks.framework import AtOnce
from gapslsim.frameworks.slots import Participation
from gapslsim.hardware.cost_models.roofline import Roofline
from gapslsim.hardware.devices import load_device
from gapslsim.learning.operation import MiniBatch, SmashedData
from gapslsim.planning.alone import Alone, Array, Server, Staged, Use, barriers_of
from gapslsim.records import SpanRow
from gapslsim.registry import unchecked
from gapslsim.scenario.schema import Scenario
from gapslsim.sim.overheads import NodeOverheads
from gapslsim.uncertainty.play import Played, play
from gapslsim.work import Work

__all__ = ["FleetTimes"]

_MOST_ALONE: Final = 8
"""Clients of a group whose energy alone is found; of others it is taken to be 0."""
_TURN: Final = "turn"
"""The station of protocols in which one client trains after the other."""
_STEP: Final = ("server", "server_step")
_ROUNDING: Final = 1e-9


class _Run:
    """A run of some rounds, its spans at hand."""

    def __init__(self, played: Played) -> None:
        self.played = played
        self.spans: list[SpanRow] = list(played.spans)

    def cut(self, barriers: frozenset[Server]) -> Staged:
        """Its stages."""
        return Staged(self.spans, self.played.ends_s, barriers)


@dataclass(eq=False)
class FleetTimes:
    """What groups take alone, and of what all share, under one combination.

    A station (a shared link, a server) counts in a stage only if the whole fleet's own run uses it for as long as all
    clients alone together: what a multicast carries once for all does not.
    """

    scenario: Scenario
    parts: Parts
    n_rounds: int
    with_energy: bool

    @cached_property
    def alone(self) -> list[Alone]:
        """Of each group."""
        runs = [self._runs(group) for group in range(len(self.scenario.clients))]
        everyone = _Run(self._play(None))
        barriers = frozenset.intersection(*(barriers_of(run.spans, everyone.spans) for run, *_ in runs))
        whole, staged = everyone.cut(barriers), [[run.cut(barriers) for run in of_group] for of_group in runs]
        if any(one.labels != whole.labels for of_group in staged for one in of_group):
            barriers = frozenset()
            whole = everyone.cut(barriers)
            staged = [[run.cut(barriers) for run in of_group] for of_group in runs]
        uses = [self._use(group, runs[group][0], one[0]) for group, one in enumerate(staged)]
        needed_s = sum(use.busy_s for use in uses) + self._around_steps(whole, uses)
        is_less = self._used(everyone, whole).busy_s < needed_s * (1 - _ROUNDING) - _ROUNDING
        for use in uses:
            use.busy_s[is_less] = 0.0
            use.lead_s[is_less] = use.tail_s[is_less] = np.inf
        return [self._alone(group, runs[group], staged[group], use) for group, use in enumerate(uses)]

    def _runs(self, group: int) -> list[_Run]:
        """Each of its clients without all others; without energy the first for all."""
        own = self._own(group)[: _MOST_ALONE if self.with_energy else 1]
        return [_Run(self._play(client)) for client in own]

    def _play(self, client: int | None) -> Played:
        scenario = self.scenario
        if client is not None:
            framework = unchecked(scenario.framework, participation=_Only(client))
            scenario = unchecked(scenario, framework=framework)
        network = unchecked(scenario.network, record_links=True)
        return play(unchecked(scenario, network=network), self.n_rounds, self.parts)

    def _own(self, group: int) -> range:
        """Indices of a group's clients."""
        first = sum(other.count for other in self.scenario.clients[:group])
        return range(first, first + self.scenario.clients[group].count)

    def _n_alike(self, group: int) -> int:
        """How many of them have batches like the first."""
        own = self._own(group)
        return sum(self._size(client) == self._size(own[0]) for client in own)

    def _size(self, client: int) -> int:
        return int(self.parts.setup.batches.size(client))

    def _alone(self, group: int, runs: list[_Run], staged: list[Staged], use: Use) -> Alone:
        n_rounds, setup, clients = self.n_rounds, self.parts.setup, self._own(group)
        idle_w = load_device(self.scenario.clients[group].device).power.idle_w
        own = [
            span
            for run, client in zip(runs, clients, strict=False)
            for span in run.spans
            if span.client == client
        ]
        excess_j = sum(s.energy_j - idle_w * (s.end_s - s.start_s - s.overlap_s) for s in own)
        size_bytes = sum(span.size_bytes for span in own if span.client == clients[0])
        samples = self.scenario.framework.samples_per_round(
            [self._size(client) for client in clients], [len(setup.shards[client]) for client in clients]
        )
        return Alone(
            np.max([one.stage_s for one in staged], 0), use, excess_j / n_rounds,
            self._n_alike(group) * size_bytes / n_rounds, samples, len(clients) * idle_w,
            sum(runs[0].played.server_idle_w.values()),
        )  # fmt: skip

    # What all share.

    @cached_property
    def _stations(self) -> list[str]:
        """Links that are not a client's own, servers, and the turn where there are turns."""
        edges = self.scenario.network.router(self.scenario.fleet).edges()
        own = {client.node for client in self.scenario.fleet.clients}
        links = {
            edge.link.name: None
            for edge in edges
            if edge.link.shared and edge.link.channel is not None and edge.link.name.split("/")[0] not in own
        }
        return [*links, "server", "parameter-server", _TURN]

    def _used(self, run: _Run, staged: Staged) -> Use:
        """What a run uses of stations; a barrier's computation keeps its server busy all along."""
        use = staged.use(self._stations, run.played.link_use)
        for stage, label in enumerate(staged.labels):
            if label == _STEP:
                use.busy_s[stage, self._stations.index("server")] = staged.stage_s[stage]
        if self.scenario.framework.at_once(self.scenario.n_clients) == AtOnce(1, 1):
            use.busy_s[:, -1], use.lead_s[:, -1], use.tail_s[:, -1] = staged.stage_s, 0.0, 0.0
        return use

    def _use(self, group: int, run: _Run, staged: Staged) -> Use:
        """What all clients of a group use of stations: as the first, as far as they are like it."""
        own = self._own(group)
        use = self._used(run, staged).times(self._n_alike(group))
        at = self._stations.index("server")
        for stage, label in enumerate(staged.labels):
            if label == _STEP:
                in_any_case_s, each_s = self._server_s
                use.busy_s[stage, at] = sum(map(each_s, own))
                use.lead_s[stage, at], use.tail_s[stage, at] = min(map(in_any_case_s, own)), 0.0
        return use

    def _around_steps(self, whole: Staged, uses: list[Use]) -> Array:
        """What a step takes in any case, which is a part of what the server was seen to be busy for."""
        lead_s = np.min([use.lead_s for use in uses], 0)
        is_step = np.array([label == _STEP for label in whole.labels])[:, None]
        return np.where(is_step & np.isfinite(lead_s), lead_s, 0.0)

    @cached_property
    def _server_s(self) -> tuple[Callable[[int], float], Callable[[int], float]]:
        """The server's step for all, at least [s]: what it takes in any case if a client is there, and for each."""
        framework: Any = self.scenario.framework
        schedule = getattr(framework, "server_schedule", None)
        if schedule is None or schedule.joins_samples or framework.server_rule.n_generated:
            return _nothing, _nothing
        rule, cut = schedule.rule(framework.server_rule), framework.cut_rule
        learner, clients = self.parts.learner, range(self.scenario.n_clients)
        device = load_device(self.scenario.server.device)
        pace = NodeOverheads(device.overheads, self.scenario.clock)

        def work_s(work: Work[Any]) -> float:
            return pace.stretched_s(0.0, device.duration_s(work.cost) + work.n_batches * pace.iteration_s)

        def rest_s(*clients: int) -> float:
            served = [_message(client, self._size(client), is_served=True) for client in clients]
            return work_s(learner.server_step(served, rule, cut))

        def pass_s(client: int, size: int) -> float:
            return work_s(learner.server_pass(_message(client, size), rule, cut))

        whole_s = rest_s(*clients)
        # A shared pass is over the samples of the client with most; what is coded, over those of all. What a rule
        # compares depends on all cuts together.
        own_cuts = any(group.cut is not None for group in self.scenario.clients)
        depends = own_cuts or bool(cut.shared_fraction or self.scenario.codecs)
        in_any_case = _nothing if own_cuts else rest_s if depends else lambda client: whole_s
        if learner.serves_on_arrival:
            return in_any_case, _nothing
        if not learner.costs.joins(rule):
            return in_any_case, lambda client: pass_s(client, self._size(client))
        if depends or not isinstance(device.cost_model, Roofline):
            return _nothing, _nothing
        # Under a roofline time is convex in the samples, so that a tangent is below it.
        total = sum(map(self._size, clients))
        slope_s = pass_s(0, total + 1) - pass_s(0, total)
        around_s = whole_s + pass_s(0, total) - slope_s * total
        return lambda client: around_s, lambda client: slope_s * self._size(client)


def _nothing(client: int) -> float:
    return 0.0


def _message(client: int, size: int, is_served: bool = False) -> SmashedData:
    """A mini-batch of which only the size counts."""
    none: Any = None
    return SmashedData("", 0, batch=MiniBatch(client, 0, size, "", "", none, is_served=is_served))


@dataclass(frozen=True)
class _Only(Participation):
    """One client takes part."""

    client: int

    def choose(self, n_clients: int, random: Callable[[], np.random.Generator]) -> tuple[int, ...]:
        """That client."""
        return (self.client,)

    def expected_share(self, n_clients: int) -> float:
        """One of all."""
        return 1 / n_clients
