"""`gapslsim validate`: every problem of a scenario at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gapslsim.cli.json_output import JsonOption, print_json
from gapslsim.cli.say import say

__all__ = ["validate"]

_MOST_FORECAST: Final = 100_000
"""Clients whose passes are made one by one to count their tensors: some seconds."""

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
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="MEMORY", help="Forecast memory for a GPU of this size, e.g. 80GB."),
    ] = None,
    as_json: JsonOption = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the scenario with all defaults filled in.")
    ] = False,
) -> None:
    """Checks a scenario; exit code 2 if anything is wrong."""
    from gapslsim.errors import ScenarioError
    from gapslsim.scenario.dumping import dump, to_dict
    from gapslsim.scenario.loading import load
    from gapslsim.scenario.resets import resets

    try:
        loaded = load(scenario, set=set or (), deep=not quick, inputs=not quick)
        if loaded.plan is not None:
            _check_plan(scenario, set or (), loaded)
    except ScenarioError as error:
        if not as_json:
            raise
        print_json({"scenario": scenario, "problems": [asdict(problem) for problem in error.problems]})
        raise typer.Exit(error.exit_code) from error
    reset = list(resets(scenario, set or (), loaded))
    if as_json:
        notes = [] if quick else [*loaded.network.notes(loaded.checked_fleet), *_notes_on_device(loaded, gpu)]
        about = {"n_clients": loaded.n_clients, "seed": loaded.seed, "notes": [*reset, *notes]}
        print_json({"scenario": scenario, "problems": [], **about, "resolved": to_dict(loaded)})
    elif resolved:
        say(dump(loaded), nl=False)
    else:
        say(f"{scenario}: no problems ({loaded.n_clients} clients, seed {loaded.seed}).")
        for note in (
            reset
            if quick
            else [*reset, *loaded.network.notes(loaded.checked_fleet), *_notes_on_device(loaded, gpu)]
        ):
            say(f"Note: {note}.")
        for name in loaded.components or ():
            say(
                f"Whether what it registers keeps its promises is another question: gapslsim check-component {name}"
            )


def _check_plan(name: str, changes: list[str] | tuple[()], scenario: Scenario) -> None:
    """Every value that may be chosen must be one that the scenario takes."""
    from gapslsim.planning.choices import problems_of
    from gapslsim.scenario.loading import read
    from gapslsim.scenario.problems import raise_if_any

    raise_if_any(problems_of(read(name, set=changes), scenario))


def _notes_on_device(scenario: Scenario, gpu: str | None) -> Iterator[str]:
    """Where tensors would be here, and in what memory. No problem of the scenario's: it may be meant for elsewhere."""
    from gapslsim.cache import remembered
    from gapslsim.errors import ScenarioError
    from gapslsim.registry import is_shipped
    from gapslsim.scenario.dumping import dump
    from gapslsim.torch_device import check_compiling, check_precision, choose_device, has_driver, named

    training, gpu_bytes = scenario.training, None if gpu is None else _bytes(gpu)
    # Where there is no GPU, torch is not imported to be told so.
    plain = not has_driver() and training.device in ("auto", "cpu") and training.precision != "tf32"
    plain = plain and training.compile == "none"
    device: Any = "cpu"
    try:
        if not plain:
            device = choose_device(training.device)
            check_precision(training.precision, device)
            check_compiling(training.compile, device)
    except ScenarioError as error:
        yield f"it would not run here: {error}"
        if gpu is None:
            return
    else:
        place = device if plain else named(device)
        yield f"tensors would be computed on {place} here (training.device: {training.device})"
    shipped = not scenario.components and is_shipped(scenario.model)
    if shipped and (plain or gpu is not None):
        about = ["memory", dump(scenario), gpu_bytes]
        memory = remembered(about, lambda: _memory(scenario, gpu_bytes), ("models", "learning"))
    else:
        memory = _memory(scenario, gpu_bytes)
    yield memory if gpu is None else f"on a GPU of {gpu}: {memory}"


def _memory(scenario: Scenario, gpu_bytes: float | None) -> str:
    from gapslsim.assembly import memory_forecast
    from gapslsim.device_memory import described
    from gapslsim.errors import MemoryShortError

    if scenario.n_clients > _MOST_FORECAST:
        return f"the memory of training is forecast for up to {_MOST_FORECAST:,} clients"
    try:
        return described(memory_forecast(scenario, gpu_bytes)).removesuffix(".")
    except MemoryShortError as error:
        return f"it would not run {'here' if gpu_bytes is None else 'there'}: {str(error).removesuffix('.')}"


def _bytes(text: str) -> float:
    from gapslsim.units import parse_quantity

    try:
        return parse_quantity(text, "B")
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--gpu") from None
