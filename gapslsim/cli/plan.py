"""`gapslsim plan`: chooses cut, batch sizes, devices, shares of a link; tells how sure the choice is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gapslsim.cli.json_output import print_json
from gapslsim.cli.say import say
from gapslsim.csv_text import csv_of
from gapslsim.results import words
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.planning.plan import Planned

__all__ = ["plan_command"]


def plan_command(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or a shipped one's name.")
    ],
    choose: Annotated[
        list[str] | None,
        typer.Option(
            "--choose",
            metavar="PATH=VALUES",
            help="What may be chosen, e.g. model.cut=1,2,3 or clients.each.training.batch_size=8,16; repeatable.",
        ),
    ] = None,
    goal: Annotated[
        str | None,
        typer.Option(
            metavar="GOAL",
            help="round_time, time_per_sample, energy, energy_per_sample, bytes, or weights: round_time=1,energy=0.1.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            metavar="NAME=VALUE",
            help="round_time, energy, bytes, client_memory or server_memory of a round, with unit; repeatable.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a setting first; repeatable."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Rounds timed of each combination.")
    ] = None,
    most: Annotated[int, typer.Option(min=2, max=10**7, help="Combinations that are timed at most.")] = 2000,
    train: Annotated[
        int, typer.Option(min=0, max=10**4, metavar="N", help="Train the N best and show accuracy.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the scenario with the best choices.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw time against energy (png, svg, pdf).")] = None,
    table: Annotated[Path | None, typer.Option(help="Write everything that was timed as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    show: Annotated[
        int, typer.Option(min=1, max=10**6, metavar="N", help="Rows of the table that are printed.")
    ] = 10,
) -> None:
    """Choose settings for a goal: every combination is timed by the simulator, without tensors."""
    from gapslsim.planning.plan import plan, values_of
    from gapslsim.results.outputs import write_output

    found = plan(
        scenario, choose=dict(map(values_of, choose)) if choose else None, goal=_goal(goal),
        limits=dict(map(_pair, limit)) if limit else None, rounds=rounds, set=overrides or (), most=most, train=train,
    )  # fmt: skip
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found, show)
    if table is not None:
        write_output(table, csv_of(found.table))
    if plot is not None:
        from gapslsim.results.drawing.matplotlib_printer import save

        save(found.drawing(), plot)
    if out is not None:
        found.write(out)
    for file in (table, plot, out):
        if file is not None:
            say(f"Written to {file}", err=as_json)
    if found.scenario is None:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"found {text!r}; write name=value, for instance round_time=2 s or energy=1")
    return name.strip(), value.strip()


def _goal(text: str | None) -> str | dict[str, float] | None:
    if text is None or "=" not in text:
        return text
    try:
        return {name: float(value) for name, value in map(_pair, text.split(","))}
    except ValueError as error:
        raise typer.BadParameter(
            f"found {text!r}; write weights as numbers, round_time=1,energy=0.1"
        ) from error


def _print(found: Planned, show: int) -> None:
    from gapslsim.results.tables import titled_table

    columns = ["round", "per sample", "energy", "bytes", "memory"]
    trained = [name for name in found.table.columns if name.startswith("accuracy ")]
    table = titled_table(f"Plan for {found.label}", "choices", *columns, *trained)
    rows = found.table.head(show).to_dict("records")
    for row in rows:
        table.add_row(
            row["choices"].replace(", ", "\n"), *_figures(row), *(words.accuracy(row[n]) for n in trained)
        )
    console = Terminal()
    console.print(table)
    for sentence in found.sentences:
        console.print(sentence)


def _figures(row: dict[str, Any]) -> list[str]:
    if row["wrong"]:
        return [str(row["wrong"])[:60], "", "", "", ""]
    return [
        words.seconds(row["round_time_s"]), words.seconds(row["time_per_sample_s"]), words.energy(row["energy_j"]),
        words.size(row["size_bytes"]), words.size(row["client_memory_bytes"]),
    ]  # fmt: skip
