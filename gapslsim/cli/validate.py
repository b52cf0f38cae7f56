"""`gapslsim validate`: every problem of a scenario at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

__all__ = ["validate"]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapslsim.scenario.schema import Scenario

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override one value, for instance framework.eta=0.3."),
]


def validate(
    scenario: Annotated[str, typer.Argument(help="Scenario file, or the name of a shipped scenario.")],
    set: SetOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check the settings alone, without data and model.")
    ] = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the scenario with all defaults filled in.")
    ] = False,
) -> None:
    """Checks a scenario; exit code 2 if anything is wrong."""
    from gapslsim.scenario.dumping import dump
    from gapslsim.scenario.loading import load

    loaded = load(scenario, set=set or (), deep=not quick, inputs=not quick)
    if resolved:
        typer.echo(dump(loaded), nl=False)
    else:
        typer.echo(f"{scenario}: no problems ({loaded.n_clients} clients, seed {loaded.seed}).")
        for note in [] if quick else [*loaded.network.notes(loaded.fleet), *_notes_on_device(loaded)]:
            typer.echo(f"Note: {note}.")
        for name in loaded.components or ():
            typer.echo(
                f"Whether what it registers keeps its promises is another question: gapslsim check-component {name}"
            )


def _notes_on_device(scenario: Scenario) -> Iterator[str]:
    """Where tensors would be here. No problem of the scenario's, which may be meant for another machine."""
    from gapslsim.errors import ScenarioError
    from gapslsim.torch_device import check_precision, choose_device

    training = scenario.training
    try:
        device = choose_device(training.device)
        check_precision(training.precision, device)
    except ScenarioError as error:
        yield f"it would not run here: {error}"
    else:
        yield f"tensors would be computed on {device} here (training.device: {training.device})"
