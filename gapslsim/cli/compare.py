"""`gapslsim compare`: several run directories side by side, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gapslsim.cli.json_output import JsonOption, print_json
from gapslsim.cli.say import say
from gapslsim.errors import ResultsError
from gapslsim.terminal import Terminal

if TYPE_CHECKING:
    from gapslsim.results.compare import Comparison
    from gapslsim.results.results import Results

__all__ = ["compare_command"]


def compare_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_STUDY...", help="Directories of runs or studies."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the table: Markdown, or LaTeX as FILE.tex.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw accuracy and where the time went (png, svg, pdf).")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=20,
            max=100_000,
            help="Time every run N times within what its devices leave open, paired; say which orders are decided.",
        ),
    ] = None,
    decided: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=1,
            help="Share of the draws from which an order is decided [default: as the runs say].",
        ),
    ] = None,
    against: Annotated[
        str,
        typer.Option(metavar="SERIES", help="Compare all others with this one over seeds; else the best is."),
    ] = "",
    pairs: Annotated[
        Literal["few", "all"],
        typer.Option(help="Which pairs of series are told where there are many: few, or all."),
    ] = "few",
    as_json: JsonOption = False,
    geometry: Annotated[
        bool,
        typer.Option(
            "--geometry", help="Compare how gradients lie to one another and to the update instead."
        ),
    ] = False,
) -> None:
    """Compare runs or studies: accuracy, times, bytes, energy, and which differences are real; or gradient geometry."""
    from gapslsim.results.compare import compare, labels_of
    from gapslsim.results.crossing import at_one_evaluation
    from gapslsim.results.outputs import write_output
    from gapslsim.results.rankings import rankings
    from gapslsim.results.report.answers import answers, basis
    from gapslsim.results.report.data import gather
    from gapslsim.results.report.study_table import difference_lines, study_table
    from gapslsim.results.store import StoredRun
    from gapslsim.results.study import is_study

    ranked: list[str] = []
    # A file and a program have room for all.
    every = pairs == "all" or as_json or out is not None
    if geometry:
        table = full = _geometry(runs)
    elif any(map(is_study, runs)):
        if draws is not None or plot is not None:
            raise typer.BadParameter(
                "--draws and --plot take runs; for a study write 'set: {uncertainty: {draws: 200}}' into its file, or "
                "draw it with 'gapslsim figure' or 'gapslsim report'"
            )
        found = gather(runs)
        full = study_table(found)
        table = full.brief()
        ranked = [found.question, *answers(found), basis(found), *difference_lines(found, against, every)]
    else:
        stored = [StoredRun(run) for run in runs]
        summaries, scenarios = [run.summary for run in stored], [run.scenario_yaml for run in stored]
        if draws is not None or any(summary.get("uncertainty") for summary in summaries):
            drawn = [_drawn(run.results(), draws) for run in stored]
            summaries = [run.summary for run in drawn]
            ranked = [str(order) for order in rankings(drawn, decided)]
        told = map(at_one_evaluation, summaries)
        ranked += [
            f"{label}: {one}" for label, one in zip(labels_of(summaries, scenarios), told, strict=True) if one
        ]
        ranked += difference_lines(gather(runs), against, every)
        table = compare(summaries, scenarios=scenarios)
        full = compare(summaries, spread=True, scenarios=scenarios)
    ranked = [line for line in ranked if line]
    if as_json:
        rows = [dict(zip(full.columns, row, strict=True)) for row in full.rows]
        print_json({"rows": rows, "remarks": ranked})
    else:
        console = Terminal()
        console.print(table.table(console.width))
        say("".join(f"{line}\n" for line in ranked), nl=False)
    if out is not None:
        said = "".join(f"\n- {line}" for line in ranked) + ("\n" if ranked else "")
        write_output(out, table.latex() if out.suffix == ".tex" else full.markdown() + said)
        say(f"Table written to {out}", err=as_json)
    if plot is not None:
        from gapslsim.results.drawing.matplotlib_printer import save
        from gapslsim.results.figures.comparison import comparison

        save(comparison([StoredRun(run).results() for run in runs]), plot)
        say(f"Plot written to {plot}", err=as_json)


def _drawn(run: Results, draws: int | None) -> Results:
    """The run with so many draws, or with those that it has."""
    if draws is None or (run.summary.get("uncertainty") or {}).get("draws") == draws:
        return run
    from gapslsim.uncertainty.draws import with_draws

    return with_draws(run, draws)


def _geometry(paths: list[Path]) -> Comparison:
    """Means over the measured rounds and over seeds, a row per rule.

    Raises:
        ResultsError: if no run measured it.
    """
    from gapslsim.results.report.data import gather
    from gapslsim.results.report.geometry import geometry_table

    runs = gather(paths)
    table = geometry_table(runs.groups, runs.view)
    if table is None:
        raise ResultsError(
            "none of these runs measured the geometry of gradients; run them with "
            "'--set \"evaluation.geometry=10 rounds\"'"
        )
    return table
