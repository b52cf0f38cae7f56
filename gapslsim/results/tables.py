"""The table at the end of a run: accuracy per view, times, where the time went, bytes, energy, memory, hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult  # noqa: TID251
from rich.table import Table
from rich.text import Text

from gapslsim.results import words
from gapslsim.results._attendance import often_and_seldom
from gapslsim.results.categories import CATEGORIES, LABELS
from gapslsim.results.crossing import at_one_evaluation, crossing_of

__all__ = ["end_table", "likely_lines", "titled_table"]

_BAR_WIDTH: Final = 24
_STYLES: Final = {"completed": "green", "interrupted": "yellow"}


def end_table(summary: Mapping[str, Any]) -> RenderableType:
    """What `gapslsim run` prints when it ends; readable at 80 columns and without colour."""
    parts: list[RenderableType] = [_status_line(summary)]
    parts += [Text(f"Warning: {text}", style="bold red") for text in summary["warnings"]]
    if any(numbers["last"] is not None for numbers in summary["accuracy"].values()):
        parts += [Text(), _accuracy_table(summary)]
    if summary.get("metrics"):
        parts += [Text(), _metrics_table(summary["metrics"])]
    parts += [Text(), _time_table(summary)]
    if len(summary["where_time_went_by_device_s"]) > 1:
        parts += [Text(), _device_table(summary)]
    if summary.get("uncertainty"):
        parts += [Text(), _likely_table(summary), *map(Text, likely_lines(summary["uncertainty"]))]
    parts += [Text(), _facts(summary)]
    if at_one := at_one_evaluation(summary):
        parts += [Text(at_one, style="yellow")]
    return Group(*parts)


def _status_line(summary: Mapping[str, Any]) -> Text:
    """Which run this is and how it ended, in one line."""
    status = str(summary["status"])
    line = Text()
    line.append(str(summary["name"]), style="bold")
    line.append(f" - {summary['framework']}, seed {summary['seed']}, {summary['rounds']} rounds: ")
    line.append(status, style=_STYLES.get(status, "red"))
    if summary["stopped_by"]:
        line.append(f" ({summary['stopped_by']})")
    if summary["dry"]:
        line.append(" [dry run: timing only, no training]", style="yellow")
    return line


def _accuracy_table(summary: Mapping[str, Any]) -> Table:
    table = titled_table("Test accuracy", "view", "last", "best", "min .. max of clients")
    for view, numbers in summary["accuracy"].items():
        spread = ""
        if "min" in numbers:
            spread = f"{words.accuracy(numbers['min'])} .. {words.accuracy(numbers['max'])}"
        table.add_row(view, words.accuracy(numbers["last"]), words.accuracy(numbers["best"]), spread)
    return table


def _metrics_table(metrics: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = titled_table("Metrics at the last evaluation (mean of clients)", "view")
    for name in next(iter(metrics.values())):
        table.add_column(name, justify="right")
    for view, numbers in metrics.items():
        table.add_row(view, *map(words.number, numbers.values()))
    return table


def _time_table(summary: Mapping[str, Any]) -> Table:
    elapsed_s = summary["simulated_time_s"]
    went = summary["where_time_went_s"]
    table = titled_table("Where the time went (mean of clients)", "phase", "time", "share")
    table.add_column("", no_wrap=True, width=_BAR_WIDTH)
    longest = max(went.values(), default=0.0) or 1.0
    for category in CATEGORIES:
        value = went[category]
        table.add_row(
            LABELS[category], words.seconds(value), words.share(value, elapsed_s), _Bar(value / longest)
        )
    table.add_section()
    table.add_row("simulated time", words.seconds(elapsed_s), "", "", style="bold")
    return table


def _device_table(summary: Mapping[str, Any]) -> Table:
    """Shares in per cent of the simulated time, one row per kind of device."""
    table = titled_table("Where the time went by device (% of simulated time)", "device")
    for category in CATEGORIES:
        table.add_column(LABELS[category].replace(" ", "\n"), justify="right", vertical="bottom")
    elapsed_s = summary["simulated_time_s"]
    for device, went in summary["where_time_went_by_device_s"].items():
        shares = [words.share(went[category], elapsed_s).removesuffix(" %") for category in CATEGORIES]
        table.add_row(f"{summary['clients_by_device'][device]} x {device}", *shares)
    return table


def _likely_table(summary: Mapping[str, Any]) -> Table:
    """Time, energy and times to targets, each with its interval over the draws."""
    drawn = summary["uncertainty"]
    table = titled_table(
        f"How sure that is ({drawn['draws']} draws)",
        "",
        "told",
        "median",
        words.share(drawn["level"], 1.0) + " of draws",
    )
    energy_j = summary["energy_j"]["total"]
    rows = [
        (
            "simulated time",
            words.seconds(summary["simulated_time_s"]),
            drawn["simulated_time_s"],
            words.seconds,
        ),
        ("energy", words.energy(energy_j), drawn["energy_j"], words.energy),
    ]
    for target, interval in drawn["time_to_accuracy_s"].items():
        if reached := crossing_of(summary, target):
            name = f"time to {words.accuracy(float(target))}"
            rows.append((name, reached.words(words.seconds), interval, words.seconds))
    for name, told, interval, say in rows:
        table.add_row(name, told, say(interval["median"]), words.between(interval, say))
    return table


def likely_lines(drawn: Mapping[str, Any]) -> list[str]:
    """What the spread of the time comes from, and what else there is to know of the draws; `drawn` is the entry
    `uncertainty` of a summary.
    """
    causes = [
        f"{words.share(found['share'], 1.0)} {cause} ({found['rests_on']})"
        for cause, found in list(drawn["spread_of_time"].items())[:3]
    ]
    lines = [f"The spread of the time comes from: {', '.join(causes)}."] if causes else []
    return lines + [f"{note[:1].upper()}{note[1:]}." for note in drawn["notes"]]


def _facts(summary: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for target in () if summary["dry"] else summary["time_to_accuracy_s"]:
        reached = crossing_of(summary, target)
        text = reached.words(words.seconds) if reached is not None else "not reached"
        table.add_row(f"time to {words.accuracy(float(target))}", f"{text} ({summary['target_view']} view)")
    up, down = summary["bytes_up"], summary["bytes_down"]
    between = summary.get("bytes_between")
    more = f", {words.size(between)} between servers and stations" if between else ""
    table.add_row("bytes", f"{words.size(up)} up, {words.size(down)} down{more}")
    energy = summary["energy_j"]
    table.add_row(
        "energy",
        f"{words.energy(energy['clients'])} clients, {words.energy(energy['server'])} server, "
        f"{words.energy(energy['total'])} in all",
    )
    for name, told in (*_privacy(summary), *_hazards(summary)):
        table.add_row(name, told)
    if summary["memory"]:
        table.add_row("memory", ", ".join(_memory(summary["memory"])))
    table.add_row("epochs", words.number(summary["epochs"]))
    if summary.get("computed_on"):
        table.add_row("computed on", words.computed_on(summary["computed_on"]))
    table.add_row("wall time", words.seconds(summary["wall_time_s"]))
    table.add_row(
        "hashes", f"timeline {summary['timeline_sha256'][:12]}, learning {summary['learning_sha256'][:12]}"
    )
    return table


def _privacy(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What noise on messages gives."""
    for way, told in (summary.get("privacy") or {}).items():
        if told["epsilon"] is None:
            yield f"privacy, {way}", f"no epsilon: {told.get('why_not', 'it is infinite')}"
            continue
        one, all_of_them = words.number(told["epsilon_of_one_row"]), words.number(told["epsilon"])
        rows = f"{told['rows_of_one_sample']} rows of one sample"
        yield f"privacy, {way}", f"epsilon {all_of_them} for {rows}, {one} for one (delta {told['delta']:g})"


def _hazards(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What there is to say of work in vain, absence and staleness."""
    vain = summary.get("wasted") or {}
    if vain.get("spans"):
        used = (
            (words.seconds(vain["time_s"]), vain["share_of_time"]),
            (words.size(vain["bytes"]), vain["share_of_bytes"]),
            (words.energy(vain["energy_j"]), vain["share_of_energy"]),
        )
        told = ", ".join(f"{amount} ({words.share(share, 1.0)})" for amount, share in used)
        yield "in vain", f"{told} of all work"
    if away := summary.get("away_s"):
        mean, longest = words.seconds(away["mean"]), words.seconds(away["max"])
        yield "away", f"{mean} (mean of clients), {longest} (longest), within waiting"
    if attendance := summary.get("attendance"):
        yield "attendance", ", ".join(f"{n} {what}" for what, n in attendance.items())
    if rounds := summary.get("participation"):
        least, mean, most = (words.share(rounds[name], 1.0) for name in ("min", "mean", "max"))
        yield "took part in", f"{mean} of the rounds (mean of clients; {least} .. {most})"
    if summary.get("mean_staleness") is not None:
        yield "staleness", f"{summary['mean_staleness']:.2f} (mean), {summary['max_staleness']} (most)"
    if fair := often_and_seldom(summary):
        yield "fairness", f"{fair} (accuracy of those often / seldom away, {summary['fairness']['view']})"


def _memory(memory: Mapping[str, float]) -> list[str]:
    """`client 1.2 MB of 2.0 GB` from `client_bytes` and `client_ram_bytes`."""
    sides = [key.removesuffix("_ram_bytes") for key in memory if key.endswith("_ram_bytes")]
    return [
        f"{s} {words.size(memory[f'{s}_bytes'])} of {words.size(memory[f'{s}_ram_bytes'])}" for s in sides
    ]


@dataclass(frozen=True, slots=True)
class _Bar:
    """A horizontal bar; of plain signs where the output cannot show others."""

    share: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sign = "#" if options.ascii_only else "━"
        yield Text(sign * round(_BAR_WIDTH * self.share), "cyan")


def titled_table(title: str | None, *columns: str) -> Table:
    """An empty table for a terminal; names stand at the left, numbers at the right."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    return table
