"""A dry run of a number of rounds on another clock: when rounds end, and the energy by then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gapslsim.assembly import Parts, Retiming, assemble
from gapslsim.collector import rare_collections
from gapslsim.hardware.device import Device
from gapslsim.hardware.devices import load_device
from gapslsim.network.network import LinkUseFields
from gapslsim.results.summary import energy_of
from gapslsim.scenario.schema import Scenario
from gapslsim.stages.simulated import SimulatedStage
from gapslsim.tables.rows import Rows
from gapslsim.tables.span_sums import SpanSums, summed

__all__ = ["Played", "play"]


@dataclass(frozen=True, eq=False)
class Played:
    """What a dry run gave."""

    ends_s: NDArray[np.float64]
    """End of each round."""
    spans: Rows
    sums: SpanSums
    """Of the spans."""
    server_idle_w: Mapping[str, float]
    """Of each server that counts."""
    now_s: float
    """When everything had ended."""
    link_use: Iterable[LinkUseFields]
    """Load of links over time."""

    @cached_property
    def energy_j(self) -> float:
        """Of clients and servers by the last of the rounds."""
        return energy_of(self.sums, self.server_idle_w, self.now_s)["total"]

    @cached_property
    def first_j(self) -> float:
        """Of that, what belongs to the first round."""
        _, sums = summed(self.spans.select(round=(0, 1)).itertuples(index=False, name=None))
        return energy_of(sums, self.server_idle_w, float(self.ends_s[0]))["total"]

    def time_s(self, told: Played, at_s: float) -> float:
        """When this run is where `told` is at `at_s`; beyond the rounds of both, at the pace of those behind the first.

        The first is not like the others: windows of connections are small, weights are sent.
        """
        if at_s > told.ends_s[-1]:
            first, told_first = (run.ends_s[0] if len(run.ends_s) > 1 else 0.0 for run in (self, told))
            pace = (self.ends_s[-1] - first) / (told.ends_s[-1] - told_first)
            return float(self.ends_s[-1] + (at_s - told.ends_s[-1]) * pace)
        return float(np.interp(at_s, np.r_[0.0, told.ends_s], np.r_[0.0, self.ends_s]))

    def all_j(self, n_rounds: int) -> float:
        """Energy of so many rounds, were those beyond like those behind the first [J]."""
        beyond = (n_rounds - len(self.ends_s)) / max(1, len(self.ends_s) - 1)
        return self.energy_j + beyond * (self.energy_j - self.first_j)


def play(
    scenario: Scenario,
    n_rounds: int,
    like: Parts,
    device: Callable[[str], Device] = load_device,
    seed: int | None = None,
) -> Played:
    """Plays so many rounds without tensors.

    Args:
        scenario: what to play; its stop condition is not looked at.
        n_rounds: how many rounds.
        like: whose set-up of the training is taken.
        device: devices by name.
        seed: of what is random in time; that of the scenario unless given.

    Raises:
        GapslsimError: if the run cannot go on.
    """
    with rare_collections():
        retiming = Retiming(like, device, scenario.seed if seed is None else seed)
        parts = assemble(scenario, dry=True, retiming=retiming)
        watcher = _Counted(parts.stage, n_rounds)
        try:
            parts.stage.play(scenario.framework, watcher)
            parts.stage.stop()
        finally:
            parts.stage.close()
    stage = parts.stage
    recorder = parts.recorder
    return Played(
        np.array(watcher.ends_s),
        recorder.rows,
        recorder.sums,
        stage.servers_idle_w,
        float(stage.now_s),
        parts.network.link_use,
    )


class _Counted:
    """Ends a run after so many rounds."""

    limit_s = None

    def __init__(self, stage: SimulatedStage, n_rounds: int) -> None:
        self._stage = stage
        self._n_rounds = n_rounds
        self.ends_s: list[float] = []

    def opens(self) -> None:
        """Nothing is measured."""

    def closes(self, start_s: float) -> None:
        """Notes the end of a round."""
        self.ends_s.append(float(self._stage.now_s))

    def updated(self) -> None:
        """Nothing is evaluated."""

    @property
    def is_over(self) -> bool:
        """Whether all rounds were played."""
        return len(self.ends_s) >= self._n_rounds
