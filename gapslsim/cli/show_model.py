"""`gapslsim show model`: where a network can be cut, and what each cut sends, keeps and costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from gapslsim.documents import DocumentError, yaml_data
from gapslsim.errors import ComponentError, GapslsimError
from gapslsim.models.model import Model, models
from gapslsim.terminal import Terminal
from gapslsim.units import STRICT_UNITS

if TYPE_CHECKING:
    from gapslsim.models.cost import SplitCost
    from gapslsim.scenario.schema import Scenario

__all__ = ["show_cuts"]

_TITLES = (
    "cut", "after", "smashed", "bytes", "client parameters", "client MFLOP", "server parameters", "server MFLOP",
)  # fmt: skip


def show_cuts(name: str, console: Terminal, input_shape: str, n_classes: int) -> None:
    """Lists the cuts of a model, per sample: forward and backward FLOP, smashed data, parameters (trained of all).

    Args:
        name: settings as in a scenario (`{kind: cnn, channels: [8, 16]}`), the name of a network of torchvision, or a
            scenario, whose data then say shape and classes.
        console: where it is printed.
        input_shape: as in `3x32x32`.
        n_classes: of the data.

    Raises:
        GapslsimError: in words, if there is no such model or it does not fit.
    """
    model, shape, classes, dtype, scenario = _read(name, input_shape, n_classes)
    table = Table(show_edge=False, pad_edge=False)
    for title in _TITLES:
        table.add_column(title, justify="left" if title in ("after", "smashed") else "right", overflow="fold")
    try:
        rows = list(_rows(model, shape, classes, dtype))
    except (ValueError, TypeError) as error:
        raise ComponentError(f"{error} See --input and --classes.") from error
    console.print(name, style="bold", end="\n\n")
    console.print(
        f"Inputs {'x'.join(map(str, shape))}, {classes} classes; per sample, batch of 2, 4 bytes per number.\n"
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for line in () if scenario is None else _owners(scenario, shape, classes):
        console.print(line)


def _owners(scenario: Scenario, shape: tuple[int, ...], n_classes: int) -> list[str]:
    """Who owns which blocks, by path; nothing where the table says it."""
    from gapslsim.models.split import block_names
    from gapslsim.scenario.cutting import cut_model

    model, segments = cut_model(scenario, shape, n_classes)
    if segments is None:
        return []
    names, found = block_names(model, shape, n_classes), []
    for path in dict.fromkeys(segments.paths):
        clients = [str(client) for client, own in enumerate(segments.paths) if own == path]
        some = ", ".join(clients[:8]) + (", ..." if len(clients) > 8 else "")
        told = " | ".join(f"{part.owner}: {', '.join(names[part.first : part.last])}" for part in path)
        found.append(f"\nClients {some}: {told}")
    return found


def _read(
    name: str, input_shape: str, n_classes: int
) -> tuple[Model, tuple[int, ...], int, str, Scenario | None]:
    try:
        settings = yaml_data(name)
    except DocumentError as error:
        raise ComponentError(f"{name!r} is no model; write {{kind: cnn, cut: 1}}.") from error
    if isinstance(settings, dict):
        return *_model(settings, input_shape), n_classes, "", None
    from gapslsim.scenario.shipped import shipped_scenarios

    if Path(name).suffix in (".yaml", ".yml") or name in shipped_scenarios():
        from gapslsim.data.source import public_data_folder
        from gapslsim.scenario.loading import load

        scenario = load(name)
        data = scenario.data.load(public_data_folder(), scenario.seed)
        return scenario.model, data.input_shape, data.n_classes, data.input_dtype, scenario
    return *_model({"kind": "torchvision", "arch": name}, input_shape), n_classes, "", None


def _model(settings: dict[str, Any], input_shape: str) -> tuple[Model, tuple[int, ...]]:
    reader: TypeAdapter[Model] = TypeAdapter(Annotated[Any, models])
    try:
        model = reader.validate_python(settings, context=STRICT_UNITS)
        shape = tuple(int(side) for side in input_shape.split("x"))
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        raise ComponentError(f"This is no model. {lines}") from error
    except ValueError as error:
        raise ComponentError(f"--input {input_shape} is no shape; write it as in 3x32x32.") from error
    return model, shape


def _rows(model: Any, shape: tuple[int, ...], n_classes: int, dtype: str) -> list[tuple[str, ...]]:
    from gapslsim.models.cost import split_cost
    from gapslsim.models.split import block_names

    names, found, last = block_names(model, shape, n_classes), [], ""
    for cut in range(1, len(names)):
        moved = replace(model, cut=cut)
        try:
            place = moved.cut_index(shape, n_classes)
        except (GapslsimError, ValueError) as error:
            last = str(error)
            break
        try:
            cost = split_cost(moved, shape, n_classes, 2, dtype or None)
        except ValueError as error:
            if "one tensor is sent" not in str(error):
                raise
            found.append((str(cut), names[place - 1], "no single tensor", *[""] * 5))
            continue
        found.append((str(cut), names[place - 1], *_figures(cost)))
    if not found:
        raise ValueError(last)
    return found


def _figures(cost: SplitCost) -> tuple[str, ...]:
    cells = ["x".join(map(str, cost.smashed_shape)), f"{cost.client.output_bytes // 2:,}"]
    for side in (cost.client, cost.server):
        frozen = side.n_parameters - side.n_trained
        cells.append(f"{side.n_trained:,} of {side.n_parameters:,}" if frozen else f"{side.n_parameters:,}")
        cells.append(f"{side.forward.work_flop / 2e6:,.2f} + {side.backward.work_flop / 2e6:,.2f}")
    return tuple(cells)
