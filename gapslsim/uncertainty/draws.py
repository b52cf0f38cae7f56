"""Monte Carlo over the figures that a run's time and energy rest on; training stays as it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import ValidationError

from gapslsim.assembly import Parts, assemble
from gapslsim.errors import GapslsimError, ResultsError
from gapslsim.hardware.device import Device
from gapslsim.hardware.devices import load_device
from gapslsim.hardware.drawn import causes_of, drawn
from gapslsim.hardware.profiled_device import ProfiledDevice
from gapslsim.records import DrawRow
from gapslsim.results.frames import frame
from gapslsim.results.likely import AFTER, CAUSE, draws_of, interval, spread_of_time
from gapslsim.results.results import Results
from gapslsim.results.summary import plain
from gapslsim.rng import stream
from gapslsim.scenario.draws import Draws
from gapslsim.scenario.limits import Stop
from gapslsim.scenario.loading import loads
from gapslsim.scenario.schema import Scenario
from gapslsim.uncertainty._causes import Causes
from gapslsim.uncertainty._links import with_links
from gapslsim.uncertainty.play import Played, play

__all__ = ["with_draws"]

_SHORTEST: Final = 6
"""Rounds that are played for a draw at the least."""
_TOLD: Final = 0.01
"""Share of the spread below which a cause is not told: chance alone gives as much."""
_ALIKE: Final = 0.01
"""How far rounds played may be from telling the time of all rounds for them to stand for all."""


def with_draws(
    results: Results,
    draws: int | None = None,
    *,
    level: float | None = None,
    links: float | None = None,
    scenario: Scenario | None = None,
) -> Results:
    """The same results with the table `uncertainty` and the entry `uncertainty` of the summary.

    Every draw moves the figures of the profiles within their ranges, once per kind of device, and the run is timed
    again without tensors. Nothing is trained. Where every round is like every other, a few rounds stand for all: they
    are played, and the time of the whole run is scaled. That is checked for the two draws that are furthest out, and
    the randomness of the run itself is added from the times of its rounds. Else every draw is a whole dry run with
    random streams of its own.

    Args:
        results: of a run, dry or not; also read from a directory.
        draws: how many; by default what the scenario says under `uncertainty`, or 200.
        level: share of the draws that intervals hold; by default what the scenario says, or 0.9.
        links: spread of constant link rates; by default what the scenario says, or 0.
        scenario: that of the results, if it is at hand.

    Raises:
        ResultsError: if the run has no round, its scenario cannot be read here, or there are too few draws.
    """
    if scenario is None:
        try:
            scenario = loads(results.scenario_yaml, file=f"scenario of {results.label}")
        except GapslsimError as error:
            raise ResultsError(f"the scenario of {results.label} cannot be read here: {error}") from error
    if results.rounds.empty:
        raise ResultsError(f"{results.label} has no round to draw times of; let it run for one round or more")
    given = {"draws": draws, "level": level, "links": links}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        wanted = dataclasses.replace(scenario.uncertainty or Draws(), **changes)
    except ValidationError as error:
        told = "; ".join(
            f"{one['loc'][0]}: {one['msg']}, found {one['input']!r}"
            for one in error.errors(include_url=False)
        )
        raise ResultsError(f"no draws can be made so ({told})") from error
    return _Drawing(results, scenario, wanted).results()


@dataclass(frozen=True, eq=False)
class _Drawing:
    """The draws of one run."""

    told: Results
    scenario: Scenario
    wanted: Draws

    def results(self) -> Results:
        """Results with the draws."""
        n = self.wanted.draws
        n_played, notes = self._n_played, list(self._notes)
        played = self._all(n_played)
        is_whole = n_played == self._n_rounds
        if not is_whole and not self._stands_for_all(played, n_played):
            n_played, is_whole = self._n_rounds, True
            played = self._all(n_played)
        own_s = np.zeros(n) if is_whole else self._own_spread() * self._own_z
        told = self._told(n_played)
        rows = [row for i, one in enumerate(played) for row in self._rows(i, told, one, math.exp(own_s[i]))]
        n_stalled = sum(one is None for one in played)
        if n_stalled:
            notes.append(f"{n_stalled} of {n} draws could not go on to the end and are left out")
        how = "each draw is a whole dry run"
        if not is_whole:
            how = f"each draw plays {n_played} of {self._n_rounds} rounds, which are alike"
        table = frame(DrawRow, [*rows, *self._cause_rows()])
        summary = self.told.summary | {"uncertainty": plain(self._summary(table, [how, *notes]))}
        return self.told.changed(uncertainty=table, summary=summary)

    # What is played.

    @property
    def _n_rounds(self) -> int:
        return len(self.told.rounds)

    @cached_property
    def _causes(self) -> Causes:
        return Causes(self.wanted.draws)

    @cached_property
    def _parts(self) -> Parts:
        """Set-up of the training, as every draw has it."""
        scenario = self.scenario
        if not scenario.stop.is_planned:  # a dry run must know when to end; here it is told
            scenario = dataclasses.replace(scenario, stop=Stop(rounds=self._n_rounds))
        return assemble(scenario, dry=True)

    def _told(self, n_rounds: int) -> Played:
        return play(self.scenario, n_rounds, self._parts)

    def _all(self, n_rounds: int) -> list[Played | None]:
        return [self._draw(i, n_rounds) for i in range(self.wanted.draws)]

    def _draw(self, draw: int, n_rounds: int) -> Played | None:
        """One draw; None if it stalls. A part of a run has the random streams of the run that it is compared with."""
        z = partial(self._causes.z, draw=draw)

        def device(name: str) -> Device:
            told = load_device(name)
            return drawn(told, lambda cause: z(f"{cause} of {told.profile.name}"))

        is_whole = n_rounds == self._n_rounds
        seed = int(stream(0, "uncertainty", draw).integers(2**62)) if is_whole else self.scenario.seed
        scenario = with_links(self.scenario, self.wanted.links, z)
        try:
            return play(scenario, n_rounds, self._parts, device, seed)
        except GapslsimError:
            return None

    @cached_property
    def _n_played(self) -> int:
        """The fewest rounds whose mean time is that of all rounds, wherever one looks; all if there are none.

        The first is left out: connections have no window yet. Without a barrier rounds are no unit of time: how often
        each client comes in one depends on how fast the others are, which is what is drawn.
        """
        if not self.scenario.framework.has_rounds:
            return self._n_rounds
        ends_s = self.told.rounds["end_s"].to_numpy()
        means_s = (ends_s[1:] - ends_s[0]) / np.arange(1, self._n_rounds)
        n = _SHORTEST
        while 3 * n <= self._n_rounds:
            if (
                np.abs(means_s[n - 1 :] / means_s[n - 2] - 1).max() <= _ALIKE
                and not self.scenario.is_hazardous
            ):
                return n
            n *= 2
        return self._n_rounds

    def _stands_for_all(self, played: list[Played | None], n_played: int) -> bool:
        """Whether whole dry runs of the fastest and the slowest draw take as long as their first rounds tell."""
        if None in played:
            return False
        ends_s = [one.ends_s[-1] for one in played if one is not None]
        told, whole_s = self._told(n_played), float(self.told.rounds["end_s"].iloc[-1])
        for i in {int(np.argmin(ends_s)), int(np.argmax(ends_s))}:
            whole, part = self._draw(i, self._n_rounds), played[i]
            if whole is None or part is None:
                return False
            if abs(part.time_s(told, whole_s) / whole.ends_s[-1] - 1) > 2 * _ALIKE:
                return False
        return True

    def _own_spread(self) -> float:
        """Spread of the whole time by the run's own randomness: by means of blocks, since neighbours may be alike."""
        ends_s = self.told.rounds["end_s"].to_numpy()
        n_blocks = max(2, math.isqrt(self._n_rounds - 1))
        edges_s = np.interp(  # from the end of the first, which is not like the others
            np.linspace(1, self._n_rounds, n_blocks + 1), np.arange(1, self._n_rounds + 1), ends_s
        )
        blocks_s = np.diff(edges_s)
        return float(blocks_s.std(ddof=1) / blocks_s.mean() / math.sqrt(n_blocks))

    @cached_property
    def _own_z(self) -> Any:
        """Of each run its own: two runs are lucky or not apart from each other."""
        return stream(self.scenario.seed, "uncertainty", self.told.label).standard_normal(self.wanted.draws)

    # What is said of it.

    @cached_property
    def _targets_s(self) -> dict[str, float | None]:
        return dict(self.told.summary["time_to_accuracy_s"])

    def _rows(self, draw: int, told: Played, one: Played | None, own: float) -> Iterator[DrawRow]:
        times = {"simulated_time_s": self.told.summary["simulated_time_s"]}
        times |= {f"time_to_accuracy_s {target}": at_s for target, at_s in self._targets_s.items()}
        within = self.told.summary.get("time_to_accuracy_within_s") or {}
        times |= {f"{AFTER}{target}": found and found["after"] for target, found in within.items()}
        for name, at_s in times.items():
            there = one is not None and at_s is not None
            yield DrawRow(draw, name, own * one.time_s(told, at_s) if one is not None and there else math.nan)
        energy_j = math.nan
        if one is not None:
            ratio = one.all_j(self._n_rounds) / told.all_j(self._n_rounds)
            energy_j = own * self.told.summary["energy_j"]["total"] * ratio
        yield DrawRow(draw, "energy_j", energy_j)

    def _cause_rows(self) -> Iterator[DrawRow]:
        for cause, z in sorted(self._causes.known.items()):
            yield from (DrawRow(draw, CAUSE + cause, value) for draw, value in enumerate(z.tolist()))

    def _rests_on(self) -> dict[str, str]:
        """What each cause rests on, in a word."""
        names = {
            self.scenario.server.device,
            self.scenario.parameter_server_device,
            *(group.device for group in self.scenario.clients),
        }
        found: dict[str, str] = {}
        for name in sorted(names):
            device: ProfiledDevice = load_device(name)
            for cause, status in causes_of(device).items():
                found.setdefault(f"{cause} of {device.profile.name}", status)
        return found

    @cached_property
    def _notes(self) -> list[str]:
        found = []
        if not self._same_training:
            found.append(
                "time decides here what is trained, so another draw would have trained otherwise: intervals are for "
                "the same number of rounds"
            )
        now_s, was_s = self._told(min(_SHORTEST, self._n_rounds)).ends_s[-1], self.told.rounds["end_s"]
        was_s = was_s.iloc[min(_SHORTEST, self._n_rounds) - 1]
        if not math.isclose(now_s, was_s, rel_tol=1e-6):
            found.append(
                f"profiles or code have changed since the run: its first rounds took {was_s:.6g} s, now {now_s:.6g} s; "
                "run it again"
            )
        return found

    @cached_property
    def _same_training(self) -> bool:
        """Whether every draw trains what the run trained: everyone is waited for, and time ends nothing."""
        return not self.scenario.time_decides_training

    def _summary(self, table: pd.DataFrame, notes: list[str]) -> dict[str, Any]:
        rests_on = self._rests_on()
        level = self.wanted.level
        return {
            "draws": self.wanted.draws,
            "level": level,
            "decided": self.wanted.decided,
            "same_training": self._same_training,
            "simulated_time_s": interval(draws_of(table, "simulated_time_s"), level),
            "energy_j": interval(draws_of(table, "energy_j"), level),
            "time_to_accuracy_s": {
                target: interval(draws_of(table, f"time_to_accuracy_s {target}"), level)
                for target in self._targets_s
            },
            "spread_of_time": {
                cause: {"share": share, "rests_on": rests_on.get(cause, "given")}
                for cause, share in spread_of_time(table).items()
                if share >= _TOLD
            },
            "notes": notes,
        }
