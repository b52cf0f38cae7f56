"""Who owns which blocks in a scenario, and what keeps its shape and its cuts from being trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from gapslsim.errors import GapslsimError
from gapslsim.frameworks.client_sync import ClientSync
from gapslsim.models.model import Model
from gapslsim.models.segments import OF_SERVER, Segments, two_parts
from gapslsim.scenario.keeping import keeping_refusals
from gapslsim.scenario.problems import pointed_at
from gapslsim.scenario.schema import Scenario
from gapslsim.scenario.shape import Cuts
from gapslsim.scenario.tree import Path

if TYPE_CHECKING:
    from gapslsim.data.dataset import LoadedData

__all__ = ["check_cuts", "check_shape", "cut_model", "fails_alone", "nothing_to_compare", "refusals"]


def cut_model(
    scenario: Scenario, input_shape: tuple[int, ...], n_classes: int
) -> tuple[Model, Segments | None]:
    """The model as its clients cut it, and the path of each; None for client and server with one cut.

    Args:
        scenario: whose model, shape and clients.
        input_shape: of one input.
        n_classes: outputs.

    Raises:
        ValueError: if the model has no such cut, or somebody would have no block.
    """
    model: Any = scenario.model
    groups = scenario.clients
    if scenario.shape.is_split and all(group.cut is None for group in groups):
        return model, None

    def at(cut: int | str) -> int:
        return cast("int", replace(model, cut=cut).cut_index(input_shape, n_classes))

    usual = model.cut_index(input_shape, n_classes)
    of_groups = [usual if group.cut is None else at(group.cut) for group in groups]
    if set(of_groups) != {usual} and len(set(of_groups)) == 1:
        model = replace(model, cut=groups[0].cut)
    if scenario.shape.is_split and len(set(of_groups)) == 1:
        return model, None
    from gapslsim.models.split import block_names

    n_blocks = len(block_names(model, tuple(input_shape), n_classes))
    first = [cut for cut, group in zip(of_groups, groups, strict=True) for _ in range(group.count)]
    if scenario.shape.is_split:
        return model, two_parts(first, n_blocks)
    places = [group.access_point for group in groups for _ in range(group.count)]
    return model, scenario.shape.segments(Cuts(first, n_blocks, at, places))


def check_cuts(scenario: Scenario, loaded: LoadedData, batch_size: int) -> list[tuple[Path, str]]:
    """Cuts that the model does not have, or where no single tensor passes, beyond its own; on shapes alone.

    Also whether a framework that compares gradients finds any, and whether the server's passes can be joined.
    """
    from gapslsim.models.cost import chain_cost, split_cost

    about = (loaded.input_shape, loaded.n_classes)
    model: Any = scenario.model
    found: list[tuple[Path, str]] = []
    for place, group in enumerate(scenario.clients):
        if group.cut is not None:
            try:
                moved = replace(model, cut=group.cut)
                moved.cut_index(*about)
                split_cost(moved, *about, batch_size, loaded.input_dtype)
            # A model of the user's own may raise anything.
            except Exception as error:
                found.append((("clients", place, "cut"), str(error) or type(error).__name__))
    if found:
        return found
    try:
        model, segments = cut_model(scenario, *about)
        if segments is None:
            served = [split_cost(model, *about, batch_size, loaded.input_dtype).server]
            compared = served[0]
        else:
            bounds = segments.bounds
            chain = chain_cost(model, *about, batch_size, bounds[1:-1], loaded.input_dtype)
            firsts = [s.first for path in set(segments.paths) for s in path if s.owner == OF_SERVER]
            (held,) = segments.held(OF_SERVER)
            served = list(chain.stretches[bounds.index(held.first) : bounds.index(held.last)])
            compared = chain.stretches[bounds.index(max(firsts))]
    except (GapslsimError, ValueError) as error:
        return [(("shape", *pointed_at(type(scenario.shape), str(error))), str(error))]
    if scenario.framework.keeps_client_gradients and not compared.n_trained:
        return [(("framework",), nothing_to_compare(scenario.framework.kind))]
    mixes = any(side.n_buffers for side in served)
    if (
        scenario.clock.server.computes == "joined"
        and mixes
        and not scenario.framework.at_once(scenario.n_clients).is_joined
    ):
        text = "the server's layers mix the samples of a pass (running statistics); write auto or per_client."
        return [(("clock", "server", "computes"), text)]
    return refusals(scenario, segments) or keeping_refusals(scenario, model, segments, loaded)


def refusals(scenario: Scenario, segments: Segments | None) -> list[tuple[Path, str]]:
    """Why clients cannot be cut unlike.

    Args:
        scenario: whose framework and shape.
        segments: who owns which blocks.
    """
    if segments is None or segments.clients_are_alike:
        return []
    shape: Any = scenario.shape
    kind, why = scenario.framework.kind, scenario.framework.one_cut_because
    if not shape.is_split:
        kind, why = f"shape {shape.kind}", "all clients are cut at one place"
    place = next((i for i, group in enumerate(scenario.clients) if group.cut is not None), 0)
    return [(("clients", place, "cut"), f"in {kind} {why}; give all client groups one cut.")] if why else []


def nothing_to_compare(kind: str) -> str:
    """Why a framework that aligns gradients cannot train this model."""
    return (
        f"{kind} compares the clients' gradients of the server side, where all weights are frozen; unfreeze some, cut "
        "the model earlier (or the client groups that cut it last), or take psl."
    )


def fails_alone(kind: str, size: int, words: str) -> str:
    """A model cannot train on a mini-batch as small as a framework may draw it; with the error of such a pass."""
    if "more than 1 value per channel" not in words:
        return f"it draws the sizes of mini-batches. In one of {size}, {words}"
    # A larger batch, which the error advises, is drawn as small now and then.
    return (
        f"{kind} draws the sizes of mini-batches, and batch norm cannot train on one of a single sample where a layer "
        "leaves one number per channel; take a norm of groups, a larger image, or psl with server_schedule: joined, "
        "whose mini-batches keep their size."
    )


def check_shape(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """What does not go with more than two parts, as far as settings tell."""
    shape: Any = scenario.shape
    sync: ClientSync | None = getattr(scenario.framework, "client_sync", None)
    if sync is not None and sync.needs_stations and not shape.stations():
        rule = "averages at machines between clients and server, and there are none"
        yield ("framework", "client_sync"), f"{rule}; write shape: tiers, or client_sync: average."
    framework = scenario.framework
    if framework.shapes and shape.kind not in framework.shapes:
        named = " or ".join(framework.shapes)
        rule = f"{framework.kind} is made for shape {named}, and this is {shape.kind}"
        yield (
            ("shape",),
            f"{rule}; write 'shape: {{kind: {framework.shapes[0]}, ...}}', or another framework.",
        )
        return
    if framework.needs_tail and not getattr(shape, "tail", 0):
        rule = f"labels and the last blocks stay on clients in {framework.kind}, and there are none"
        yield ("shape", "tail"), f"{rule}; write tail: 1 or more."
    if shape.is_split:
        return
    if why := scenario.framework.two_parts_because:
        fix = "write shape: split, or another framework: psl, sfl, gapsl, sl"
        yield ("framework",), f"{scenario.framework.kind} cannot train in shape {shape.kind!r}: {why}; {fix}."
    if scenario.codec is not None and scenario.codec.gradients_follow:
        text = "follows activations across one cut between client and server; leave it out, or write shape: split."
        yield ("codec", "gradients_follow"), text
    for place, fault in enumerate(scenario.faults):
        if fault.does("server_crashes"):
            rule = "the server falls back to earlier weights, and the other machines of its shape do not"
            yield ("faults", place), f"{rule}; leave the crash out, or write shape: split."
