"""Where each client's network is cut: at the model's cut, or at that of its group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from gapslsim.models.model import Model
from gapslsim.models.segments import Segments, two_parts
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData

__all__ = ["check_cuts", "cut_model", "nothing_to_compare", "refusals"]


def cut_model(
    scenario: Scenario, input_shape: tuple[int, ...], n_classes: int
) -> tuple[Model, Segments | None]:
    """The model as all clients cut it; and where they are cut unlike, the path of each.

    Args:
        scenario: whose model and client groups.
        input_shape: of one input.
        n_classes: outputs.

    Raises:
        ValueError: if the model has no such cut.
    """
    model, groups = scenario.model, scenario.clients
    if all(group.cut is None for group in groups):
        return model, None
    usual = model.cut_index(input_shape, n_classes)
    cuts = [_index(model, group.cut, input_shape, n_classes) for group in groups]
    if len(set(cuts)) > 1:
        from gapslsim.models.split import block_names

        n_blocks = len(block_names(model, tuple(input_shape), n_classes))
        of_clients = [cut for cut, group in zip(cuts, groups, strict=True) for _ in range(group.count)]
        return model, two_parts(of_clients, n_blocks)
    return (model if cuts[0] == usual else _moved(model, groups[0].cut)), None


def check_cuts(scenario: Scenario, loaded: LoadedData, batch_size: int) -> list[tuple[Path, str]]:
    """Cuts of groups that the model has not, and what needs one cut for all; on shapes alone.

    Args:
        scenario: whose model is sound.
        loaded: its data.
        batch_size: samples of a mini-batch.
    """
    from gapslsim.models.cost import split_cost

    model, shape, n_classes = scenario.model, loaded.input_shape, loaded.n_classes
    found: list[tuple[Path, str]] = []
    for place, group in enumerate(scenario.clients):
        if group.cut is not None:
            try:
                moved = _moved(model, group.cut)
                moved.cut_index(shape, n_classes)
                split_cost(moved, shape, n_classes, batch_size, loaded.input_dtype)
            # A model of the user's own may raise anything.
            except Exception as error:
                found.append((("clients", place, "cut"), str(error) or type(error).__name__))
    return found or refusals(scenario, cut_model(scenario, shape, n_classes)[1])


def refusals(scenario: Scenario, segments: Segments | None) -> list[tuple[Path, str]]:
    """Why clients cannot be cut unlike.

    Args:
        scenario: whose framework.
        segments: who owns which blocks; None where all are cut alike.
    """
    why = "" if segments is None else scenario.framework.one_cut_because
    place = next((i for i, group in enumerate(scenario.clients) if group.cut is not None), 0)
    fix = "give all client groups one cut"
    return [(("clients", place, "cut"), f"in {scenario.framework.kind} {why}; {fix}.")] if why else []


def nothing_to_compare(kind: str) -> str:
    """Why a framework that aligns gradients cannot train this model."""
    return (
        f"{kind} compares the clients' gradients of the server side, where all weights are frozen; unfreeze some, cut "
        "the model earlier (or the client groups that cut it last), or take psl."
    )


def _index(model: Model, cut: int | str | None, input_shape: tuple[int, ...], n_classes: int) -> int:
    return (model if cut is None else _moved(model, cut)).cut_index(input_shape, n_classes)


def _moved(model: Any, cut: int | str | None) -> Model:
    return cast("Model", replace(model, cut=cut))
