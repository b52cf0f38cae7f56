"""What if something were otherwise: a run beside the same run with changed settings, through its journal."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from gapslsim.answers._subject import Subject, subject_of
from gapslsim.errors import ResultsError
from gapslsim.learning.journal.journal import JournalSettings
from gapslsim.registry import settings_of
from gapslsim.results import words
from gapslsim.results.compare import Comparison
from gapslsim.results.results import Results
from gapslsim.results.summary import accuracy_curve, plain
from gapslsim.run import Observer
from gapslsim.scenario.loading import loads
from gapslsim.scenario.schema import Scenario
from gapslsim.whole_run import whole_run

__all__ = ["Alternative", "WhatIf", "whatif"]

_BEFORE: Final = "as it was"


@dataclass(frozen=True, eq=False)
class Alternative:
    """The run as it was, or with changes."""

    changes: tuple[str, ...]
    """As `path=value`; none for the run as it was."""
    learning: str
    """`same`, `other from round 12`, or `not looked at: ...`."""
    diverges: int | None
    """The first round that trains something else; None if none does, or if that was not looked at."""
    summary: dict[str, Any] = field(repr=False)
    """As `summary.json` has it."""

    @property
    def name(self) -> str:
        """Its changes in one line."""
        return "; ".join(self.changes) or _BEFORE


@dataclass(frozen=True, eq=False)
class WhatIf:
    """A run beside its alternatives; the run as it was comes first."""

    label: str
    """Of the run."""
    alternatives: tuple[Alternative, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per alternative: changes, simulated_time_s, times to targets, bytes, energy, accuracy, learning."""
        return pd.DataFrame([_numbers(one) for one in self.alternatives])

    def comparison(self) -> Comparison:
        """The same as people read it, a row per alternative."""
        before = _numbers(self.alternatives[0])
        rows = [_said(_numbers(one), before if one.changes else None) for one in self.alternatives]
        # What no alternative knows is left out.
        columns = [name for name in rows[0] if any(row[name] != words.MISSING for row in rows)]
        return Comparison(tuple(columns), tuple(tuple(row[name] for name in columns) for row in rows))

    def __str__(self) -> str:
        return self.comparison().markdown()

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        made: dict[str, Any] = plain({"run": self.label, "alternatives": self.table.to_dict("records")})
        return made


def whatif(
    run: str | Path | Results,
    *alternatives: str | Iterable[str],
    train: bool | None = None,
    observer: Observer | None = None,
) -> WhatIf:
    """A run beside what it would be with changed settings.

    A run that keeps a journal is simulated again through it: what is trained the same is looked up, the rest is trained
    (and kept in the journal). Else the run is timed again without tensors; where nothing that is changed has a part in
    training, accuracies are those of the run.

    Args:
        run: a run directory, results, or a scenario (its file or name), which is simulated first.
        alternatives: one or several changes each: `"clients.2.link=wifi"`, or a list of such texts.
        train: False for timing alone; True to train also what has no journal; by default where there is a journal.
        observer: called after every round of an alternative.

    Raises:
        ResultsError: if there is no run, or nothing to change.
        ScenarioError: if a changed scenario cannot be run.
    """
    changed = [tuple([one] if isinstance(one, str) else one) for one in alternatives]
    if not changed or not all(changed):
        raise ResultsError("nothing is changed; say what, for instance --set 'clients.*.link=wifi'")
    subject = subject_of(run)
    text, label = subject.results.scenario_yaml, subject.results.label
    scenarios = [
        dataclasses.replace(loads(text, file=f"scenario of {label}", set=changes), uncertainty=None)
        for changes in changed
    ]
    trains = (subject.journal is not None) if train is None else train
    if trains and subject.results.summary["dry"]:
        told = whole_run(subject.scenario, observer=observer, journal=subject.journal)
        subject = dataclasses.replace(subject, results=told)
    made = [Alternative((), "", None, subject.results.summary)]
    for changes, scenario in zip(changed, scenarios, strict=True):
        made.append(_alternative(subject, changes, scenario, trains, observer))
    return WhatIf(label, tuple(made))


def _alternative(
    subject: Subject, changes: tuple[str, ...], scenario: Scenario, trains: bool, observer: Observer | None
) -> Alternative:
    if trains:
        journal = None if subject.journal is None else JournalSettings(subject.journal)
        now = whole_run(scenario, journal=journal, observer=observer)
        first = _first_difference(subject.results.losses, now.losses)
        learning = "same" if first is None else f"other from round {first}"
        return Alternative(changes, learning, first, now.summary)
    if not scenario.stop.is_planned:
        scenario = dataclasses.replace(scenario, stop=subject.of_its_length.stop)
    now = whole_run(scenario, dry=True, observer=observer)
    if subject.results.summary["dry"]:
        return Alternative(changes, "not looked at: timing alone", None, now.summary)
    if not _trains_the_same(subject, scenario):
        return Alternative(
            changes, "not looked at: it may be other, and there is no journal", None, now.summary
        )
    return Alternative(changes, "same", None, now.summary | _carried_over(subject.results, now))


def _first_difference(was: pd.DataFrame, now: pd.DataFrame) -> int | None:
    """The first round in which another client trained, or one had another loss; None if there is none."""
    both = was.merge(now, on=["round", "client"], how="outer", suffixes=("", "_now"), indicator=True)
    differs = (
        (both["_merge"] != "both")
        | (both["loss"] != both["loss_now"])
        | (both["n_samples"] != both["n_samples_now"])
    )
    return int(both.loc[differs, "round"].min()) if differs.any() else None


def _trains_the_same(subject: Subject, scenario: Scenario) -> bool:
    """Whether nothing that was changed has a part in training, or decides when it ends or is tested."""
    was = subject.scenario
    if was.time_decides_training or scenario.time_decides_training:
        return False
    from gapslsim.assembly import assemble

    alike = all(
        settings_of(getattr(was, part)) == settings_of(getattr(scenario, part))
        for part in ("framework", "evaluation", "stop")
    )
    return alike and assemble(scenario, dry=True).setup.key == subject.parts.setup.key


def _carried_over(was: Results, now: Results) -> dict[str, Any]:
    """Accuracies of the run, and times to its targets on the other clock."""
    curve = accuracy_curve(was.evaluations, was.summary["target_view"])
    ends_s = dict(zip(now.rounds["round"], now.rounds["end_s"], strict=True)) | {0: 0.0}
    reached = {}
    for target in was.summary["time_to_accuracy_s"]:
        rounds = curve.loc[curve["accuracy"] >= float(target), "round"]
        reached[target] = ends_s[rounds.iloc[0]] if len(rounds) else None
    return {"accuracy": was.summary["accuracy"], "time_to_accuracy_s": reached, "dry": False}


def _numbers(one: Alternative) -> dict[str, Any]:
    told = one.summary
    accuracy = (told["accuracy"].get(told["target_view"]) or {}).get("last")
    return {
        "changes": one.name,
        "simulated_time_s": told["simulated_time_s"],
        "rounds": told["rounds"],
        **{f"time_to_accuracy_s {target}": at_s for target, at_s in told["time_to_accuracy_s"].items()},
        "bytes_up": told["bytes_up"],
        "bytes_down": told["bytes_down"],
        "energy_j": told["energy_j"]["total"],
        f"accuracy {told['target_view']}": accuracy,
        "learning": one.learning,
        "diverges": one.diverges,
    }


def _said(row: dict[str, Any], before: dict[str, Any] | None) -> dict[str, str]:
    said = {}
    for name, value in row.items():
        if name == "diverges":
            continue
        missing = value is None or value == "" or (isinstance(value, float) and math.isnan(value))
        text = words.MISSING if missing else _SAY[name.partition(" ")[0]](value)
        was = None if before is None else before.get(name)
        if not missing and name.partition(" ")[0] in _COMPARED and was:
            text += f" ({value / was - 1:+.0%})".replace("%", " %")
        label, _, rest = name.partition(" ")
        if label == "time_to_accuracy_s":
            said[f"time to {words.percent(float(rest))}"] = text
        else:
            said[_NAMES.get(label, label) + (f" {rest}" if rest else "")] = text
    return said


_SAY: Final[dict[str, Any]] = {
    "changes": str, "simulated_time_s": words.plain_seconds, "rounds": str, "time_to_accuracy_s": words.plain_seconds,
    "bytes_up": words.size, "bytes_down": words.size, "energy_j": words.energy, "accuracy": words.accuracy,
    "learning": str,
}  # fmt: skip
_COMPARED: Final = ("simulated_time_s", "time_to_accuracy_s", "bytes_up", "bytes_down", "energy_j")
_NAMES: Final = {
    "changes": "what if", "simulated_time_s": "simulated time", "bytes_up": "up", "bytes_down": "down",
    "energy_j": "energy",
}  # fmt: skip


def split_changes(text: str) -> list[str]:
    """`a=1; b=2` as two changes: a semicolon parts them where `path=` follows."""
    return re.split(r";\s*(?=[\w.*\[\]-]+=)", text)
