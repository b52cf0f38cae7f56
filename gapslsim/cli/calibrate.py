"""`gapslsim calibrate`: from a measurement table to a hardware profile, or the errors of a profile on a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapslsim.regular_files import is_file
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.calibration.table import MeasurementTable
    from gapslsim.hardware.profile import HeldOutError

__all__ = ["calibrate_command"]


def calibrate_command(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Measurements: a .csv or .parquet file.")],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", "--output", help="Profile to write (.yaml).")
    ] = None,
    model: Annotated[
        str, typer.Option(help="auto (by cross-validation), linear, roofline or lookup.")
    ] = "auto",
    device: Annotated[str | None, typer.Option(help="Rows of this device, if the table has several.")] = None,
    runtime: Annotated[str | None, typer.Option(help="Rows of this runtime.")] = None,
    power_mode: Annotated[
        str | None,
        typer.Option(
            help="Rows of this power mode; all unless given: one profile, the fastest with the others as modes."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Rows with this number of threads.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Rows of this kind of layer alone.")] = None,
    drop_bad: Annotated[
        bool, typer.Option("--drop-bad", help="Leave bad rows out; they are listed.")
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="Another table: errors of the new profile on its rows."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Fit nothing: errors of this profile (a YAML file or a shipped name, @MODE) on TABLE."
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Device whose memory and power stand in where the table has none.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="TABLE is a public data set's file: flash, ncnn or nasbench.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Fit on a part and check on the rest: random_1pct, extrapolate_sizes, 100_archs, leave_one_out."
        ),
    ] = None,
    picture: Annotated[Path | None, typer.Option("--plot", help="Predicted against measured (.png).")] = None,
) -> None:
    """Fits the cost models to measurements, chooses one, says how wrong it is, and writes a profile."""
    from gapslsim.calibration import calibrate as flow
    from gapslsim.calibration.links import link_of, link_section
    from gapslsim.calibration.modes import calibrate_modes
    from gapslsim.calibration.public_tables import convert
    from gapslsim.calibration.report import error_table, headline, plot, report
    from gapslsim.calibration.samples import select_rows
    from gapslsim.calibration.splits import run_split
    from gapslsim.calibration.table import check_table, read_table
    from gapslsim.hardware.devices import load_device, load_profile
    from gapslsim.hardware.profile_file import write_profile
    from gapslsim.results.outputs import write_output

    if output is not None and (output.suffix not in (".yaml", ".yml") or not output.parent.is_dir()):
        why = (
            "end it in .yaml"
            if output.parent.is_dir()
            else f"there is no folder {output.parent}; make it first"
        )
        raise typer.BadParameter(f"--out: {output} cannot be a profile: {why}.")
    if output is not None:
        _check_replaces(output)
    console = Terminal()

    def rows_of(path: Path, mode: str | None = power_mode, several: bool = False) -> MeasurementTable:
        if source is None:
            named = {"device": device, "runtime": runtime, "power_mode": mode, "threads": threads}
            read = read_table(path, drop_bad, {key: one for key, one in named.items() if one is not None})
        else:
            raw = convert(source, path)
            for column, value in (("device", device), ("runtime", runtime), ("kind", kind)):
                raw = raw if value is None or value not in set(raw[column]) else raw[raw[column] == value]
            read = check_table(raw.reset_index(drop=True), str(path), drop_bad)
        for problem in read.dropped:
            console.print(f"left out: {problem}")
        return select_rows(read, device, runtime, mode, threads, kind, several)

    def told(errors: tuple[HeldOutError, ...]) -> None:
        console.print(headline(errors), soft_wrap=True)
        console.print(error_table(errors))

    rows = rows_of(table, several=profile is None and split is None)
    base = None if like is None else load_profile(like)
    if profile is not None or split is not None:
        if profile is not None:
            checked = load_device(profile)
            samples, predicted, errors = flow.check(checked.cost_model, rows)
            title = f"{checked.name} on {table.name}"
        else:
            done = run_split(str(split), rows, model)
            samples, predicted, errors = done.samples, done.predicted, done.errors
            title = f"{table.name}, {split}"
        told(errors)
        if picture is not None:
            plot(samples, predicted, title, picture)
        return
    links = link_of(rows)
    if rows.compute.empty and links:
        console.print(*map(str, links), link_section(links), sep="\n")
        if output is not None:
            write_output(output, link_section(links) + "\n")
            console.print(f"Written to {output}: a line for a client group of a scenario.")
        return
    done_modes = calibrate_modes(rows, model, output.stem if output is not None else None, base)
    made = done_modes.base
    console.print(report(made, links))
    for name, variant in done_modes.variants.items():
        console.print(f"\nPower mode {made.profile.name}@{name}:")
        console.print(report(variant))
    if check is not None:
        errors = flow.check(made.profile.cost_model, rows_of(check, done_modes.own or None))[2]
        told(errors)
        made = made.with_errors(errors)
    if output is not None:
        write_profile(made.profile, output)
        # A profile's name has no capitals, spaces or underscores, which a file may have.
        called = "" if made.profile.name == output.stem else f" (named {made.profile.name})"
        console.print(f"Profile written to {output}{called}; a scenario takes it as its device's path.")
        for name in done_modes.variants:
            console.print(f"Its mode: {output}@{name}")
    if picture is not None:
        plot(made.samples, made.predicted, made.profile.name, picture)


def _check_replaces(path: Path) -> None:
    """Says before the work that a file is there which is no profile."""
    from gapslsim.hardware.profile_file import ProfileError, read_profile
    from gapslsim.results.outputs import check_replaces

    try:
        if is_file(path):
            read_profile(path)
    except ProfileError:
        check_replaces(path, "link: {uplink: ")
