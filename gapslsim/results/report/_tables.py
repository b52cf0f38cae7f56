"""The page's tables: results with deviation and confidence, settings, provenance and the commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from gapslsim.results import words
from gapslsim.results.drawing.markup import Markup, joined, tag
from gapslsim.results.report._html import html_table
from gapslsim.results.report._targets import reached, spread_of
from gapslsim.results.report.data import Group, RunSet
from gapslsim.results.statistics import spread
from gapslsim.results.study import is_study
from gapslsim.results.words import percent

__all__ = ["commands", "group_figures", "provenance_table", "result_table", "settings_table", "without_whole_result",
]  # fmt: skip


def result_table(runs: RunSet) -> Markup:
    """Mean, deviation and 95 % interval of every figure; one table per panel."""
    made: list[Markup] = []
    for panel in runs.panels:
        groups = runs.of_panel(panel)
        columns = [group_figures(runs, group) for group in groups]
        rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
        made += [tag("h3", panel)] if panel else []
        made.append(html_table(["", *(group.series for group in groups)], rows))
    return joined(made)


def group_figures(runs: RunSet, group: Group) -> dict[str, str]:
    """What a group's column says, by row."""
    told = {"seeds": str(len(group.runs))}
    for view in runs.views:
        told[f"accuracy, {view} view (last)"] = spread(group.accuracies(view)).words(words.accuracy, 1.0)
    if runs.views:
        best = group.accuracies(runs.view, "best")
        told[f"best, {runs.view} view"] = spread(best).words(words.accuracy, 1.0)
    told |= {f"time to {percent(target)}": _time_to(group, target, runs.view) for target in runs.targets}
    told |= {f"accuracy within {words.seconds(b)}": _within(group, runs.view, b) for b in runs.budgets_s}
    return told | {
        "simulated time": spread(group.numbers("simulated_time_s")).words(words.seconds),
        "energy, all devices": spread(group.numbers("energy_j", "total")).words(words.energy),
        "energy, clients": spread(group.numbers("energy_j", "clients")).words(words.energy),
        "bytes up": spread(group.numbers("bytes_up")).words(words.size),
        "bytes down": spread(group.numbers("bytes_down")).words(words.size),
        "rounds": spread(group.numbers("rounds")).words("{:.0f}".format),
    }


def _time_to(group: Group, target: float, view: str) -> str:
    times, lasted = reached(group, target, view)
    if not times:
        return f"> {words.seconds(min(lasted))}\nnot reached"
    if lasted:
        # A mean over those that reached it says nothing of the others, so it gets no interval.
        mean = spread_of(times).within(words.seconds)
        return f"{mean}\nreached by {len(times)} of {len(times) + len(lasted)} seeds"
    return spread_of(times).words(words.seconds)


def _within(group: Group, view: str, budget_s: float) -> str:
    found = []
    for run in group.runs:
        curve = run.curve(view)
        within = curve[curve["time_s"] <= budget_s]
        if len(within) and run.summary["simulated_time_s"] >= budget_s:
            found.append(float(within["accuracy"].iloc[-1]))
    if not found:
        return "ended before"
    short = len(group.runs) - len(found)
    return spread(found).words(words.accuracy, 1.0) + (f"\n{short} ended before" if short else "")


def settings_table(runs: RunSet) -> Markup:
    """What was run: axes, fleet, model, data, training, of the first run; the rest is in the folded scenario."""
    rows: list[list[str]] = []
    for study in runs.studies:
        rows += [[f"axis: {axis}", ", ".join(values)] for axis, values in study.axes.items()]
    seeds = sorted({run.seed for run in runs.runs})
    rows.append(["seeds", ", ".join(map(str, seeds))])
    if runs.targets:
        texts = ", ".join(percent(target) for target in runs.targets)
        rows.append(["targets", f"{texts} ({runs.view} view)"])
    first = runs.runs[0]
    scenario = first.stored.scenario
    rows += [
        [name, _compact(scenario[name])] for name in ("data", "model", "training", "stop") if name in scenario
    ]
    fleet = scenario.get("clients", [])
    for group in fleet if isinstance(fleet, list) else [fleet]:
        told = _compact(group)
        if isinstance(group, dict):
            cut = "" if group.get("cut") is None else f", cut {group['cut']}"
            told = f"{group.get('count', 1)} x {group.get('device')}{cut}, {_compact(group.get('link', {}))}"
        rows.append(["clients", told])
    rows += [
        [name, _compact(scenario[name])]
        for name in ("shape", "codec", "network", "server")
        if scenario.get(name)
    ]
    note = tag("p", f"Fleet, model and data as in the first run: {first.series}{_of(first.panel)}.")
    folded = _folded("The first run's whole scenario", tag("pre", first.stored.scenario_yaml))
    return joined([html_table(["setting", "value"], rows, "wrap"), note, folded])


def _folded(title: str, inside: Markup) -> Markup:
    return tag("details", tag("summary", title), inside)


def _of(panel: str) -> str:
    return f", {panel}" if panel else ""


def _compact(value: Any) -> str:
    """Settings in one line; parts that say nothing are left out."""
    if isinstance(value, dict):
        if value.get("kind") == "constant" and "rate" in value:
            return str(value["rate"])
        named = [str(value[key]) for key in ("kind", "optimizer") if key in value]
        rest = [
            f"{k} {_compact(v)}"
            for k, v in value.items()
            if k not in ("kind", "optimizer") and v not in (None, "")
        ]
        if rest and named:
            return f"{named[0]} ({', '.join(rest)})"
        return ", ".join([*named, *rest])
    if isinstance(value, list):
        return " ".join(_compact(item) for item in value) or "none"
    return str(value)


def without_whole_result(runs: RunSet) -> Markup:
    """Runs that are missing, and those that their study stopped, with the reason; empty if there are none."""
    n = len(runs.runs) + len(runs.missing) + len(runs.stopped)
    early = (
        f"{len(runs.stopped)} of {n} runs were stopped or spared by the study, or are other seeds of such settings. "
        "They are in no mean and no figure but the study's own."
    )
    failed = f"{len(runs.missing)} of {n} runs gave no result."
    sections = [
        ("failures", "Runs without a result", failed, runs.missing),
        ("stopped", "Stopped early", early, runs.stopped),
    ]
    return joined(
        [
            tag(
                "section",
                tag("h2", title),
                tag("p", said),
                html_table(["run", "what happened"], rows, "wrap"),
                id=name,
            )
            for name, title, said, rows in sections
            if rows
        ]
    )


def provenance_table(runs: RunSet) -> Markup:
    """Versions, machines and hashes."""
    first = runs.runs[0].stored.provenance
    git = first.get("git") or {}
    commit = str(git.get("commit") or "not from a checkout")
    commit += " with local changes" if git.get("dirty") else ""
    machine = first.get("machine", {})
    rows = [
        ["gapslsim", str(first.get("gapslsim", "-"))],
        ["commit", commit],
        ["Python", str(first.get("python", "-"))],
        ["packages", ", ".join(f"{k} {v}" for k, v in first.get("packages", {}).items())],
        ["machine", f"{machine.get('processor', '-')}, {machine.get('n_cpus', '-')} cores"],
        ["computed on", "; ".join(dict.fromkeys(words.computed_on(r.summary.get("computed_on")) for r in runs.runs))],
        ["first run started", str(first.get("started", "-"))],
        ["wall time, all runs", words.seconds(sum(float(r.summary["wall_time_s"] or 0) for r in runs.runs))],
    ]  # fmt: skip
    hashes = [
        [f"{run.series}{_of(run.panel)}, seed {run.seed}", run.summary["timeline_sha256"][:16],
         run.summary["learning_sha256"][:16]]
        for run in runs.runs
    ]  # fmt: skip
    folded = _folded("Hashes of every run", html_table(["run", "timeline", "learning"], hashes))
    return joined([html_table(["", "value"], rows, "wrap"), folded])


def commands(runs: RunSet, report_command: Sequence[str]) -> Markup:
    """The commands that make the runs and this page again."""
    folders = filter(is_study, runs.paths)
    lines = [
        shlex.join([*study.command, "--out", str(path)])
        for study, path in zip(runs.studies, folders, strict=True)
    ]
    if not runs.studies:
        for run in runs.runs:
            source = str(run.stored.folder / "scenario.yaml")
            lines.append(shlex.join(["gapslsim", "run", source, "--out", f"{run.stored.folder}-again"]))
    lines.append(shlex.join(report_command))
    files = [_folded(f"The study file of {one.name}", tag("pre", one.study_yaml)) for one in runs.studies]
    return joined([tag("pre", "\n".join(lines)), *files])
