"""Who owns which blocks in a scenario, and what keeps its shape from being trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from gapslsim.data.dataset import LoadedData
from gapslsim.errors import GapslsimError
from gapslsim.frameworks.client_sync import ClientSync
from gapslsim.models.segments import Segments
from gapslsim.scenario.problems import pointed_at
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.shape import Cuts
from gapslsim.scenario.tree import Path

__all__ = ["check_cuts", "check_shape", "segments_of"]


def segments_of(scenario: Scenario, input_shape: tuple[int, ...], n_classes: int) -> Segments | None:
    """The path of each client; None for client and server with one cut.

    Args:
        scenario: whose model, shape and clients.
        input_shape: of one input.
        n_classes: outputs.

    Raises:
        ValueError: if the model has no such cut, or somebody would have no block.
    """
    if scenario.shape.is_split:
        return None
    from gapslsim.models.split import block_names

    model: Any = scenario.model

    def at(cut: int | str) -> int:
        return cast("int", replace(model, cut=cut).cut_index(input_shape, n_classes))

    first = model.cut_index(input_shape, n_classes)
    groups = [group for group in scenario.clients for _ in range(group.count)]
    places = [group.access_point for group in groups]
    n_blocks = len(block_names(model, tuple(input_shape), n_classes))
    return scenario.shape.segments(Cuts([first] * len(groups), n_blocks, at, places))


def check_cuts(scenario: Scenario, loaded: LoadedData, batch_size: int) -> list[tuple[Path, str]]:
    """Cuts that the model does not have, or where no single tensor passes, beyond the first one; on shapes alone."""
    from gapslsim.models.cost import chain_cost

    about = (loaded.input_shape, loaded.n_classes)
    try:
        segments = segments_of(scenario, *about)
        if segments is not None:
            chain_cost(scenario.model, *about, batch_size, segments.bounds[1:-1], loaded.input_dtype)
    except (GapslsimError, ValueError) as error:
        return [(("shape", *pointed_at(type(scenario.shape), str(error))), str(error))]
    return []


def check_shape(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """What does not go with more than two parts, as far as settings tell."""
    shape: Any = scenario.shape
    sync: ClientSync | None = getattr(scenario.framework, "client_sync", None)
    if sync is not None and sync.needs_stations and not shape.stations():
        rule = "averages at machines between clients and server, and there are none"
        yield ("framework", "client_sync"), f"{rule}; write shape: tiers, or client_sync: average."
    if shape.is_split:
        return
    if why := scenario.framework.two_parts_because:
        fix = "write shape: split, or another framework: psl, sfl, gapsl, sl"
        yield ("framework",), f"{scenario.framework.kind} cannot train in shape {shape.kind!r}: {why}; {fix}."
    if scenario.codec is not None:
        yield (
            ("codec",),
            "codecs are for client and server with one cut between; leave it out, or write shape: split.",
        )
    for place, fault in enumerate(scenario.faults):
        if fault.does("server_crashes"):
            rule = "the server falls back to earlier weights, and the other machines of its shape do not"
            yield ("faults", place), f"{rule}; leave the crash out, or write shape: split."
