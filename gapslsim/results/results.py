"""What a run leaves: tidy tables, a summary and the scenario that it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gapslsim.network.network import LinkUseFields, LinkUseRow
from gapslsim.records import (
    AlignmentRow,
    EvaluationRow,
    GradientRow,
    LossRow,
    PairRow,
    RoundRow,
    SpanRow,
    UpdateRow,
)
from gapslsim.results.frames import frame
from gapslsim.results.summary import RunFacts, summarise

__all__ = ["Results", "run_label"]


@dataclass(frozen=True, eq=False)
class Results:
    """Tables of one run, with the columns of `records.py`, and its summary (what `summary.json` holds)."""

    scenario_yaml: str
    """The resolved scenario as YAML text."""
    spans: pd.DataFrame = field(repr=False)
    """What every actor did and when; the phases of each client sum to the simulated time."""
    rounds: pd.DataFrame = field(repr=False)
    """One row per training round."""
    evaluations: pd.DataFrame = field(repr=False)
    """Test accuracy per view, and per client where a view has one model per client."""
    losses: pd.DataFrame = field(repr=False)
    """Training loss per round and client."""
    alignment: pd.DataFrame = field(repr=False)
    """Gradient geometry per round and client, where the server's rule looked at it."""
    links: pd.DataFrame = field(repr=False)
    """Load of every link over time."""
    summary: dict[str, Any] = field(repr=False)
    """Plain values that JSON can write; None where a number does not exist."""
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    """Where it was made; filled when it was read from a run directory."""
    gradients: pd.DataFrame = field(default_factory=lambda: frame(GradientRow, ()), repr=False)
    """Geometry per measured round and client; see `evaluation.geometry`."""
    updates: pd.DataFrame = field(default_factory=lambda: frame(UpdateRow, ()), repr=False)
    """The server's update per measured round."""
    pairwise: pd.DataFrame = field(default_factory=lambda: frame(PairRow, ()), repr=False)
    """Angles between every two clients' gradients per measured round."""

    @classmethod
    def from_rows(
        cls,
        *,
        scenario_yaml: str,
        status: str,
        stopped_by: str,
        dry: bool,
        seed: int,
        name: str,
        framework: str,
        spans: Sequence[tuple[Any, ...]],
        rounds: Sequence[RoundRow],
        evaluations: Sequence[EvaluationRow],
        losses: Sequence[LossRow],
        alignment: Sequence[AlignmentRow],
        links: Sequence[LinkUseFields],
        simulated_time_s: float,
        wall_time_s: float,
        timeline_sha256: str,
        learning_sha256: str,
        n_clients: int,
        device_of_client: Sequence[str],
        gradients: Sequence[GradientRow] = (),
        updates: Sequence[UpdateRow] = (),
        pairwise: Sequence[PairRow] = (),
        targets: Sequence[float] = (),
        target_view: str = "global",
        server_idle_w: Mapping[str, float] | None = None,
        memory: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Results:
        """Results of a run from the rows that it recorded.

        Args:
            scenario_yaml: resolved scenario as text.
            status: `completed`, `interrupted` or `failed: ...`.
            stopped_by: the stop condition that held, in words.
            dry: whether it was timing only.
            seed: the scenario's seed.
            name: the scenario's name.
            framework: kind of the framework.
            spans: as recorded, with the fields of `SpanRow`; likewise the other tables.
            rounds: see `spans`.
            evaluations: see `spans`.
            losses: see `spans`.
            alignment: see `spans`.
            links: see `spans`.
            simulated_time_s: elapsed simulated time [s].
            wall_time_s: elapsed real time [s].
            timeline_sha256: hash of all spans.
            learning_sha256: hash of every loss and metric.
            n_clients: size of the fleet, with clients that never took part.
            device_of_client: name of each client's kind of device.
            gradients: see `spans`; none where the geometry was not measured.
            updates: see `gradients`.
            pairwise: see `gradients`.
            targets: accuracies in [0, 1] whose time is reported.
            target_view: view in which they are looked for.
            server_idle_w: idle power of each server that counts [W]; drawn whenever it is not computing.
            memory: needs and limits of memory, as the caller has them.
            extra: further entries of the summary.

        Raises:
            ValueError: if `extra` repeats an entry of the summary, or devices do not match the clients.
        """
        facts = RunFacts(
            name=name,
            framework=framework,
            seed=seed,
            status=status,
            stopped_by=stopped_by,
            dry=dry,
            simulated_time_s=simulated_time_s,
            wall_time_s=wall_time_s,
            timeline_sha256=timeline_sha256,
            learning_sha256=learning_sha256,
            n_clients=n_clients,
            device_of_client=tuple(device_of_client),
            targets=tuple(targets),
            target_view=target_view,
            server_idle_w=dict(server_idle_w or {}),
            memory=dict(memory or {}),
            extra=dict(extra or {}),
        )
        span_frame = frame(SpanRow, spans)
        round_frame = frame(RoundRow, rounds)
        evaluation_frame = frame(EvaluationRow, evaluations)
        return cls(
            scenario_yaml=scenario_yaml,
            spans=span_frame,
            rounds=round_frame,
            evaluations=evaluation_frame,
            losses=frame(LossRow, losses),
            alignment=frame(AlignmentRow, alignment),
            links=frame(LinkUseRow, links),
            summary=summarise(facts, span_frame, round_frame, evaluation_frame),
            gradients=frame(GradientRow, gradients),
            updates=frame(UpdateRow, updates),
            pairwise=frame(PairRow, pairwise),
        )

    @property
    def label(self) -> str:
        """Name, framework and seed: `quickstart-gapsl-seed1`; the name of its default run directory."""
        return run_label(self.summary["name"], self.summary["framework"], self.summary["seed"])


def run_label(name: str, framework: str, seed: int) -> str:
    """Name of a run: `quickstart-gapsl-seed1`."""
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in name).strip(".-") or "run"
    return f"{safe}-{framework}-seed{seed}"
